//! Textures of a host. A recording names them; their views are given each time that its program is encoded.

use std::sync::{Mutex, PoisonError};

use naga::{ImageClass, ScalarKind, StorageFormat, TypeInner};

use super::Context;
use super::buffers::Buffer;
use crate::{Error, Result};

/// How a kernel uses a texture. All are two-dimensional, without multisampling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextureKind {
    /// `texture_2d<f32>`, read by `textureLoad`, so that no format has to be filterable.
    Float,
    /// `texture_2d<u32>`, read by `textureLoad`.
    Uint,
    /// `texture_depth_2d`, read by `textureLoad`.
    Depth,
    /// `texture_storage_2d<FORMAT, write>`. The format in the file is replaced by this one.
    Storage(StorageFormat),
    /// The colour attachment of a draw.
    Target(wgpu::TextureFormat),
}

impl TextureKind {
    /// The kind of a WGSL variable of that type; `None` if it is no texture that a kernel can use.
    pub(super) fn of(inner: &TypeInner) -> Option<Self> {
        match inner {
            TypeInner::Image { class: ImageClass::Sampled { kind: ScalarKind::Float, .. }, .. } => {
                Some(TextureKind::Float)
            }
            TypeInner::Image { class: ImageClass::Sampled { kind: ScalarKind::Uint, .. }, .. } => {
                Some(TextureKind::Uint)
            }
            TypeInner::Image { class: ImageClass::Depth { .. }, .. } => Some(TextureKind::Depth),
            TypeInner::Image { class: ImageClass::Storage { format, .. }, .. } => Some(TextureKind::Storage(*format)),
            _ => None,
        }
    }

    /// The storage texture for that format; `None` if WebGPU guarantees no stores to it.
    pub fn storage(format: wgpu::TextureFormat) -> Option<Self> {
        let known = STORABLE.iter().find(|(_, known)| *known == format);
        known.map(|(format, _)| TextureKind::Storage(*format))
    }

    /// The entry of a bind group layout.
    pub(super) fn binding_type(self) -> wgpu::BindingType {
        let sampled = |sample_type| wgpu::BindingType::Texture {
            sample_type,
            view_dimension: wgpu::TextureViewDimension::D2,
            multisampled: false,
        };
        match self {
            TextureKind::Float => sampled(wgpu::TextureSampleType::Float { filterable: false }),
            TextureKind::Uint => sampled(wgpu::TextureSampleType::Uint),
            TextureKind::Depth => sampled(wgpu::TextureSampleType::Depth),
            TextureKind::Storage(format) => wgpu::BindingType::StorageTexture {
                access: wgpu::StorageTextureAccess::WriteOnly,
                format: STORABLE.iter().find(|(known, _)| *known == format).expect("a format of the list").1,
                view_dimension: wgpu::TextureViewDimension::D2,
            },
            TextureKind::Target(_) => unreachable!("an attachment has no binding"),
        }
    }
}

/// Formats of storage textures that are written, by naga's and by wgpu's names.
const STORABLE: [(StorageFormat, wgpu::TextureFormat); 3] = [
    (StorageFormat::Rgba8Unorm, wgpu::TextureFormat::Rgba8Unorm),
    (StorageFormat::Rgba16Float, wgpu::TextureFormat::Rgba16Float),
    (StorageFormat::Rgba32Float, wgpu::TextureFormat::Rgba32Float),
];

/// Sets the formats of the storage textures `formats`. The error names a variable that is no storage texture.
pub(super) fn set_formats(module: &mut naga::Module, formats: &[(&str, StorageFormat)]) -> Result<(), String> {
    for &(name, format) in formats {
        let mut variables = module.global_variables.iter_mut();
        let found = variables.find(|(_, variable)| variable.name.as_deref() == Some(name));
        let (_, variable) = found.ok_or_else(|| format!("has no variable {name}"))?;
        let mut ty = module.types[variable.ty].clone();
        match &mut ty.inner {
            TypeInner::Image { class: ImageClass::Storage { format: known, .. }, .. } => *known = format,
            _ => return Err(format!("{name} is not a storage texture")),
        }
        variable.ty = module.types.insert(ty, naga::Span::UNDEFINED);
    }
    Ok(())
}

