//! Cooperative matrices: which an adapter offers, and their shapes in a kernel's module.

use std::fmt;

use naga::{CooperativeRole, CooperativeSize, Expression, Module, Type, TypeInner};

use super::kernel::{Kernel, Value};

/// Cooperative matrices of an adapter: S = L·R + S with f16 factors and f32 sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Matrices {
    /// Rows of L and S: 8 or 16.
    pub rows: u32,
    /// Columns of R and S: 8 or 16.
    pub columns: u32,
    /// Columns of L and rows of R: 8 or 16.
    pub depth: u32,
    /// The most lanes of a subgroup, which processes a matrix together: 8, 16, 32 or 64.
    pub lanes: u32,
}

impl fmt::Display for Matrices {
    /// The shape, as "16x8x16": rows, columns, depth.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.rows, self.columns, self.depth)
    }
}

/// Output channels of a workgroup of conv2d_matrix.wgsl: multiples of 64, the pack width for more than 32 channels.
pub(crate) const TILES: [u32; 2] = [128, 64];

/// Pixels of a workgroup, divided by the columns of a matrix.
pub(crate) const ACROSS: u32 = 8;

/// Most threads of a workgroup.
const MOST_THREADS: u32 = 1024;

impl Matrices {
    /// Matrices for which the tests check the kernels: both values of each size, and different numbers of lanes. A kernel
    /// has the same text for all others.
    pub(crate) const SAMPLES: [Matrices; 5] = [
        Matrices { rows: 8, columns: 8, depth: 8, lanes: 8 },
        Matrices { rows: 8, columns: 16, depth: 16, lanes: 32 },
        Matrices { rows: 16, columns: 8, depth: 8, lanes: 32 },
        Matrices { rows: 16, columns: 16, depth: 16, lanes: 32 },
        Matrices { rows: 16, columns: 16, depth: 16, lanes: 64 },
    ];

    /// Whether the kernels work with them: each thread of a workgroup stages one pixel, so there must be enough threads
    /// for all pixels, and not too many.
    fn have_kernels(self) -> bool {
        let sizes = [self.rows, self.columns, self.depth];
        let fits = |tile: u32| {
            let threads = tile / self.rows * self.lanes;
            threads <= MOST_THREADS && threads.is_multiple_of(ACROSS * self.columns)
        };
        sizes.iter().all(|size| [8, 16].contains(size))
            && [8, 16, 32, 64].contains(&self.lanes)
            && TILES.into_iter().all(fits)
    }

    /// The matrices that have kernels and that the adapter supports, those with the most products first.
    pub(super) fn offered(adapter: &wgpu::Adapter) -> Vec<Self> {
        let needed =
            wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX | wgpu::Features::SUBGROUP | wgpu::Features::SHADER_F16;
        // Workgroups of these kernels exceed the limits that WebGPU guarantees.
        let (limits, lanes) = (adapter.limits(), adapter.get_info().subgroup_max_size);
        if !adapter.features().contains(needed) || limits.max_compute_workgroup_storage_size < 32 << 10 {
            return Vec::new();
        }
        let of_kind = |kind: &wgpu::CooperativeMatrixProperties| {
            let types = [kind.ab_type, kind.cr_type];
            let is_known = types == [wgpu::CooperativeScalarType::F16, wgpu::CooperativeScalarType::F32];
            let matrices = Matrices { rows: kind.m_size, columns: kind.n_size, depth: kind.k_size, lanes };
            let threads = TILES[0] / matrices.rows * lanes;
            let fits = matrices.have_kernels() && threads <= limits.max_compute_invocations_per_workgroup;
            (is_known && fits).then_some(matrices)
        };
        let mut offered: Vec<_> = adapter.cooperative_matrix_properties().iter().filter_map(of_kind).collect();
        offered.sort_by_key(|matrices| {
            std::cmp::Reverse([matrices.rows * matrices.columns * matrices.depth, matrices.rows])
        });
        offered.dedup();
        offered
    }
}

impl Kernel {
    /// Sets the constants of shaders/lib/matrix.wgsl.
    pub(crate) fn on(self, matrices: Matrices) -> Self {
        let Matrices { rows, columns, depth, lanes } = matrices;
        self.set("MATRIX_M", rows).set("MATRIX_N", columns).set("MATRIX_K", depth).set("LANES", lanes)
    }
}

