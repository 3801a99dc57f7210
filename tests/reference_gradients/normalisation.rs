//! Instance and batch normalisation: values computed by hand, and gradients.

use crate::reference::norm::{self, Norm};
use crate::reference::{Array, indices};
use crate::{assert_close, assert_gradient, project};

#[test]
fn values_by_hand() {
    let x = Array::new(&[2, 1, 1, 2], vec![1.0, 3.0, 6.0, 14.0]);
    let (gamma, beta) = (Array::vector(vec![6.0]), Array::vector(vec![1.0]));
    let instance = Norm { batch: false, relu: false, eps: 0.0 };
    let [mean, variance] = norm::statistics(instance, &x);
    assert_eq!((mean.shape.as_slice(), variance.shape.as_slice()), ([2, 1].as_slice(), [2, 1].as_slice()));
    assert_close(&[mean.data, variance.data].concat(), &[2.0, 10.0, 1.0, 16.0]);
    assert_close(&norm::forward(instance, &x, &gamma, &beta).data, &[-5.0, 7.0, -5.0, 7.0]);
    assert_close(&norm::forward(Norm { eps: 9.0, ..instance }, &x, &gamma, &beta).data[2..], &[-3.8, 5.8]);
    assert_close(&norm::forward(Norm { relu: true, ..instance }, &x, &gamma, &beta).data, &[0.0, 7.0, 0.0, 7.0]);

    let batch = Norm { batch: true, ..instance };
    let [mean, variance] = norm::statistics(batch, &x);
    assert_close(&[mean.data.clone(), variance.data.clone()].concat(), &[6.0, 24.5]);
    let expected = [-5.0, -3.0, 0.0, 8.0].map(|centred: f64| 6.0 * centred / 24.5_f64.sqrt() + 1.0);
    assert_close(&norm::forward(batch, &x, &gamma, &beta).data, &expected);

    let running = [Array::vector(vec![2.0]), Array::vector(vec![1.0])];
    let [mean, variance] = norm::track(&running, &[mean, variance], 4, 0.25);
    assert_close(&[mean.data, variance.data].concat(), &[3.0, (3.0 + 98.0 / 3.0) / 4.0]);
}

#[test]
fn gradients() {
    for shape in [[1, 2, 2, 3], [2, 3, 3, 5], [3, 2, 1, 7], [3, 4, 1, 1]] {
        let x = Array::random(&shape, 180);
        let [gamma, beta] = [181, 182].map(|seed| Array::random(&shape[1..2], seed));
        let dy = Array::random(&shape, 123);
        for [batch, relu] in indices([2, 2]).map(|flags| flags.map(|flag| flag == 1)) {
            // A single pixel equals its mean.
            if !batch && shape[2] * shape[3] == 1 {
                continue;
            }
            for eps in [1e-5, 0.1] {
                let spec = Norm { batch, relu, eps };
                let statistics = norm::statistics(spec, &x);
                let z = norm::affine(spec, &x, &statistics, &gamma, &beta);
                assert!(!relu || z.data.iter().all(|z| z.abs() > 1e-3), "too near the rectifier's corner");
                let [dx, dgamma, dbeta] = norm::backward(spec, &x, &gamma, &beta, &dy);
                assert_gradient(|x| project(&norm::forward(spec, x, &gamma, &beta), &dy), &x, &dx);
                assert_gradient(|gamma| project(&norm::forward(spec, &x, gamma, &beta), &dy), &gamma, &dgamma);
                assert_gradient(|beta| project(&norm::forward(spec, &x, &gamma, beta), &dy), &beta, &dbeta);
            }
        }
    }
}

#[test]
fn weighted_statistics_by_hand() {
    let x = Array::new(&[1, 2, 2, 2], vec![1.0, 2.0, 3.0, 50.0, -1.0, 7.0, 1.0, 70.0]);
    let weights = Array::new(&[2, 2], vec![2.0, 1.0, 1.0, 0.0]);
    let [mean, variance] = norm::weighted_statistics(&x, &weights);
    assert_close(&mean.data, &[7.0 / 4.0, 6.0 / 4.0]);
    assert_close(&variance.data, &[11.0 / 16.0, 43.0 / 4.0]);
}
