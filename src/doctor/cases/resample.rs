//! Rows and columns mixed by tables of weights.

use super::pictures;
use crate::doctor::case::{Case, SUM, rounded};
use crate::gpu::Precision;
use crate::ops::resample::{self, Table, Taps, transposed};
use crate::ops::vector;
use crate::reference::{self, Array};

/// Taps of a side of `to` elements from one of `from`, at most five each, and the matrix that they stand for.
fn taps(from: usize, to: usize, seed: u64) -> (Vec<Taps>, Array) {
    let weights = Array::random(&[to, 5], seed);
    let mut matrix = Array::zeros(&[to, from]);
    let of = |row: usize| {
        // Rows differ in their first element and in the number of elements.
        let first = (row * from / to).saturating_sub(row % 3);
        let count = (2 + row % 4).min(from - first);
        let weights: Vec<f32> = (0..count).map(|k| weights.at([row, k]) as f32).collect();
        for (k, weight) in weights.iter().enumerate() {
            *matrix.at_mut([row, first + k]) = f64::from(*weight);
        }
        Taps { first, weights }
    };
    let taps = (0..to).map(of).collect();
    (taps, matrix)
}

/// Feature maps `[N, C, H, W]` at a size of `to` `[H', W']`, and the gradient.
pub fn resampled(shape: [usize; 4], to: [usize; 2], precision: Precision) -> Case<'static> {
    let [n, c, height, width] = shape;
    let x = rounded(Array::random(&shape, 201), precision);
    let dy = Array::random(&[n, c, to[0], to[1]], 202);
    let ((rows, row_matrix), (columns, column_matrix)) = (taps(height, to[0], 203), taps(width, to[1], 204));
    let matrices = [&row_matrix, &column_matrix];
    let y = reference::resample::forward(&x, matrices);
    let dx = reference::resample::d_input(&dy, matrices);
    let name = format!("resampling of {} channels, {} to {}x{}", c, pictures(n, height, width), to[1], to[0]);
    Case::new(name, &[&x, &dy], &[&y, &dx], SUM, move |rec, inputs| {
        let x = vector::stored(rec, inputs[0], precision)?;
        let context = rec.context().clone();
        let tables = [Table::new(&context, height, &rows)?, Table::new(&context, width, &columns)?];
        let gradients = [
            Table::new(&context, to[0], &transposed(height, &rows))?,
            Table::new(&context, to[1], &transposed(width, &columns))?,
        ];
        let y = resample::forward(rec, x, tables.each_ref())?;
        Ok(vec![y, resample::forward(rec, inputs[1], gradients.each_ref())?])
    })
}
