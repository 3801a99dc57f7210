//! The two passes over L-BFGS's history.

use impasto::ops::lbfgs;

use crate::harness::{SUM, check};
use crate::reference::{Array, vector};

fn check_history(rows: usize, elements: usize) {
    let history = Array::random(&[rows, elements], 71);
    let x = Array::random(&[elements], 72);
    let coefficients = Array::random(&[rows + 1], 73);
    let each_row = || history.data.chunks(elements);
    let products = Array::vector(each_row().map(|row| vector::dot(row, &x.data)).collect());
    let mut direction = vector::scale(coefficients.data[rows], &x.data);
    for (row, coefficient) in each_row().zip(&coefficients.data) {
        direction = vector::axpy(*coefficient, row, &direction);
    }
    let direction = Array::vector(direction);
    let inputs = [&history, &x, &coefficients];
    check(&format!("{rows} rows of {elements}"), &inputs, &[&products, &direction], SUM, |rec, inputs| {
        let [products, direction] = [("products", rows), ("direction", elements)].map(|(n, l)| rec.transient(n, [l]));
        lbfgs::inner(rec, inputs[0], inputs[1], products)?;
        lbfgs::combine(rec, inputs[0], inputs[1], inputs[2], direction)?;
        Ok(vec![products, direction])
    });
}

#[test]
fn matches_the_oracle() {
    for (rows, elements) in
        [(1, 1), (2, 63), (3, 64), (7, 65), (20, 127), (5, 4095), (4, 4096), (3, 4097), (2, 64 * 4096 + 1)]
    {
        check_history(rows, elements);
    }
}
