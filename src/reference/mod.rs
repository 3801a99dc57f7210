//! Reference implementations in f64: the oracles that the GPU kernels are compared with.
//!
//! Every function is the textbook formula as a plain, unoptimised loop. `doctor` and the tests of `tests/` use them; they
//! panic if shapes do not fit, which is a bug of the caller. `tests/reference_gradients.rs` compares every gradient with
//! central differences of the forward function.
#![allow(missing_docs)]

pub mod adam;
pub mod clip;
pub mod compare;
pub mod conv2d;
pub mod conv_transpose2d;
pub mod gram;
pub mod lbfgs;
pub mod line_search;
pub mod loss;
pub mod mean_std;
pub mod norm;
pub mod pool;
pub mod regions;
pub mod relu;
pub mod resample;
pub mod roof;
pub mod rows;
pub mod steady;
pub mod tanh;
pub mod total_variation;
pub mod vector;

pub use compare::{Worst, central_differences, compare, compare_f64, gradient_check, worst};

/// A dense tensor in row-major order; images and feature maps are NCHW.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    pub shape: Vec<usize>,
    pub data: Vec<f64>,
}

impl Array {
    pub fn new(shape: &[usize], data: Vec<f64>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "shape {shape:?} does not fit the data");
        Self { shape: shape.to_vec(), data }
    }

    /// A one-dimensional array.
    pub fn vector(data: Vec<f64>) -> Self {
        Self::new(&[data.len()], data)
    }

    pub fn zeros(shape: &[usize]) -> Self {
        Self::new(shape, vec![0.0; shape.iter().product()])
    }

    /// Uniform values in (-1, 1): odd multiples of 2⁻²², so none is zero and all are exact in f32.
    pub fn random(shape: &[usize], seed: u64) -> Self {
        let mut state = seed;
        let mut draw = || (2 * (splitmix64(&mut state) >> 42) + 1) as f64 / (1 << 22) as f64 - 1.0;
        Self::new(shape, (0..shape.iter().product()).map(|_| draw()).collect())
    }

    /// Distinct values in (-1, 1] in random order, evenly spaced, so no two are close to a tie.
    pub fn distinct(shape: &[usize], seed: u64) -> Self {
        let random = Self::random(shape, seed).data;
        let mut order: Vec<usize> = (0..random.len()).collect();
        order.sort_by(|&i, &j| random[i].total_cmp(&random[j]));
        let mut distinct = Self::zeros(shape);
        for (rank, &i) in order.iter().enumerate() {
            distinct.data[i] = 2.0 * (rank + 1) as f64 / order.len() as f64 - 1.0;
        }
        distinct
    }

    pub fn from_f32(shape: &[usize], data: &[f32]) -> Self {
        Self::new(shape, data.iter().map(|&v| f64::from(v)).collect())
    }

    pub fn to_f32(&self) -> Vec<f32> {
        self.data.iter().map(|&v| v as f32).collect()
    }

    /// The shape as a fixed-size array: `let [n, c, h, w] = x.dims();`.
    pub fn dims<const RANK: usize>(&self) -> [usize; RANK] {
        self.shape.as_slice().try_into().unwrap_or_else(|_| panic!("shape {:?} is not of rank {RANK}", self.shape))
    }

    pub fn at<const RANK: usize>(&self, index: [usize; RANK]) -> f64 {
        self.data[self.offset(index)]
    }

    pub fn at_mut<const RANK: usize>(&mut self, index: [usize; RANK]) -> &mut f64 {
        let offset = self.offset(index);
        &mut self.data[offset]
    }

    pub fn map(&self, f: impl FnMut(f64) -> f64) -> Self {
        Self { shape: self.shape.clone(), data: self.data.iter().copied().map(f).collect() }
    }

    fn offset<const RANK: usize>(&self, index: [usize; RANK]) -> usize {
        assert_eq!(self.shape.len(), RANK, "shape {:?} is not of rank {RANK}", self.shape);
        let mut offset = 0;
        for (i, &size) in index.into_iter().zip(&self.shape) {
            assert!(i < size, "index {index:?} is outside shape {:?}", self.shape);
            offset = offset * size + i;
        }
        offset
    }
}

/// Every index of an array of this shape, in row-major order.
pub fn indices<const RANK: usize>(shape: [usize; RANK]) -> impl Iterator<Item = [usize; RANK]> {
    let mut next = [0; RANK];
    (0..shape.iter().product()).map(move |_: usize| {
        let index = next;
        for axis in (0..RANK).rev() {
            next[axis] += 1;
            if next[axis] < shape[axis] {
                break;
            }
            next[axis] = 0;
        }
        index
    })
}

/// The SplitMix64 generator (Steele, Lea and Flood).
fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
