//! Peak throughput of a device, the upper bounds of a roofline. Maths: shaders/roof.wgsl.

use crate::gpu::{Dispatch, Kernel, Matrices, Recorder, Tensor, linear_groups};
use crate::{Error, Result};

const SHADER: &str = "roof.wgsl";

/// Threads of a workgroup of multiply-adds.
pub const THREADS: usize = 256;

/// Numbers of independent chains per thread.
pub const CHAINS: [u32; 3] = [8, 12, 16];

/// Factor and summand of a multiply-add. A chain that starts near 1 converges to 1/2 in either precision.
pub const STEP: [f32; 2] = [-0.75, 0.875];

/// Multiply-adds of a chain per round.
pub const ROUND: usize = 8;

/// The number type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// f32
    Single,
    /// f16; requires [`Context::has_half`](crate::gpu::Context::has_half).
    Half,
}

super::params! {
    /// Factor and summand, and the number of rounds.
    Params { scale: f32, offset: f32, rounds: u32 }
}

super::params! {
    /// The number of rounds.
    MatrixParams { rounds: u32 }
}

fn chained(precision: Arithmetic, chains: u32) -> Kernel {
    let shader = match precision {
        Arithmetic::Single => SHADER,
        Arithmetic::Half => "roof_half.wgsl",
    };
    Kernel::new(shader, "multiply_add").set("VECTORS", chains / 4)
}

/// Every variant of this operation's kernels.
pub(crate) fn kernels() -> Vec<Kernel> {
    let mut all = ["copy", "nothing"].map(|entry| Kernel::new(SHADER, entry)).to_vec();
    for precision in [Arithmetic::Single, Arithmetic::Half] {
        all.extend(CHAINS.map(|chains| chained(precision, chains)));
    }
    all.extend(Matrices::SAMPLES.map(matrix_kernel));
    all
}

/// Runs `rounds` of multiply-adds `s = -0.75·s + 0.875` in `chains` chains per thread (one of [`CHAINS`]). There is one
/// thread per element of `out` (a multiple of [`THREADS`] elements), and `out[t]` gets the sum of its chains, which
/// start at `(chain + t mod 256) / 256`.
pub fn multiply_add(rec: &mut Recorder, precision: Arithmetic, chains: u32, rounds: u32, out: Tensor) -> Result<()> {
    let threads = out.shape.count();
    if threads == 0 || !threads.is_multiple_of(THREADS) {
        return Err(Error::argument("multiply_add", "out", format!("a multiple of {THREADS} elements"), out.shape));
    }
    if !CHAINS.contains(&chains) {
        return Err(Error::argument("multiply_add", "chains", format!("one of {CHAINS:?}"), chains));
    }
    if precision == Arithmetic::Half && !rec.context().has_half() {
        return Err(Error::argument("multiply_add", "precision", "single (this device has no f16)", "half"));
    }
    let [scale, offset] = STEP;
    rec.dispatch(
        Dispatch::new(chained(precision, chains), "multiply-adds")
            .bind("out", out)
            .params(&Params { scale, offset, rounds })
            .groups([(threads / THREADS) as u32, 1, 1])
            .flops((2 * ROUND * threads) as u64 * u64::from(chains) * u64::from(rounds)),
    )
}

fn matrix_kernel(matrices: Matrices) -> Kernel {
    Kernel::new("roof_matrix.wgsl", "multiply_add").on(matrices)
}

/// Runs `rounds` of multiply-adds `S = A·B + S` of cooperative matrices, in four chains per subgroup. `out` gets the
/// four matrices of each subgroup, whose elements are all `rounds / 8`. Requires
/// [`Context::matrices`](crate::gpu::Context::matrices).
pub fn multiply_add_matrices(rec: &mut Recorder, rounds: u32, out: Tensor) -> Result<()> {
    let Some(matrices) = rec.context().matrices() else {
        return Err(Error::argument("multiply_add", "context", "one with cooperative matrices", "one without"));
    };
    let [rows, columns, depth] = [matrices.rows, matrices.columns, matrices.depth].map(|size| size as usize);
    let sums = 4 * rows * columns;
    if out.shape.count() == 0 || !out.shape.count().is_multiple_of(sums) {
        return Err(Error::argument("multiply_add", "out", format!("a multiple of {sums} elements"), out.shape));
    }
    let subgroups = out.shape.count() / sums;
    rec.dispatch(
        Dispatch::new(matrix_kernel(matrices), "multiply-adds of matrices")
            .bind("out", out)
            .params(&MatrixParams { rounds })
            .groups([subgroups as u32, 1, 1])
            .flops((2 * ROUND * sums * depth * subgroups) as u64 * u64::from(rounds)),
    )
}

/// Copies `x` to `z`, which have the same number of elements, a multiple of 4.
pub fn copy(rec: &mut Recorder, x: Tensor, z: Tensor) -> Result<()> {
    let count = z.shape.count();
    if count == 0 || !count.is_multiple_of(4) {
        return Err(Error::argument("copy", "z", "a multiple of 4 elements", z.shape));
    }
    if x.shape.count() != count {
        return Err(Error::argument("copy", "x", format!("as long as z, {}", z.shape), x.shape));
    }
    rec.dispatch(
        Dispatch::new(Kernel::new(SHADER, "copy"), "copy")
            .bind("x", x)
            .bind("z", z)
            .groups(linear_groups(count / 4, THREADS)),
    )
}

/// Sets `out[0]` to zero: the least that a dispatch can do.
pub fn nothing(rec: &mut Recorder, out: Tensor) -> Result<()> {
    rec.dispatch(Dispatch::new(Kernel::new(SHADER, "nothing"), "nothing").bind("out", out))
}
