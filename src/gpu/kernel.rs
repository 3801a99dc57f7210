//! Compiles a .wgsl file, with constants set by the host, to a pipeline whose bindings are known by name.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use naga::compact::{KeepUnused, compact};
use naga::valid::{Capabilities, GlobalUse, ModuleInfo, ValidationFlags, Validator};
use rayon::prelude::*;
use web_time::Instant;

use super::texture::{self, TextureKind};
use super::{Context, matrices, precision, shaders, specialise, split_arrays, unroll};
use crate::{Cause, Error, Result};

/// A value for a top-level `const`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// `const X: u32`
    U32(u32),
    /// `const X: i32`
    I32(i32),
    /// `const X: bool`
    Bool(bool),
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Value::U32(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Value::I32(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::U32(value) => write!(f, "{value}u"),
            Value::I32(value) => write!(f, "{value}i"),
            Value::Bool(value) => write!(f, "{value}"),
        }
    }
}

/// An entry point of a shader file with some of its constants set: the unit of compilation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kernel {
    /// File name under `shaders/`.
    pub shader: &'static str,
    /// Entry point.
    pub entry: &'static str,
    /// Constants by name. All others keep their default in the file.
    pub constants: Vec<(&'static str, Value)>,
    /// WGSL variables that are stored as f16 where the file says f32. The recorder sets them from the tensors of a
    /// dispatch.
    pub halves: Vec<&'static str>,
    /// Formats of storage textures by their WGSL variables. The recorder sets them from the textures of a dispatch.
    pub formats: Vec<(&'static str, naga::StorageFormat)>,
    /// For a fragment shader, the format that it draws to. It is drawn with the vertex shader `screen` of its file.
    pub target: Option<wgpu::TextureFormat>,
}

/// The vertex shader of a file with fragment shaders: one triangle over the whole target.
pub const SCREEN: &str = "screen";

impl Kernel {
    /// The entry point `entry` of `shader` with every constant at its default.
    pub fn new(shader: &'static str, entry: &'static str) -> Self {
        let (constants, halves, formats) = (Vec::new(), Vec::new(), Vec::new());
        Kernel { shader, entry, constants, halves, formats, target: None }
    }

    /// Sets the top-level `const` called `name`.
    pub fn set(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.constants.push((name, value.into()));
        self
    }

    fn error(&self, source: impl Into<Cause>) -> Error {
        Error::Shader { shader: format!("{}:{}", self.shader, self.entry), source: source.into() }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.shader.trim_end_matches(".wgsl"), self.entry)?;
        for (name, value) in &self.constants {
            write!(f, " {name}={value}")?;
        }
        for name in &self.halves {
            write!(f, " {name}: f16")?;
        }
        for (name, format) in &self.formats {
            write!(f, " {name}: {format:?}")?;
        }
        if let Some(format) = self.target {
            write!(f, " to {format:?}")?;
        }
        Ok(())
    }
}

/// How a kernel uses a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A parameter block.
    Uniform,
    /// A storage variable that is only loaded.
    Read,
    /// A storage variable that is only stored to.
    Write,
    /// A storage variable that is loaded and stored to.
    ReadWrite,
    /// A texture.
    Texture(TextureKind),
}

/// A binding of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Name of the WGSL variable.
    pub name: String,
    /// `@binding` number.
    pub index: u32,
    /// How the kernel uses it.
    pub access: Access,
    /// Size in bytes: of a parameter block, or of one array element of storage.
    pub size: u32,
    /// Names and byte offsets of a parameter block's members; empty for storage.
    pub members: Vec<(String, u32)>,
    /// Whether the kernel reads its `arrayLength`.
    pub measured: bool,
}

/// Interface of a kernel, by naga's reflection.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its bindings, in the order of declaration.
    pub bindings: Vec<Binding>,
    /// Workgroup size, in threads.
    pub workgroup_size: [u32; 3],
}

