//! Transposed 3×3 convolution with stride 2 and padding 1 (PyTorch's `ConvTranspose2d`), with an optional ReLU on its
//! output.
//!
//! With x `[N, Cin, H, W]`, w `[Cin, Cout, 3, 3]` and b `[Cout]`, each element of the input is scattered over the
//! output, which has `2H - 1 + output_padding` rows; columns likewise:
//!
//! ```text
//! y[n, o, 2i + p - 1, 2j + q - 1] = b[o] + Σ x[n,c,i,j] · w[c,o,p,q]
//! dx = Σ w · dy        dw = Σ x · dy        db[o] = Σ_{n,i,j} dy[n,o,i,j]
//! ```

use super::{Array, indices, relu};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvTranspose2d {
    pub output_padding: usize,
    pub relu: bool,
}

impl ConvTranspose2d {
    pub fn output_shape(self, x: &[usize], w: &[usize]) -> [usize; 4] {
        let size = |input: usize| 2 * input - 1 + self.output_padding;
        [x[0], w[1], size(x[2]), size(x[3])]
    }

    /// Visits the offsets in x, w and y of every product that falls inside the output.
    fn products(self, x: &[usize], w: &[usize], mut visit: impl FnMut(usize, usize, usize)) {
        let [_, _, rows, columns] = self.output_shape(x, w);
        // The element of the output that tap `p` of element `i` is added to, along an axis of `size` elements.
        let target = |i: usize, p: usize, size: usize| (2 * i + p).checked_sub(1).filter(|target| *target < size);
        for [n, c, o, i, p] in indices([x[0], x[1], w[1], x[2], w[2]]) {
            let Some(row) = target(i, p, rows) else { continue };
            let x_offset = ((n * x[1] + c) * x[2] + i) * x[3];
            let w_offset = ((c * w[1] + o) * w[2] + p) * w[3];
            let y_offset = ((n * w[1] + o) * rows + row) * columns;
            for [q, j] in indices([w[3], x[3]]) {
                if let Some(column) = target(j, q, columns) {
                    visit(x_offset + j, w_offset + q, y_offset + column);
                }
            }
        }
    }

    /// The gradient before the ReLU, given the one after it.
    fn before_relu(self, y: &Array, dy: &Array) -> Array {
        if self.relu { relu::d_input(y, dy) } else { dy.clone() }
    }
}

pub fn forward(spec: ConvTranspose2d, x: &Array, w: &Array, b: &Array) -> Array {
    let mut y = Array::zeros(&spec.output_shape(&x.shape, &w.shape));
    for [n, o, i, j] in indices(y.dims()) {
        *y.at_mut([n, o, i, j]) = b.at([o]);
    }
    spec.products(&x.shape, &w.shape, |xi, wi, yi| y.data[yi] += x.data[xi] * w.data[wi]);
    if spec.relu { relu::forward(&y) } else { y }
}

/// Here and below, `y` is the output of [`forward`], used only for the gradient of the ReLU.
pub fn d_input(spec: ConvTranspose2d, x_shape: &[usize], w: &Array, y: &Array, dy: &Array) -> Array {
    let dy = spec.before_relu(y, dy);
    let mut dx = Array::zeros(x_shape);
    spec.products(x_shape, &w.shape, |xi, wi, yi| dx.data[xi] += w.data[wi] * dy.data[yi]);
    dx
}

pub fn d_weight(spec: ConvTranspose2d, x: &Array, w_shape: &[usize], y: &Array, dy: &Array) -> Array {
    let dy = spec.before_relu(y, dy);
    let mut dw = Array::zeros(w_shape);
    spec.products(&x.shape, w_shape, |xi, wi, yi| dw.data[wi] += x.data[xi] * dy.data[yi]);
    dw
}

pub fn d_bias(spec: ConvTranspose2d, y: &Array, dy: &Array) -> Array {
    let dy = spec.before_relu(y, dy);
    let mut db = Array::zeros(&dy.shape[1..2]);
    for [n, o, i, j] in indices(dy.dims()) {
        *db.at_mut([o]) += dy.at([n, o, i, j]);
    }
    db
}