/// Gives the types and loads of cooperative matrices the shapes that the constants of the kernel say. WGSL, as naga reads
/// it, has square types alone; naga's modules and SPIR-V have all shapes. The error names a size that does not exist.
pub(super) fn set_shapes(module: &mut Module, constants: &[(&str, Value)]) -> Result<(), String> {
    let size = |name: &str| match constants.iter().find(|(known, _)| *known == name) {
        None => Ok(None),
        Some((_, Value::U32(8))) => Ok(Some(CooperativeSize::Eight)),
        Some((_, Value::U32(16))) => Ok(Some(CooperativeSize::Sixteen)),
        Some((_, value)) => Err(format!("{name} must be 8 or 16, got {value}")),
    };
    let (Some(m), Some(n), Some(k)) = (size("MATRIX_M")?, size("MATRIX_N")?, size("MATRIX_K")?) else { return Ok(()) };
    // Rows and columns.
    let shape = |role: CooperativeRole| match role {
        CooperativeRole::A => [m, k],
        CooperativeRole::B => [k, n],
        CooperativeRole::C => [m, n],
    };
    let matrices = |(handle, ty): (_, &Type)| match ty.inner {
        TypeInner::CooperativeMatrix { role, scalar, .. } => Some((handle, ty.name.clone(), role, scalar)),
        _ => None,
    };
    let found: Vec<_> = module.types.iter().filter_map(matrices).collect();
    for (handle, name, role, scalar) in found {
        let [rows, columns] = shape(role);
        let ty = Type { name, inner: TypeInner::CooperativeMatrix { rows, columns, role, scalar } };
        // Replacing a type by itself is an error of naga's.
        if module.types[handle] != ty {
            module.types.replace(handle, ty);
        }
    }
    let functions = module.functions.iter_mut().map(|(_, function)| function);
    for function in functions.chain(module.entry_points.iter_mut().map(|entry| &mut entry.function)) {
        for (_, expression) in function.expressions.iter_mut() {
            if let Expression::CooperativeLoad { rows, columns, role, .. } = expression {
                [*rows, *columns] = shape(*role);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every shape has kernels for subgroups of 32 lanes. Smaller subgroups have too few threads for wide matrices.
    #[test]
    fn all_shapes_have_kernels() {
        let matrices = |rows, columns, depth, lanes| Matrices { rows, columns, depth, lanes };
        for [rows, columns, depth] in (0..8).map(|bits| [4, 2, 1].map(|bit| if bits & bit == 0 { 8 } else { 16 })) {
            assert!(matrices(rows, columns, depth, 32).have_kernels());
        }
        assert!(Matrices::SAMPLES.into_iter().all(Matrices::have_kernels));
        let least = |rows, columns| {
            [8, 16, 32, 64].into_iter().find(|&lanes| matrices(rows, columns, 16, lanes).have_kernels())
        };
        assert_eq!([least(8, 8), least(8, 16), least(16, 8), least(16, 16)], [Some(8), Some(16), Some(16), Some(32)]);
        assert!(!matrices(8, 8, 32, 32).have_kernels() && !matrices(16, 16, 16, 128).have_kernels());
    }

    /// The types and loads of a kernel get the shapes of its constants.
    #[test]
    fn shapes_are_those_of_the_constants() {
        let kernel = Kernel::new("matrix_test.wgsl", "multiply").on(Matrices::SAMPLES[1]);
        let module = crate::gpu::kernel::module_of(&kernel).unwrap();
        let [eight, sixteen] = [CooperativeSize::Eight, CooperativeSize::Sixteen];
        let expected = |role: CooperativeRole| match role {
            CooperativeRole::A | CooperativeRole::C => [eight, sixteen],
            CooperativeRole::B => [sixteen, sixteen],
        };
        let (mut types, mut loads) = (0, 0);
        for (_, ty) in module.types.iter() {
            if let TypeInner::CooperativeMatrix { rows, columns, role, .. } = ty.inner {
                assert_eq!([rows, columns], expected(role));
                types += 1;
            }
        }
        for (_, expression) in module.entry_points[0].function.expressions.iter() {
            if let Expression::CooperativeLoad { rows, columns, role, .. } = expression {
                assert_eq!([*rows, *columns], expected(*role));
                loads += 1;
            }
        }
        assert!(types > 0 && loads == 6, "{types} types, {loads} loads");
        let wrong = Kernel::new("matrix_test.wgsl", "multiply")
            .set("MATRIX_M", 4u32)
            .set("MATRIX_N", 8u32)
            .set("MATRIX_K", 8u32);
        assert!(
            crate::gpu::kernel::module_of(&wrong).unwrap_err().to_string().contains("MATRIX_M must be 8 or 16, got 4u")
        );
    }
}
