//! Records operations on symbolic tensors and checks them.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

use bytemuck::Pod;

use super::kernel::{Access, Kernel, interface_of};
use super::memory::{self, Apart, Life, Memory, MemoryPlan};
use super::texture::{Texture, TextureKind};
use super::{Context, DeviceTensor, KernelClass, Precision, Program, Shape, Tensor};
use crate::{Error, Result};

/// A parameter block that can be rewritten between runs, such as a learning rate or the weight of a loss.
#[derive(Debug)]
pub struct Uniform<T> {
    pub(super) index: usize,
    /// Number of its recorder.
    pub(super) owner: u64,
    kind: PhantomData<fn(T)>,
}

impl<T> Clone for Uniform<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Uniform<T> {}

/// A dispatch of a kernel: bound tensors, parameters, workgroups and cost.
#[derive(Clone, Debug)]
pub struct Dispatch {
    pub(super) kernel: Kernel,
    pub(super) label: String,
    /// The bound tensors with their names; resolved to `tensors` when the dispatch is recorded.
    bound: Vec<(Names, Tensor)>,
    /// The tensor of each storage variable of the kernel.
    pub(super) tensors: Vec<(&'static str, Tensor)>,
    /// The textures of the host with their names, and the one that a fragment shader draws to.
    pub(super) textures: Vec<(&'static str, Texture)>,
    pub(super) target: Option<Texture>,
    /// Ids of the tensors that it writes.
    written: Vec<u32>,
    pub(super) params: Option<usize>,
    pub(super) groups: [u32; 3],
    pub(super) flops: u64,
    pub(super) performed: Option<u64>,
    pub(super) bytes: u64,
    block: Vec<u8>,
    fields: Fields,
}

/// The names of the variables that a tensor can be bound to.
#[derive(Clone, Copy, Debug)]
enum Names {
    One(&'static str),
    Any(&'static [&'static str]),
}

impl Names {
    fn all(&self) -> &[&'static str] {
        match self {
            Names::One(name) => std::slice::from_ref(name),
            Names::Any(names) => names,
        }
    }
}

/// Name and byte offset of each field of a parameter block.
pub type Fields = &'static [(&'static str, usize)];

/// A parameter block: a `#[repr(C)]` struct with the layout of a WGSL struct (`ops::params!` declares one).
pub trait Block: Pod {
    /// Its fields. They must be those of the kernel's uniform variable.
    const FIELDS: Fields;
}

/// Workgroups `[x, y, 1]` for `count` threads in workgroups of `size`, folded into rows where x would exceed its limit.
/// A kernel gets its thread index from `linear_index` in shaders/lib/index.wgsl and returns if it is past the end.
pub fn linear_groups(count: usize, size: usize) -> [u32; 3] {
    let groups = count.div_ceil(size).max(1);
    let rows = groups.div_ceil(65_535);
    [groups.div_ceil(rows) as u32, rows as u32, 1]
}

/// [`linear_groups`] for an element-wise kernel on `count` elements: workgroups of 64 threads, one `vec4` per thread.
pub fn map_groups(count: usize) -> [u32; 3] {
    linear_groups(count.div_ceil(4), 64)
}

impl Dispatch {
    /// A dispatch of `kernel`; `label` names it in profiles and messages.
    pub fn new(kernel: Kernel, label: impl Into<String>) -> Self {
        Dispatch {
            kernel,
            label: label.into(),
            bound: Vec::new(),
            tensors: Vec::new(),
            textures: Vec::new(),
            target: None,
            written: Vec::new(),
            params: None,
            groups: [1; 3],
            flops: 0,
            performed: None,
            bytes: 0,
            block: Vec::new(),
            fields: &[],
        }
    }

    /// Binds a tensor to the WGSL variable `name`. The kernel must use it.
    pub fn bind(mut self, name: &'static str, tensor: Tensor) -> Self {
        self.bound.push((Names::One(name), tensor));
        self
    }