/// A compiled kernel.
pub(super) struct Pipeline {
    pub stage: Stage,
    pub layout: wgpu::BindGroupLayout,
    pub interface: &'static Interface,
}

/// The pipeline of a kernel.
pub(super) enum Stage {
    Compute(wgpu::ComputePipeline),
    Draw(wgpu::RenderPipeline),
}

/// The full WGSL source: imports are inserted, then constants are set in the file and its imports.
///
/// # Errors
/// An unknown file, import or constant.
pub fn expand(kernel: &Kernel) -> Result<String> {
    let text = shaders::source(kernel.shader).ok_or_else(|| kernel.error("there is no such file in shaders/"))?;
    let mut lines = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("#import ") {
            None => lines.push(line),
            Some(name) => lines.extend(
                shaders::source(name.trim())
                    .ok_or_else(|| kernel.error(format!("imports {name}, which is not in shaders/")))?
                    .lines(),
            ),
        }
    }
    let mut left = kernel.constants.clone();
    let mut out = String::with_capacity(text.len() + 2048);
    for line in lines {
        let declared = line.strip_prefix("const ").and_then(|rest| rest.split_once(':'));
        match declared.and_then(|(name, rest)| Some((name, rest, left.iter().position(|(n, _)| *n == name)?))) {
            None => out.push_str(line),
            Some((name, rest, position)) => {
                let (_, value) = left.swap_remove(position);
                let kind = rest.split('=').next().unwrap_or_default().trim();
                out.push_str(&format!("const {name}: {kind} = {value};"));
            }
        }
        out.push('\n');
    }
    match left.first() {
        None => Ok(out),
        Some((name, _)) => Err(kernel.error(format!("has no top-level `const {name}: ...;`"))),
    }
}

/// The parsed file with its constants set. Its variables have no bindings yet. It is cached for the lifetime of the
/// process, for all contexts.
///
/// # Errors
/// An unknown file, import or constant; WGSL that does not parse.
fn parsed(kernel: &Kernel) -> Result<&'static naga::Module> {
    type Key = (&'static str, Vec<(&'static str, Value)>);
    static KNOWN: LazyLock<Mutex<HashMap<Key, &'static naga::Module>>> = LazyLock::new(Mutex::default);
    let lock = || KNOWN.lock().unwrap_or_else(|e| e.into_inner());
    let key = (kernel.shader, kernel.constants.clone());
    if let Some(&known) = lock().get(&key) {
        return Ok(known);
    }
    let text = expand(kernel)?;
    let module = naga::front::wgsl::parse_str(&text).map_err(|e| kernel.error(e.emit_to_string(&text)))?;
    // Leaked on purpose: the number of variants is bounded, and each is used until the process ends.
    Ok(*lock().entry(key).or_insert_with(|| Box::leak(Box::new(module))))
}

/// A kernel's validated module, with the kernel as its only entry point, and its interface.
struct Source {
    module: naga::Module,
    interface: Interface,
}

/// Capabilities of naga that kernels may use.
pub const CAPABILITIES: Capabilities = Capabilities::SUBGROUP
    .union(Capabilities::SUBGROUP_BARRIER)
    .union(Capabilities::SHADER_FLOAT16)
    .union(Capabilities::COOPERATIVE_MATRIX);

static LEAVES_LOOPS: AtomicBool = AtomicBool::new(false);

/// Leaves loops over arrays in registers to the driver's compiler, to measure what unrolling them does. For the rest of the
/// process; to be called before any kernel is compiled.
pub fn leave_loops() {
    LEAVES_LOOPS.store(true, Ordering::Relaxed);
}

fn unrolled(module: &mut naga::Module) -> Result<(), String> {
    if LEAVES_LOOPS.load(Ordering::Relaxed) {
        return Ok(());
    }
    unroll::unroll(module)?;
    split_arrays::split_arrays(module)
}

