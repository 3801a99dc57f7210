//! Two-dimensional cross-correlation with an optional ReLU on its output and an optional enlargement of its input.
//!
//! With x `[N, Cin, H, W]`, w `[Cout, Cin, K, K]`, b `[Cout]`, stride s and padding width P:
//!
//! ```text
//! y[n,o,i,j] = b[o] + Σ_{c,p,q} w[o,c,p,q] · x[n, c, s·i + p - P, s·j + q - P]
//! ```
//!
//! where the padding decides what an index outside the input reads. With `upsample`, x stands for its enlargement
//! `x[n, c, ⌊i/2⌋, ⌊j/2⌋]` of twice the size. Each term is a product of one weight and one input
//! element, a "tap"; the gradients sum over the same taps, with one factor replaced by dy:
//!
//! ```text
//! dx = Σ w · dy        dw = Σ x · dy        db[o] = Σ_{n,i,j} dy[n,o,i,j]
//! ```

use super::{Array, indices, relu};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// Not padded (P = 0): the output is smaller than the input.
    None,
    /// Zero outside; like the next two, P = K / 2 on each side.
    Zero,
    /// Mirrored at the border without repeating the edge (-1 reads 1); needs an input larger than P.
    Reflect,
    /// The nearest edge element.
    Replicate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2d {
    pub stride: usize,
    pub padding: Padding,
    pub upsample: bool,
    pub relu: bool,
}

impl Padding {
    /// P, the number of elements added on each side.
    pub fn width(self, kernel: usize) -> usize {
        if self == Padding::None { 0 } else { kernel / 2 }
    }

    /// The element that `index` reads along an axis of `size` elements; `None` is a zero.
    pub fn source(self, index: isize, size: usize) -> Option<usize> {
        let last = size as isize - 1;
        let source = match self {
            Padding::None | Padding::Zero => index,
            Padding::Reflect if index < 0 => -index,
            Padding::Reflect if index > last => 2 * last - index,
            Padding::Reflect => index,
            Padding::Replicate => index.clamp(0, last),
        };
        let inside = (0..=last).contains(&source);
        assert!(inside || matches!(self, Padding::None | Padding::Zero), "size {size} is too small to reflect {index}");
        inside.then_some(source as usize)
    }
}

impl Conv2d {
    /// Factor by which the input is enlarged in both directions.
    fn scale(self) -> usize {
        if self.upsample { 2 } else { 1 }
    }

    /// The shape of the output: `(H + 2P - K) / s + 1` rows for an input of H rows (after enlargement); columns
    /// likewise.
    pub fn output_shape(self, x: &[usize], w: &[usize]) -> [usize; 4] {
        let (kernel, pad) = (w[2], self.padding.width(w[2]));
        let size = |input: usize| (input * self.scale() + 2 * pad - kernel) / self.stride + 1;
        [x[0], w[0], size(x[2]), size(x[3])]
    }

    /// Visits the offsets in y, w and x of every tap that reads an element of the input.
    fn taps(self, x: &[usize], w: &[usize], mut visit: impl FnMut(usize, usize, usize)) {
        assert!(x[1] == w[1] && w[2] == w[3], "a kernel of shape {w:?} does not fit an input of shape {x:?}");
        let (channels, kernel, pad) = (w[1], w[2], self.padding.width(w[2]));
        let [images, channels_out, height, width] = self.output_shape(x, w);
        // For each tap, the outputs along an axis for which it reads an element, with that element.
        let read = |outputs: usize, size: usize| -> Vec<Vec<(usize, usize)>> {
            let source = |output: usize, tap: usize| {
                let index = (self.stride * output + tap) as isize - pad as isize;
                self.padding.source(index, size * self.scale()).map(|source| (output, source / self.scale()))
            };
            (0..kernel).map(|tap| (0..outputs).filter_map(|output| source(output, tap)).collect()).collect()
        };
        let (rows, columns) = (read(height, x[2]), read(width, x[3]));
        for [n, o, c, p] in indices([images, channels_out, channels, kernel]) {
            let (y_plane, x_plane) = ((n * channels_out + o) * height, (n * channels + c) * x[2]);
            let w_offset = ((o * channels + c) * kernel + p) * kernel;
            for &(i, row) in &rows[p] {
                let (y_offset, x_offset) = ((y_plane + i) * width, (x_plane + row) * x[3]);
                for (q, columns) in columns.iter().enumerate() {
                    columns.iter().for_each(|&(j, column)| visit(y_offset + j, w_offset + q, x_offset + column));
                }
            }
        }
    }

    /// The gradient before the ReLU, given the one after it.
    fn before_relu(self, y: &Array, dy: &Array) -> Array {
        if self.relu { relu::d_input(y, dy) } else { dy.clone() }
    }
}

pub fn forward(spec: Conv2d, x: &Array, w: &Array, b: &Array) -> Array {
    assert_eq!(b.shape, w.shape[..1], "one bias per output channel");
    let mut y = Array::zeros(&spec.output_shape(&x.shape, &w.shape));
    for [n, o, i, j] in indices(y.dims()) {
        *y.at_mut([n, o, i, j]) = b.at([o]);
    }
    spec.taps(&x.shape, &w.shape, |yi, wi, xi| y.data[yi] += w.data[wi] * x.data[xi]);
    if spec.relu { relu::forward(&y) } else { y }
}

/// Here and below, `y` is the output of [`forward`], used only for the gradient of the ReLU.
pub fn d_input(spec: Conv2d, x_shape: &[usize], w: &Array, y: &Array, dy: &Array) -> Array {
    let dy = spec.before_relu(y, dy);
    let mut dx = Array::zeros(x_shape);
    spec.taps(x_shape, &w.shape, |yi, wi, xi| dx.data[xi] += w.data[wi] * dy.data[yi]);
    dx
}

pub fn d_weight(spec: Conv2d, x: &Array, w_shape: &[usize], y: &Array, dy: &Array) -> Array {
    let dy = spec.before_relu(y, dy);
    let mut dw = Array::zeros(w_shape);
    spec.taps(&x.shape, w_shape, |yi, wi, xi| dw.data[wi] += x.data[xi] * dy.data[yi]);
    dw
}

pub fn d_bias(spec: Conv2d, y: &Array, dy: &Array) -> Array {
    let dy = spec.before_relu(y, dy);
    let mut db = Array::zeros(&dy.shape[1..2]);
    for [n, o, i, j] in indices(dy.dims()) {
        *db.at_mut([o]) += dy.at([n, o, i, j]);
    }
    db
}