    /// [`bind`](Dispatch::bind), if there is a tensor. Without one, the kernel must not use the variable.
    pub fn bind_optional(self, name: &'static str, tensor: Option<Tensor>) -> Self {
        match tensor {
            Some(tensor) => self.bind(name, tensor),
            None => self,
        }
    }

    /// Binds a tensor to those of `names` that the kernel uses. It must use at least one. The names are variables of
    /// different element types for one tensor, such as `x: array<f32>` and `x_rows: array<vec4<f32>>`.
    pub fn bind_any(mut self, names: &'static [&'static str], tensor: Tensor) -> Self {
        self.bound.push((Names::Any(names), tensor));
        self
    }

    /// Binds a texture to the WGSL variable `name`. The kernel must use it.
    pub fn bind_texture(mut self, name: &'static str, texture: Texture) -> Self {
        if let TextureKind::Storage(format) = texture.kind {
            self.kernel.formats.push((name, format));
        }
        self.textures.push((name, texture));
        self
    }

    /// The texture that the kernel, a fragment shader, draws to: one of kind [`TextureKind::Target`].
    pub fn draws_to(mut self, texture: Texture) -> Self {
        if let TextureKind::Target(format) = texture.kind {
            self.kernel.target = Some(format);
        }
        self.target = Some(texture);
        self
    }

    /// Finds the kernel's variable or variables for each bound tensor, and the variables that are stored as f16.
    fn resolve(&mut self) -> Result<()> {
        let bindings = &interface_of(&self.kernel)?.bindings;
        let is_used = |name: &&str| bindings.iter().any(|b| b.access != Access::Uniform && b.name == **name);
        for (names, tensor) in &self.bound {
            let before = self.tensors.len();
            self.tensors.extend(names.all().iter().copied().filter(is_used).map(|name| (name, *tensor)));
            if self.tensors.len() == before {
                let expected = format!("variables that {} uses", self.kernel);
                return Err(Error::argument(self.label.clone(), "bindings", expected, names.all().join(" or ")));
            }
        }
        let bound = |name: &str| bindings.iter().any(|b| matches!(b.access, Access::Texture(_)) && b.name == name);
        if let Some((name, _)) = self.textures.iter().find(|(name, _)| !bound(name)) {
            let expected = format!("variables that {} uses", self.kernel);
            return Err(Error::argument(self.label.clone(), "bindings", expected, name));
        }
        let half = |(name, tensor): &(&'static str, Tensor)| (tensor.precision == Precision::F16).then_some(*name);
        self.kernel.halves = self.tensors.iter().filter_map(half).collect();
        Ok(())
    }

    /// Sets the kernel's parameter block to constant values.
    pub fn params<T: Block>(mut self, params: &T) -> Self {
        self.block = bytemuck::bytes_of(params).to_vec();
        self.fields = T::FIELDS;
        self
    }

    /// Sets the kernel's parameter block to one that can be rewritten between runs.
    pub fn uniform<T: Block>(mut self, uniform: Uniform<T>) -> Self {
        self.params = Some(uniform.index);
        self.fields = T::FIELDS;
        self
    }

    /// Number of workgroups.
    pub fn groups(mut self, groups: [u32; 3]) -> Self {
        self.groups = groups;
        self
    }

    /// Floating-point operations that the mathematics needs, for profiles and to bound submissions.
    pub fn flops(mut self, flops: u64) -> Self {
        self.flops = flops;
        self
    }

    /// Floating-point operations that the kernel performs, if they differ from [`flops`](Dispatch::flops).
    pub fn performed(mut self, flops: u64) -> Self {
        self.performed = Some(flops);
        self
    }
}

#[derive(Debug)]
pub(super) enum Place {
    Pinned(DeviceTensor),
    Transient { name: String },
}