/// A texture of a [`Recorder`](super::Recorder), in place of which the host gives a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Texture {
    /// Number of its recorder.
    pub(super) owner: u64,
    /// Position among the views that the host gives.
    pub(super) id: u32,
    pub(super) kind: TextureKind,
}

impl Texture {
    /// How kernels use it.
    pub fn kind(&self) -> TextureKind {
        self.kind
    }
}

/// What a binding refers to.
pub(super) enum Resource {
    /// A range of a buffer: offset and size.
    Buffer(Buffer, u64, Option<wgpu::BufferSize>),
    /// A texture of the host, by its position among the views.
    Texture(u32),
}

/// The bindings of a step.
pub(super) enum Bound {
    /// Buffers alone.
    Fixed(wgpu::BindGroup),
    /// With textures of the host: a bind group for each set of views.
    Views(Views),
}

/// Bind groups by their views. Engines cycle through a few textures, so that after the first frames all are known.
pub(super) struct Views {
    label: String,
    layout: wgpu::BindGroupLayout,
    resources: Vec<(u32, Resource)>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Number of encodings so far.
    clock: u64,
    groups: Vec<Group>,
}

struct Group {
    views: Vec<wgpu::TextureView>,
    group: wgpu::BindGroup,
    /// The encoding that used it last.
    used: u64,
}

/// Encodings after which a bind group that was not used again is dropped, because it keeps the host's textures alive.
const KEPT: u64 = 32;

impl Bound {
    pub fn new(
        context: &Context,
        label: &str,
        layout: &wgpu::BindGroupLayout,
        resources: Vec<(u32, Resource)>,
    ) -> Result<Self> {
        if resources.iter().any(|(_, resource)| matches!(resource, Resource::Texture(_))) {
            let (label, layout) = (label.to_string(), layout.clone());
            return Ok(Bound::Views(Views { label, layout, resources, kept: Mutex::default() }));
        }
        bind(context, label, layout, &resources, &[]).map(Bound::Fixed)
    }

    /// The bind group for the views of the host.
    pub fn group(&self, context: &Context, views: &[&wgpu::TextureView]) -> Result<wgpu::BindGroup> {
        match self {
            Bound::Fixed(group) => Ok(group.clone()),
            Bound::Views(bound) => bound.group(context, views),
        }
    }
}

impl Views {
    fn group(&self, context: &Context, views: &[&wgpu::TextureView]) -> Result<wgpu::BindGroup> {
        let own = || {
            self.resources.iter().filter_map(|(_, resource)| match resource {
                Resource::Texture(id) => Some(views[*id as usize]),
                Resource::Buffer(..) => None,
            })
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clock += 1;
        let now = kept.clock;
        if let Some(known) = kept.groups.iter_mut().find(|known| known.views.iter().eq(own())) {
            known.used = now;
            return Ok(known.group.clone());
        }
        kept.groups.retain(|known| now - known.used <= KEPT);
        let group = bind(context, &self.label, &self.layout, &self.resources, views)?;
        kept.groups.push(Group { views: own().cloned().collect(), group: group.clone(), used: now });
        Ok(group)
    }
}

fn bind(
    context: &Context,
    label: &str,
    layout: &wgpu::BindGroupLayout,
    resources: &[(u32, Resource)],
    views: &[&wgpu::TextureView],
) -> Result<wgpu::BindGroup> {
    let mut entries = Vec::with_capacity(resources.len());
    for (binding, resource) in resources {
        let resource = match resource {
            Resource::Buffer(buffer, offset, size) => {
                wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset: *offset, size: *size })
            }
            Resource::Texture(id) => wgpu::BindingResource::TextureView(views[*id as usize]),
        };
        entries.push(wgpu::BindGroupEntry { binding: *binding, resource });
    }
    let descriptor = wgpu::BindGroupDescriptor { label: Some(label), layout, entries: &entries };
    context.make(|device| device.create_bind_group(&descriptor))
}

/// Refuses a number of views that is not that of the program's textures.
pub(super) fn check_views(textures: &[Texture], views: &[&wgpu::TextureView]) -> Result<()> {
    match textures.len() == views.len() {
        true => Ok(()),
        false => {
            Err(Error::argument("encode", "views", format!("{}, one for each texture", textures.len()), views.len()))
        }
    }
}
