//! Rows and columns of x `[N, C, H, W]` mixed by matrices: y = R x Cᵀ for each plane, with R `[H', H]` and C `[W', W]`.
//! The gradient is dx = Rᵀ dy C.

use super::{Array, indices};

pub fn forward(x: &Array, [rows, columns]: [&Array; 2]) -> Array {
    let [n, c, height, width] = x.dims();
    let ([new_height, from_height], [new_width, from_width]) = (rows.dims(), columns.dims());
    assert_eq!([from_height, from_width], [height, width], "matrices for another size");
    let mut y = Array::zeros(&[n, c, new_height, new_width]);
    for [n, c, i, j] in indices([n, c, new_height, new_width]) {
        *y.at_mut([n, c, i, j]) =
            indices([height, width]).map(|[p, q]| rows.at([i, p]) * columns.at([j, q]) * x.at([n, c, p, q])).sum();
    }
    y
}

pub fn d_input(dy: &Array, [rows, columns]: [&Array; 2]) -> Array {
    forward(dy, [&transposed(rows), &transposed(columns)])
}

fn transposed(matrix: &Array) -> Array {
    let [rows, columns] = matrix.dims();
    let data = indices([columns, rows]).map(|[column, row]| matrix.at([row, column])).collect();
    Array::new(&[columns, rows], data)
}
