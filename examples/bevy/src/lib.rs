//! What a Bevy camera sees, painted after tonemapping: a plugin with a net, and a component on the camera.
//!
//! ```rust,ignore
//! let body = ImageTransformNetWeights::of(&impasto::weights::body()?)?;
//! let styles = body.styles.len();
//! app.add_plugins(StylizePlugin { net: Net::feed_forward(body)? });
//! // In a startup system:
//! commands.spawn((Camera3d::default(), Stylize::new(styles, 0)));
//! ```

use bevy_app::{App, Plugin};
use bevy_core_pipeline::tonemapping::tonemapping;
use bevy_core_pipeline::{Core2d, Core2dSystems, Core3d, Core3dSystems};
use bevy_ecs::prelude::*;
use bevy_log::error;
use bevy_platform::cell::SyncCell;
use bevy_render::extract_component::{ExtractComponent, ExtractComponentPlugin};
use bevy_render::renderer::{RenderContext, RenderDevice, RenderQueue, ViewQuery};
use bevy_render::view::ViewTarget;
use bevy_render::{Render, RenderApp, RenderSystems};
use impasto::embed::{Blend, Frame, Net, Options, Stylizer};

/// Paints the frames of a camera. Without it, a camera is rendered as before.
#[derive(Component, Clone, Debug, PartialEq, ExtractComponent)]
#[extract_app(RenderApp)]
#[extract_component_sync_target((Self, Painter))]
pub struct Stylize {
    /// A weight from 0 up for each style of the plugin's net, not all 0.
    pub style: Vec<f32>,
    /// Strength of the style, 0..1.
    pub alpha: f32,
    /// Side of the painting relative to the camera's target, above 0 and up to 1. When it changes, kernels are compiled in
    /// the background, and the frames are painted at the scale before until they are ready.
    pub scale: f32,
}

impl Stylize {
    /// The style of that number, of a net with `styles` styles, at full strength and half the size.
    pub fn new(styles: usize, number: usize) -> Self {
        let style = (0..styles).map(|style| f32::from(u8::from(style == number))).collect();
        Stylize { style, alpha: 1.0, scale: 0.5 }
    }
}

/// Adds the pass that paints cameras with a [`Stylize`], to 2D and 3D.
pub struct StylizePlugin {
    /// What all cameras are painted with.
    pub net: Net,
}

impl Plugin for StylizePlugin {
    fn build(&self, app: &mut App) {
        app.add_plugins(ExtractComponentPlugin::<Stylize>::default());
        let Some(render_app) = app.get_sub_app_mut(RenderApp) else { return };
        render_app
            .insert_resource(PluginNet(self.net.clone()))
            .add_systems(Render, prepare.in_set(RenderSystems::PrepareResources))
            .add_systems(Core2d, paint.in_set(Core2dSystems::PostProcess).after(tonemapping))
            .add_systems(Core3d, paint.in_set(Core3dSystems::PostProcess).after(tonemapping));
    }
}

#[derive(Resource)]
struct PluginNet(Net);

/// The stylizer of a camera, in the render world. Only the plugin makes it.
#[derive(Component)]
pub struct Painter(SyncCell<State>);

enum State {
    Painting {
        current: Box<Stylizer>,
        /// What replaces it when it is ready: for a larger target, another format or another scale.
        next: Option<Box<Stylizer>>,
    },
    /// The error has been logged, and frames are shown as they are. Other settings are another try.
    Failed(Stylize),
}

fn options(target: &ViewTarget, scale: f32) -> Options {
    let size = target.main_texture().size();
    let format = target.main_texture_format();
    Options { scale, ..Options::new([size.width, size.height], [format, format]) }
}

/// Whether the stylizer can paint frames of these options.
fn fits(own: &Options, wanted: &Options) -> bool {
    let is_large_enough = (0..2).all(|side| wanted.max_size[side] <= own.max_size[side]);
    is_large_enough && own.color == wanted.color && own.output == wanted.output
}

/// Makes the stylizers that cameras need. Kernels compile on threads.
fn prepare(
    mut commands: Commands,
    net: Res<PluginNet>,
    device: Res<RenderDevice>,
    queue: Res<RenderQueue>,
    mut views: Query<(Entity, &ViewTarget, &Stylize, Option<&mut Painter>)>,
) {
    for (view, target, stylize, painter) in &mut views {
        let wanted = options(target, stylize.scale);
        let first = || match Stylizer::new(device.wgpu_device(), &queue, net.0.clone(), &wanted) {
            Ok(stylizer) => State::Painting { current: Box::new(stylizer), next: None },
            Err(error) => fail(stylize, &error),
        };
        let Some(mut painter) = painter else {
            commands.entity(view).insert(Painter(SyncCell::new(first())));
            continue;
        };
        let state = painter.0.get();
        let outcome = match state {
            State::Failed(failed) if failed != stylize => {
                *state = first();
                Ok(())
            }
            State::Failed(_) => Ok(()),
            State::Painting { current, next } => adapt(current, next, &net.0, &wanted),
        };
        if let Err(error) = outcome {
            *state = fail(stylize, &error);
        }
    }
}

/// Begins another stylizer if the current one does not do, and puts it in place when it is ready.
fn adapt(
    current: &mut Box<Stylizer>,
    next: &mut Option<Box<Stylizer>>,
    net: &Net,
    wanted: &Options,
) -> impasto::Result<()> {
    if let Some(made) = next
        && made.ready()?
    {
        std::mem::swap(current, made);
        *next = None;
    }
    if next.is_none() && !(fits(current.options(), wanted) && current.options().scale == wanted.scale) {
        *next = Some(Box::new(current.another(net.clone(), wanted)?));
    }
    Ok(())
}

fn fail(stylize: &Stylize, error: &impasto::Error) -> State {
    error!("a camera is not painted: {error}");
    State::Failed(stylize.clone())
}

/// Paints the view from one main texture to the other. Frames are shown as they are until there is a stylizer for them.
fn paint(view: ViewQuery<(&ViewTarget, &Stylize, &mut Painter)>, mut context: RenderContext) {
    let (target, stylize, mut painter) = view.into_inner();
    let state = painter.0.get();
    let State::Painting { current, .. } = state else { return };
    let frame = options(target, stylize.scale);
    let mut encode = || {
        if !(current.ready()? && fits(current.options(), &frame)) {
            return Ok(false);
        }
        let styles = [Blend { weights: &stylize.style, alpha: stylize.alpha }];
        let views = [target.main_texture_view(), target.main_texture_other_view()];
        current.encode(context.command_encoder(), &Frame::new(views[0], views[1], frame.max_size, &styles))?;
        Ok(true)
    };
    match encode() {
        Ok(true) => {
            // The textures change places: the painting is what later passes read.
            target.post_process_write();
        }
        Ok(false) => {}
        Err(error) => *state = fail(stylize, &error),
    }
}