/// Records operations on symbolic tensors; [`finish`](Recorder::finish) turns them into a [`Program`].
pub struct Recorder {
    /// Unique number.
    pub(super) number: u64,
    pub(super) context: Context,
    pub(super) places: Vec<Place>,
    tensors: Vec<Tensor>,
    written: Vec<bool>,
    pub(super) dispatches: Vec<Dispatch>,
    /// Index of the first dispatch of each section.
    pub(super) sections: Vec<usize>,
    pub(super) blocks: Vec<Vec<u8>>,
    pins: HashMap<u64, Tensor>,
    pub(super) textures: Vec<Texture>,
}

/// Deferred recording of a tensor: called when the tensor is needed, so that its lifetime starts no earlier.
pub type Later<'a> = Box<dyn FnOnce(&mut Recorder) -> Result<Tensor> + 'a>;

impl Recorder {
    /// An empty recording for `context`.
    pub fn new(context: &Context) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Recorder {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            context: context.clone(),
            places: Vec::new(),
            tensors: Vec::new(),
            written: Vec::new(),
            dispatches: Vec::new(),
            sections: Vec::new(),
            blocks: Vec::new(),
            pins: HashMap::new(),
            textures: Vec::new(),
        }
    }

    /// The context it records for.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The family of kernels to record.
    pub fn class(&self) -> KernelClass {
        self.context.class()
    }

    /// The kernels of its dispatches.
    #[cfg(feature = "doctor")]
    pub(crate) fn kernels(&self) -> Vec<Kernel> {
        self.dispatches.iter().map(|dispatch| dispatch.kernel.clone()).collect()
    }

    fn add(&mut self, precision: Precision, shape: Shape, place: Place, written: bool) -> Tensor {
        let tensor = Tensor { owner: self.number, id: self.places.len() as u32, shape, precision };
        self.places.push(place);
        self.tensors.push(tensor);
        self.written.push(written);
        tensor
    }

    /// The symbol of a tensor that exists before and after the program. Pinning it again gives the same symbol.
    pub fn pin(&mut self, tensor: &DeviceTensor) -> Tensor {
        if let Some(&known) = self.pins.get(&tensor.id()) {
            return known;
        }
        let symbol = self.add(tensor.precision(), tensor.shape(), Place::Pinned(tensor.clone()), true);
        self.pins.insert(tensor.id(), symbol);
        symbol
    }

    /// An f32 tensor whose lifetime is from its first to its last dispatch. `name` appears in messages.
    pub fn transient(&mut self, name: &str, shape: impl Into<Shape>) -> Tensor {
        self.transient_stored(Precision::F32, name, shape)
    }

    /// [`transient`](Recorder::transient) with the given storage precision.
    pub fn transient_stored(&mut self, precision: Precision, name: &str, shape: impl Into<Shape>) -> Tensor {
        self.add(precision, shape.into(), Place::Transient { name: name.into() }, false)
    }

    /// A texture of the host. It takes no memory; [`Program::encode_views`] gets a view for each, in this order.
    #[doc(hidden)]
    pub fn texture(&mut self, kind: TextureKind) -> Texture {
        let texture = Texture { owner: self.number, id: self.textures.len() as u32, kind };
        self.textures.push(texture);
        texture
    }

    /// Begins a section: dispatches that [`Program::submit_section`] can run alone, in any order with other sections.
    /// All sections share the memory of their transient tensors, so a section cannot read those of another. Gives its
    /// index. Dispatches before the first section belong to none.
    pub fn section(&mut self) -> usize {
        for (place, written) in self.places.iter().zip(&mut self.written) {
            *written &= matches!(place, Place::Pinned(_));
        }
        self.sections.push(self.dispatches.len());
        self.sections.len() - 1
    }

    /// The device tensor of a symbol, to be read after a run. A transient tensor becomes a pinned tensor of the same
    /// name and precision.
    ///
    /// # Errors
    /// A tensor of another recorder.
    pub fn output(&mut self, tensor: Tensor) -> Result<DeviceTensor> {
        if tensor.owner != self.number {
            return Err(Error::argument("output", "tensor", "a tensor of this recorder", "a tensor of another"));
        }
        let place = &mut self.places[tensor.id as usize];
        match place {
            Place::Pinned(output) => Ok(output.clone()),
            Place::Transient { name } => {
                let output = DeviceTensor::stored(&self.context, tensor.precision, name.as_str(), tensor.shape);
                self.pins.insert(output.id(), tensor);
                *place = Place::Pinned(output.clone());
                Ok(output)
            }
        }
    }

    /// A parameter block that [`Program::set`] can rewrite between runs.
    #[doc(hidden)]
    pub fn uniform<T: Block>(&mut self, initial: &T) -> Uniform<T> {
        self.blocks.push(bytemuck::bytes_of(initial).to_vec());
        Uniform { index: self.blocks.len() - 1, owner: self.number, kind: PhantomData }
    }

    /// Records a dispatch.
    ///
    /// # Errors
    /// An unknown kernel; a binding that is missing or that the kernel does not use; parameters of the wrong layout; a
    /// tensor of another recorder or context; a tensor that is read before it is written, or bound twice while it is
    /// written; an odd f16 tensor whose `arrayLength` is read; too many workgroups.
    #[doc(hidden)]
    pub fn dispatch(&mut self, mut dispatch: Dispatch) -> Result<()> {
        dispatch.resolve()?;
        let refuse = |argument: &str, expected: &str, got: String| {
            Err(Error::argument(dispatch.label.clone(), argument, expected, got))
        };
        let mut accesses = Vec::new();
        for binding in &interface_of(&dispatch.kernel)?.bindings {
            if binding.access == Access::Uniform {
                let size = dispatch.params.map_or(dispatch.block.len(), |index| self.blocks[index].len());
                let expected = binding.members.iter().map(|(name, offset)| (name.as_str(), *offset as usize));
                if size != binding.size as usize || !dispatch.fields.iter().copied().eq(expected) {
                    let expected = format!("{} bytes, {:?}", binding.size, binding.members);
                    return refuse("params", &expected, format!("{size} bytes, {:?}", dispatch.fields));
                }
                continue;
            }
            if let Access::Texture(kind) = binding.access {
                match dispatch.textures.iter().find(|(name, _)| *name == binding.name) {
                    Some((_, texture)) if texture.owner == self.number && texture.kind == kind => continue,
                    found => {
                        let got = found.map_or("nothing".into(), |(_, texture)| format!("{texture:?}"));
                        return refuse(&binding.name, &format!("a texture of this recorder, {kind:?}"), got);
                    }
                }
            }
            let Some(&(_, tensor)) = dispatch.tensors.iter().find(|(name, _)| *name == binding.name) else {
                return refuse(&binding.name, "bound to a tensor", "nothing".into());
            };
            if tensor.owner != self.number {
                return refuse(&binding.name, "a tensor of this recorder", "a tensor of another".into());
            }
            if let Place::Pinned(pinned) = &self.places[tensor.id as usize]
                && !pinned.context().is(&self.context)
            {
                return refuse(&binding.name, "a tensor of the recorder's context", self.name(tensor));
            }
            if binding.measured && binding.size == 2 && !tensor.shape.count().is_multiple_of(2) {
                return refuse(&binding.name, "an even number of elements as f16", tensor.shape.to_string());
            }
            let reads = matches!(binding.access, Access::Read | Access::ReadWrite);
            if reads && !self.written[tensor.id as usize] {
                return refuse(&binding.name, "written before it is read", self.name(tensor));
            }
            accesses.push((tensor.id, binding.access));
        }
        for &(id, access) in accesses.iter().filter(|(_, access)| *access != Access::Read) {
            if accesses.iter().filter(|(other, _)| *other == id).count() > 1 {
                let name = self.name(self.tensors[id as usize]);
                return refuse("bindings", "distinct where one is written", format!("{name} twice ({access:?})"));
            }
        }
        let limit = self.context.device().limits().max_compute_workgroups_per_dimension;
        if dispatch.groups.iter().any(|&n| n == 0 || n > limit) {
            return Err(Error::TooLarge {
                what: dispatch.label.clone(),
                needed: format!("{:?} workgroups", dispatch.groups),
                allowed: format!("1 to {limit} in each direction"),
                largest: None,
                help: "work on a smaller picture".into(),
            });
        }
        for &(id, access) in &accesses {
            if access != Access::Read {
                self.written[id as usize] = true;
                dispatch.written.push(id);
            }
            dispatch.bytes += self.tensors[id as usize].bytes();
        }
        if dispatch.params.is_none() && !dispatch.block.is_empty() {
            self.blocks.push(std::mem::take(&mut dispatch.block));
            dispatch.params = Some(self.blocks.len() - 1);
        }
        self.dispatches.push(dispatch);
        Ok(())
    }

    pub(super) fn name(&self, tensor: Tensor) -> String {
        match &self.places[tensor.id as usize] {
            Place::Pinned(pinned) => pinned.name().to_string(),
            Place::Transient { name } => name.clone(),
        }
    }

    pub(super) fn plan(&self) -> Result<MemoryPlan> {
        let alignment = u64::from(self.context.device().limits().min_storage_buffer_offset_alignment);
        let mut lives: Vec<Option<Life>> = vec![None; self.places.len()];
        let mut apart = Apart::new();
        for (index, dispatch) in self.dispatches.iter().enumerate() {
            for (_, tensor) in &dispatch.tensors {
                let (id, bytes) = (tensor.id as usize, tensor.buffer_bytes());
                self.context.check_tensor(&self.name(*tensor), bytes)?;
                if let Place::Transient { .. } = self.places[id] {
                    let bytes = bytes.next_multiple_of(alignment);
                    lives[id].get_or_insert(Life { first: index, last: index, bytes }).last = index;
                    apart.extend(
                        dispatch.written.iter().flat_map(|&other| [(id, other as usize), (other as usize, id)]),
                    );
                }
            }
        }
        Ok(memory::plan(&lives, &apart))
    }

    /// The memory that [`finish`](Recorder::finish) will allocate. Allocates nothing.
    ///
    /// # Errors
    /// A tensor that is too large for the device.
    pub fn memory(&self) -> Result<Memory> {
        Ok(self.memory_of(&self.plan()?))
    }

    pub(super) fn memory_of(&self, plan: &MemoryPlan) -> Memory {
        let pinned = self.places.iter().filter_map(|place| match place {
            Place::Pinned(tensor) => {
                Some((tensor.id(), (tensor.shape().buffer_bytes(tensor.precision()), tensor.made().is_some())))
            }
            Place::Transient { .. } => None,
        });
        let blocks = self.block_offsets().1;
        Memory { transient: plan.sizes.iter().sum::<u64>() + blocks, pinned: pinned.collect() }
    }

    /// Byte offset of each parameter block in the uniform buffer, and the size of that buffer.
    pub(super) fn block_offsets(&self) -> (Vec<u64>, u64) {
        let alignment = u64::from(self.context.device().limits().min_uniform_buffer_offset_alignment);
        let mut end = 0;
        let offsets = self.blocks.iter().map(|block| {
            let offset = end;
            end += (block.len() as u64).next_multiple_of(alignment);
            offset
        });
        (offsets.collect(), end)
    }

    /// Plans memory, compiles new kernels, and creates buffers and bind groups.
    ///
    /// # Errors
    /// A tensor that is too large or that no dispatch uses; a kernel that does not compile; lack of memory.
    pub fn finish(self) -> Result<Program> {
        Program::build(self)
    }
}
