//! Tables with one row per style: values computed by hand, and gradients.

use crate::reference::{Array, rows};
use crate::{assert_close, assert_gradient, project};

#[test]
fn values_by_hand() {
    let table = Array::new(&[2, 3], vec![1.0, 2.0, 3.0, 10.0, 20.0, 30.0]);
    let weights = Array::new(&[3, 2], vec![0.0, 1.0, 1.0, 0.0, 0.5, -2.0]);
    let expected = [10.0, 20.0, 30.0, 1.0, 2.0, 3.0, -19.5, -39.0, -58.5];
    assert_close(&rows::mix(&weights, &table).data, &expected);
    let factors = Array::vector(vec![2.0, -1.0]);
    assert_close(&rows::scale(&table, &factors).data, &[2.0, 4.0, 6.0, -10.0, -20.0, -30.0]);
}

#[test]
fn gradients() {
    for (images, styles, length) in [(1, 1, 1), (2, 3, 5), (4, 2, 7), (3, 6, 4)] {
        let weights = Array::random(&[images, styles], 1);
        let (table, dy) = (Array::random(&[styles, length], 2), Array::random(&[images, length], 3));
        assert_gradient(|table| project(&rows::mix(&weights, table), &dy), &table, &rows::d_table(&weights, &dy));
        let (x, factors) = (Array::random(&[images, length], 4), Array::random(&[images], 5));
        assert_gradient(|x| project(&rows::scale(x, &factors), &dy), &x, &rows::scale(&dy, &factors));
    }
}
