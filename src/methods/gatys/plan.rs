//! What fits into the device memory that is granted: windows, optimiser and length of its history, chosen for each scale
//! before anything is allocated.

use super::fit::{Fit, Search, budget, reach, search};
use super::terms::{Layout, check_sides, deepest};
use super::{GatysSettings, Optimizer, PictureLoss, Tiling, style};
use crate::io::{Picture, picture::scaled_size};
use crate::methods::Area;
use crate::nets::Vgg19;
use crate::nets::tiles::mebibytes;
use crate::optim::{Adam, Lbfgs};
use crate::{Error, Result};

/// Windows of at least this many halos a side are chosen before a longer history. They read 1.44 times the picture.
const GOOD_WINDOW: usize = 12;
/// L-BFGS remembers at least this many steps before the picture is cut into windows.
const HISTORY_OF_WHOLE: usize = 10;
/// With a shorter history, L-BFGS is replaced by Adam.
const LEAST_HISTORY: usize = 3;

/// How a scale is painted.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    /// Width and height of the picture.
    pub size: [usize; 2],
    /// One window is the whole picture in one program.
    pub tiling: Tiling,
    pub optimizer: Optimizer,
    pub history: usize,
    /// What `history` would be with more memory.
    wanted: usize,
    /// Evaluations.
    pub steps: usize,
    /// Planned peak of device memory.
    pub bytes: u64,
}

/// Widths and heights of the scales in ascending order. Each scale is √2 larger than the previous one; the last has a
/// long side of `settings.size`.
fn sizes(content: &Picture, settings: &GatysSettings) -> Vec<[usize; 2]> {
    let size = |back: usize| (settings.size as f64 / std::f64::consts::SQRT_2.powi(back as i32)).round() as usize;
    let count = settings.scales.unwrap_or_else(|| 1 + (1..).take_while(|&back| size(back) >= 128).count().min(4));
    let sizes = (0..count.max(1)).rev().map(|back| scaled_size(content.width, content.height, size(back)));
    let mut sizes: Vec<_> = sizes.map(|(width, height)| [width, height]).collect();
    sizes.dedup();
    sizes
}

/// Long side of the style picture for a result of the given size.
pub(super) fn style_side([width, height]: [usize; 2], settings: &GatysSettings) -> usize {
    (settings.style_scale * width.max(height) as f32).round().max(1.0) as usize
}

/// How each scale is painted, in ascending order. Allocates nothing.
///
/// # Errors
/// A picture that is too small for its taps; [`Error::TooLarge`] for a scale that does not fit.
pub(super) fn plan(
    vgg: &Vgg19,
    content: &Picture,
    areas: &[Area<Picture>],
    settings: &GatysSettings,
) -> Result<Vec<Scale>> {
    let layout = Layout::of(content, areas);
    let mut scales = Vec::new();
    for (index, size) in sizes(content, settings).into_iter().enumerate() {
        check_sides(vgg, "content", size, settings)?;
        // A scale that does not begin with the result of another needs all its steps.
        let window_steps = if index == 0 { settings.steps } else { settings.steps.min(settings.window_steps) };
        let mut scale = choose(vgg, size, layout, settings, window_steps)?;
        scale.bytes = scale.bytes.max(of_styles(vgg, size, areas, settings, Search::Largest(0))?);
        scales.push(scale);
    }
    Ok(scales)
}

/// Peak of device memory for the targets of the styles, of a result of that width and height.
fn of_styles(
    vgg: &Vgg19,
    size: [usize; 2],
    areas: &[Area<Picture>],
    settings: &GatysSettings,
    search: Search,
) -> Result<u64> {
    let mut peak = 0;
    for (index, (style, _)) in areas.iter().flat_map(|area| &area.styles).enumerate() {
        let (width, height) = scaled_size(style.width, style.height, style_side(size, settings));
        check_sides(vgg, &format!("style {}", index + 1), [width, height], settings)?;
        peak = peak.max(style::fit(vgg, [height, width], style.alpha.is_some(), settings, search)?.bytes);
    }
    Ok(peak)
}