/// The source of a kernel. It is cached as [`parsed`] is.
fn source_of(kernel: &Kernel) -> Result<&'static Source> {
    static KNOWN: LazyLock<Mutex<HashMap<Kernel, &'static Source>>> = LazyLock::new(Mutex::default);
    let lock = || KNOWN.lock().unwrap_or_else(|e| e.into_inner());
    if let Some(&known) = lock().get(kernel) {
        return Ok(known);
    }
    let module = specialise::specialise(parsed(kernel)?, kernel.entry);
    let mut module = module.ok_or_else(|| kernel.error("has no such entry point"))?;
    let rewritten = matrices::set_shapes(&mut module, &kernel.constants)
        .and_then(|()| unrolled(&mut module))
        .and_then(|()| precision::store_as_half(&mut module, &kernel.halves))
        .and_then(|()| texture::set_formats(&mut module, &kernel.formats));
    rewritten.map_err(|reason| kernel.error(reason))?;
    compact(&mut module, KeepUnused::No);
    let info = Validator::new(ValidationFlags::all(), CAPABILITIES)
        .validate(&module)
        .map_err(|e| kernel.error(e.emit_to_string(&expand(kernel).unwrap_or_default())))?;
    specialise::narrow(&mut module, &info);
    let interface = reflect(&module, &info);
    Ok(*lock().entry(kernel.clone()).or_insert_with(|| Box::leak(Box::new(Source { module, interface }))))
}

/// The module from which a kernel's pipeline is made.
///
/// # Errors
/// An unknown file, import, constant or entry point; WGSL that does not parse or validate; a variable that cannot be
/// f16.
pub fn module_of(kernel: &Kernel) -> Result<&'static naga::Module> {
    Ok(&source_of(kernel)?.module)
}

fn reflect(module: &naga::Module, info: &ModuleInfo) -> Interface {
    let uses = info.get_entry_point(0);
    let bindings = module.global_variables.iter().filter_map(|(handle, variable)| {
        let usage = uses[handle];
        let binding = variable.binding.as_ref()?;
        let access = match variable.space {
            naga::AddressSpace::Uniform => Access::Uniform,
            naga::AddressSpace::Handle => Access::Texture(TextureKind::of(&module.types[variable.ty].inner)?),
            _ if !usage.contains(GlobalUse::WRITE) => Access::Read,
            _ if usage.contains(GlobalUse::READ) => Access::ReadWrite,
            _ => Access::Write,
        };
        let (size, members) = match &module.types[variable.ty].inner {
            naga::TypeInner::Struct { members, span } if access == Access::Uniform => {
                let named = members.iter().map(|m| (m.name.clone().unwrap_or_default(), m.offset));
                (*span, named.collect())
            }
            naga::TypeInner::Array { stride, .. } => (*stride, Vec::new()),
            _ if matches!(access, Access::Texture(_)) => (0, Vec::new()),
            other => (other.size(module.to_ctx()), Vec::new()),
        };
        let name = variable.name.clone().unwrap_or_default();
        let measured = usage.contains(GlobalUse::QUERY);
        Some(Binding { name, index: binding.binding, access, size, members, measured })
    });
    Interface { bindings: bindings.collect(), workgroup_size: module.entry_points[0].workgroup_size }
}

/// The interface of a kernel.
///
/// # Errors
/// Those of [`module_of`].
pub fn interface_of(kernel: &Kernel) -> Result<&'static Interface> {
    Ok(&source_of(kernel)?.interface)
}

