//! Pooling, the ReLU and the scaled hyperbolic tangent: values computed by hand, and gradients.

use crate::reference::pool::{Pool, Pooling, d_input, forward};
use crate::reference::{Array, relu, tanh};
use crate::{assert_close, assert_gradient, project};

const POOLS: [Pool; 4] = [
    Pool { kind: Pooling::Max, ceil: false },
    Pool { kind: Pooling::Max, ceil: true },
    Pool { kind: Pooling::Average, ceil: false },
    Pool { kind: Pooling::Average, ceil: true },
];

#[test]
fn pooled_values_by_hand() {
    let x = Array::new(&[1, 1, 3, 3], (1..=9).map(f64::from).collect());
    let expected: [&[f64]; 4] = [&[5.0], &[5.0, 6.0, 8.0, 9.0], &[3.0], &[3.0, 4.5, 7.5, 9.0]];
    for (spec, expected) in POOLS.into_iter().zip(expected) {
        assert_close(&forward(spec, &x).data, expected);
    }
}

#[test]
fn pooled_gradients_by_hand() {
    let x = Array::new(&[1, 1, 3, 3], (1..=9).map(f64::from).collect());
    let dy = Array::new(&[1, 1, 2, 2], vec![4.0, 2.0, -2.0, 1.0]);
    let max = d_input(Pool { kind: Pooling::Max, ceil: true }, &x, &dy);
    assert_close(&max.data, &[0.0, 0.0, 0.0, 0.0, 4.0, 2.0, 0.0, -2.0, 1.0]);
    let average = d_input(Pool { kind: Pooling::Average, ceil: true }, &x, &dy);
    assert_close(&average.data, &[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, -1.0, -1.0, 1.0]);
}

#[test]
fn the_first_of_equal_maxima_takes_the_gradient() {
    let x = Array::new(&[1, 1, 2, 6], vec![5.0, 5.0, 0.0, 7.0, 0.0, 1.0, 5.0, 5.0, 7.0, 0.0, 2.0, 2.0]);
    let dy = Array::new(&[1, 1, 1, 3], vec![1.0, 2.0, 3.0]);
    let dx = d_input(Pool { kind: Pooling::Max, ceil: false }, &x, &dy);
    assert_close(&dx.data, &[1.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0, 0.0]);
}

#[test]
fn pool_gradients() {
    for spec in POOLS {
        for shape in [[1, 1, 2, 2], [2, 3, 4, 6], [2, 2, 5, 3], [1, 2, 4, 7], [2, 1, 7, 2]] {
            let x = Array::distinct(&shape, 1);
            let dy = Array::random(&spec.output_shape(&shape), 2);
            assert_gradient(|x| project(&forward(spec, x), &dy), &x, &d_input(spec, &x, &dy));
        }
    }
}

#[test]
fn a_single_row_is_pooled_only_with_ceil() {
    let shape = [1, 2, 1, 3];
    for spec in POOLS {
        assert_eq!(spec.output_shape(&shape), if spec.ceil { [1, 2, 1, 2] } else { [1, 2, 0, 1] });
        if spec.ceil {
            let x = Array::distinct(&shape, 3);
            let dy = Array::random(&[1, 2, 1, 2], 4);
            assert_gradient(|x| project(&forward(spec, x), &dy), &x, &d_input(spec, &x, &dy));
        }
    }
}

#[test]
fn rectified_values_by_hand() {
    let x = Array::vector(vec![-2.0, -0.0, 0.0, 3.0]);
    let y = relu::forward(&x);
    assert_close(&y.data, &[0.0, 0.0, 0.0, 3.0]);
    assert_close(&relu::d_input(&y, &Array::vector(vec![1.0; 4])).data, &[0.0, 0.0, 0.0, 1.0]);
}

#[test]
fn relu_gradient() {
    for shape in [[1, 1, 2, 3], [2, 3, 5, 4]] {
        let x = Array::random(&shape, 5).map(|v| v + 0.1 * v.signum());
        let dy = Array::random(&shape, 6);
        assert_gradient(|x| project(&relu::forward(x), &dy), &x, &relu::d_input(&relu::forward(&x), &dy));
    }
}

#[test]
fn scaled_tanh_values_by_hand() {
    // tanh(ln 2) = 3/5
    let x = Array::vector([0.0, 1.0, -1.0].map(|v| v * 2.0_f64.ln()).to_vec());
    let y = tanh::forward(&x);
    assert_close(&y.data, &[0.5, 0.8, 0.2]);
    assert_close(&tanh::d_input(&y, &Array::vector(vec![1.0, 1.0, -2.0])).data, &[0.5, 0.32, -0.64]);
}

#[test]
fn scaled_tanh_gradient() {
    for shape in [[1, 1, 2, 3], [2, 3, 5, 4]] {
        let (x, dy) = (Array::random(&shape, 7).map(|v| 3.0 * v), Array::random(&shape, 8));
        assert_gradient(|x| project(&tanh::forward(x), &dy), &x, &tanh::d_input(&tanh::forward(&x), &dy));
    }
}