/// Returns the error of [`plan`] if the last scale does not fit, and takes less time to find out.
pub(super) fn check(vgg: &Vgg19, content: &Picture, areas: &[Area<Picture>], settings: &GatysSettings) -> Result<()> {
    for size in sizes(content, settings).into_iter().rev().take(1) {
        check_sides(vgg, "content", size, settings)?;
        with_adam(vgg, size, Layout::of(content, areas), settings, Search::Smallest)?;
        of_styles(vgg, size, areas, settings, Search::Smallest)?;
    }
    Ok(())
}

/// Windows of a scale of that width and height, with `state` bytes for the optimiser.
fn with(
    vgg: &Vgg19,
    [width, height]: [usize; 2],
    layout: Layout,
    settings: &GatysSettings,
    state: u64,
    wanted: Search,
) -> Result<Fit> {
    search([height, width], reach(deepest(settings)), wanted, budget(settings), |tiling| {
        let memory = PictureLoss::memory_in(vgg, [height, width], layout, settings, tiling)?;
        Ok(memory.peak_bytes() + state)
    })
}

/// [`with`] the state of Adam, which is the least.
fn with_adam(vgg: &Vgg19, size: [usize; 2], layout: Layout, settings: &GatysSettings, wanted: Search) -> Result<Fit> {
    with(vgg, size, layout, settings, Adam::bytes(3 * size[0] * size[1]), wanted)
}

/// Windows and optimiser of a scale: the whole picture with L-BFGS if possible, then good windows with L-BFGS, then any
/// windows with Adam, which takes less memory. In windows, there are `window_steps` evaluations.
fn choose(
    vgg: &Vgg19,
    size: [usize; 2],
    layout: Layout,
    settings: &GatysSettings,
    window_steps: usize,
) -> Result<Scale> {
    let [width, height] = size;
    let elements = 3 * width * height;
    let scale = |Fit { tiling, bytes }: Fit, optimizer, history, wanted| {
        let steps = if tiling.count() > 1 { window_steps } else { settings.steps };
        Scale { size, tiling, optimizer, history, wanted, steps, bytes }
    };
    if settings.optimizer == Optimizer::Lbfgs {
        let (whole, halo) = (width.max(height), reach(deepest(settings)).halo);
        let choices =
            [(whole, settings.steps, HISTORY_OF_WHOLE), (GOOD_WINDOW * halo.max(1), window_steps, LEAST_HISTORY)];
        for (least, steps, shortest) in choices {
            // An iteration takes at least one evaluation, so there are no more pairs than evaluations.
            let wanted = Lbfgs::capacity(vgg.context(), elements, settings.history.min(steps));
            let mut history = wanted;
            loop {
                let largest = Search::Largest(least.min(whole));
                match with(vgg, size, layout, settings, Lbfgs::bytes(elements, history), largest) {
                    Ok(fit) => return Ok(scale(fit, Optimizer::Lbfgs, history, wanted)),
                    Err(Error::TooLarge { .. }) if history > shortest => history -= (history / 8).max(1),
                    Err(Error::TooLarge { .. }) => break,
                    Err(error) => return Err(error),
                }
            }
        }
    }
    with_adam(vgg, size, layout, settings, Search::Largest(0)).map(|fit| scale(fit, Optimizer::Adam, 1, 1))
}

/// Says what a scale does without, compared with the settings.
pub(super) fn announce(scale: &Scale, settings: &GatysSettings) {
    let ([width, height], budget) = (scale.size, mebibytes(budget(settings), f64::floor));
    if scale.optimizer != settings.optimizer {
        tracing::warn!("{width}x{height} px: Adam replaces L-BFGS, whose state does not fit into {budget}");
    } else if scale.history < scale.wanted {
        let Scale { history, wanted, .. } = scale;
        tracing::warn!(
            "{width}x{height} px: L-BFGS remembers {history} steps instead of {wanted}, to fit into {budget}"
        );
    }
}