fn compile(context: &Context, kernel: &Kernel) -> Result<Pipeline> {
    let Source { module, interface } = source_of(kernel)?;
    let screen = match kernel.target {
        None => None,
        Some(format) => Some((&source_of(&Kernel::new(kernel.shader, SCREEN))?.module, format)),
    };
    let label = kernel.to_string();
    let began = Instant::now();
    let compiled = context.make(|device| {
        let shader = |module| {
            let source = wgpu::ShaderSource::Naga(Cow::Borrowed(module));
            let descriptor = wgpu::ShaderModuleDescriptor { label: Some(&label), source };
            // Loop bounding would add counters that hide trip counts from the driver. It would unroll nothing, and
            // arrays that loops index would take minutes to compile. All loops of the kernels are bounded.
            let checks = match context.checked() {
                true => {
                    wgpu::ShaderRuntimeChecks { force_loop_bounding: false, ..wgpu::ShaderRuntimeChecks::checked() }
                }
                false => wgpu::ShaderRuntimeChecks::unchecked(),
            };
            // SAFETY: every loop of the kernels ends, and they guard every index themselves. The same tests also run
            // with checks on, where an access out of range would change the result.
            #[allow(unsafe_code)]
            unsafe {
                device.create_shader_module_trusted(descriptor, checks)
            }
        };
        let visibility = match kernel.target {
            None => wgpu::ShaderStages::COMPUTE,
            Some(_) => wgpu::ShaderStages::FRAGMENT,
        };
        let entries: Vec<_> = interface
            .bindings
            .iter()
            .map(|binding| wgpu::BindGroupLayoutEntry {
                binding: binding.index,
                visibility,
                ty: binding_type(binding.access),
                count: None,
            })
            .collect();
        let layout = device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(&label), entries: &entries });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(&label),
            bind_group_layouts: &[Some(&layout)],
            ..Default::default()
        });
        let compilation_options =
            wgpu::PipelineCompilationOptions { zero_initialize_workgroup_memory: false, ..Default::default() };
        let stage = match screen {
            None => Stage::Compute(device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(&label),
                layout: Some(&pipeline_layout),
                module: &shader(module),
                entry_point: Some(kernel.entry),
                compilation_options,
                cache: context.pipeline_cache(),
            })),
            Some((screen, format)) => Stage::Draw(device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
                label: Some(&label),
                layout: Some(&pipeline_layout),
                vertex: wgpu::VertexState {
                    module: &shader(screen),
                    entry_point: Some(SCREEN),
                    compilation_options: compilation_options.clone(),
                    buffers: &[],
                },
                primitive: wgpu::PrimitiveState::default(),
                depth_stencil: None,
                multisample: wgpu::MultisampleState::default(),
                fragment: Some(wgpu::FragmentState {
                    module: &shader(module),
                    entry_point: Some(kernel.entry),
                    compilation_options,
                    targets: &[Some(format.into())],
                }),
                multiview_mask: None,
                cache: context.pipeline_cache(),
            })),
        };
        Pipeline { stage, layout, interface }
    })?;
    tracing::debug!("{label} compiled in {:.1?}", began.elapsed());
    Ok(compiled)
}

fn binding_type(access: Access) -> wgpu::BindingType {
    let ty = match access {
        Access::Texture(kind) => return kind.binding_type(),
        Access::Uniform => wgpu::BufferBindingType::Uniform,
        Access::Read => wgpu::BufferBindingType::Storage { read_only: true },
        Access::Write | Access::ReadWrite => wgpu::BufferBindingType::Storage { read_only: false },
    };
    wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None }
}

/// The pipelines of `kernels`. New ones are compiled in parallel.
pub(super) fn pipelines<'k>(
    context: &Context,
    kernels: impl Iterator<Item = &'k Kernel>,
) -> Result<Vec<Arc<Pipeline>>> {
    let kernels: Vec<_> = kernels.collect();
    let lock = || context.pipelines().lock().unwrap_or_else(|e| e.into_inner());
    let mut missing: Vec<_> = Vec::new();
    for &kernel in &kernels {
        if !missing.contains(&kernel) && !lock().contains_key(kernel) {
            missing.push(kernel);
        }
    }
    let made: Vec<_> =
        missing.par_iter().map(|kernel| compile(context, kernel).map(Arc::new)).collect::<Result<_>>()?;
    if !made.is_empty() {
        lock().extend(missing.into_iter().cloned().zip(made));
        context.save_pipeline_cache();
    }
    Ok(kernels.into_iter().map(|kernel| lock()[kernel].clone()).collect())
}
