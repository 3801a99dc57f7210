//! Rows and columns mixed by matrices: values computed by hand, and gradients.

use crate::reference::{Array, resample};
use crate::{assert_close, assert_gradient, project};

#[test]
fn values_by_hand() {
    let x = Array::new(&[1, 1, 2, 3], vec![1.0, 2.0, 3.0, 10.0, 20.0, 30.0]);
    let rows = Array::new(&[1, 2], vec![2.0, -1.0]);
    let columns = Array::new(&[2, 3], vec![1.0, 0.0, 0.5, 0.0, 3.0, 0.0]);
    // The mixed row is (-8, -16, -24).
    assert_close(&resample::forward(&x, [&rows, &columns]).data, &[-20.0, -48.0]);
}

#[test]
fn gradients() {
    for [height, width, new_height, new_width] in [[1, 1, 1, 1], [3, 4, 2, 6], [5, 2, 7, 1]] {
        let x = Array::random(&[2, 1, height, width], 1);
        let (rows, columns) = (Array::random(&[new_height, height], 2), Array::random(&[new_width, width], 3));
        let dy = Array::random(&[2, 1, new_height, new_width], 4);
        let dx = resample::d_input(&dy, [&rows, &columns]);
        assert_gradient(|x| project(&resample::forward(x, [&rows, &columns]), &dy), &x, &dx);
    }
}
