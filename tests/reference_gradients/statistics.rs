//! Gram matrices, channel statistics, the loss and total variation: values computed by hand, and gradients.

use crate::reference::mean_std::MeanStd;
use crate::reference::{Array, gram, loss, mean_std, regions, total_variation};
use crate::{assert_close, assert_gradient, project};

const SHAPES: [[usize; 4]; 5] = [[1, 1, 1, 2], [1, 1, 2, 3], [2, 3, 3, 5], [1, 5, 4, 2], [2, 2, 1, 7]];

#[test]
fn gram_values_by_hand() {
    let f = Array::new(&[2, 2, 1, 2], vec![1.0, 2.0, 3.0, 4.0, -1.0, 0.0, 5.0, 1.0]);
    let g = gram::forward(&f, gram::default_scale(&f.shape));
    assert_eq!(g.shape, [2, 2, 2]);
    assert_close(&g.data, &[5.0, 11.0, 11.0, 25.0, 1.0, -5.0, -5.0, 26.0].map(|v| v / 4.0));
}

#[test]
fn gram_gradient() {
    for shape in SHAPES {
        let f = Array::random(&shape, 1);
        for scale in [gram::default_scale(&shape), 0.7] {
            // Not symmetric, unlike the gradient of any loss on G.
            let dg = Array::random(&[shape[0], shape[1], shape[1]], 2);
            assert_gradient(|f| project(&gram::forward(f, scale), &dg), &f, &gram::d_input(&f, scale, &dg));
        }
    }
}

/// The complete style loss: the squared distance of two Gram matrices.
#[test]
fn gradient_through_a_gram_matrix_and_its_loss() {
    let (f, target) = (Array::random(&[2, 3, 4, 3], 1), Array::random(&[2, 3, 3], 2));
    let g = gram::forward(&f, 0.1);
    let df = gram::d_input(&f, 0.1, &loss::d_a(&g, &target, 3.0));
    assert_gradient(|f| loss::forward(&gram::forward(f, 0.1), &target, 3.0), &f, &df);
}

/// The style loss of a region: the Gram matrix of masked features.
#[test]
fn gradient_through_a_masked_gram_matrix() {
    for shape in SHAPES {
        let (f, mask) = (Array::random(&shape, 1), Array::random(&shape[2..], 2));
        let target = Array::random(&[shape[0], shape[1], shape[1]], 3);
        let of = |f: &Array| loss::forward(&gram::forward(&regions::scale(f, &mask), 0.3), &target, 2.0);
        let masked = regions::scale(&f, &mask);
        let dg = loss::d_a(&gram::forward(&masked, 0.3), &target, 2.0);
        let df = regions::scale(&gram::d_input(&masked, 0.3, &dg), &mask);
        assert_gradient(of, &f, &df);
    }
}

#[test]
fn channel_statistics_by_hand() {
    let x = Array::new(&[1, 2, 2, 2], vec![1.0, 2.0, 3.0, 4.0, -1.0, -1.0, 1.0, 1.0]);
    let (mean, std) = mean_std::forward(MeanStd { eps: 0.0, unbiased: false }, &x);
    assert_close(&mean.data, &[2.5, 0.0]);
    assert_close(&std.data, &[1.25_f64.sqrt(), 1.0]);
    let (_, std) = mean_std::forward(MeanStd { eps: 0.5, unbiased: true }, &x);
    assert_close(&std.data, &[(5.0_f64 / 3.0 + 0.5).sqrt(), (4.0_f64 / 3.0 + 0.5).sqrt()]);
}

#[test]
fn channel_statistics_gradient() {
    for shape in SHAPES {
        for (eps, unbiased) in [(1e-5, false), (1e-5, true), (0.1, false), (0.1, true)] {
            let spec = MeanStd { eps, unbiased };
            let x = Array::random(&shape, 3);
            let (dmean, dstd) = (Array::random(&shape[..2], 4), Array::random(&shape[..2], 5));
            let f = |x: &Array| {
                let (mean, std) = mean_std::forward(spec, x);
                project(&mean, &dmean) + project(&std, &dstd)
            };
            assert_gradient(f, &x, &mean_std::d_input(spec, &x, &dmean, &dstd));
        }
    }
}

#[test]
fn loss_value_and_gradient() {
    let (a, b) = (Array::vector(vec![1.0, 2.0, -3.0]), Array::vector(vec![0.0, 4.0, -3.0]));
    assert_close(&[loss::forward(&a, &b, 0.5)], &[2.5]);
    assert_close(&loss::d_a(&a, &b, 0.5).data, &[1.0, -2.0, 0.0]);
    for shape in SHAPES {
        let (a, b) = (Array::random(&shape, 6), Array::random(&shape, 7));
        assert_gradient(|a| loss::forward(a, &b, 1.3), &a, &loss::d_a(&a, &b, 1.3));
    }
}

#[test]
fn total_variation_by_hand() {
    let x = Array::new(&[1, 1, 2, 2], vec![1.0, 2.0, 4.0, 8.0]);
    assert_close(&[total_variation::forward(&x, 1.0)], &[62.0]);
    assert_close(&total_variation::d_input(&x, 0.5).data, &[-4.0, -5.0, -1.0, 10.0]);
}

#[test]
fn total_variation_does_not_cross_channels_or_images() {
    let mut x = Array::zeros(&[2, 2, 2, 3]);
    for (i, plane) in x.data.chunks_mut(6).enumerate() {
        plane.fill(i as f64);
    }
    assert_eq!(total_variation::forward(&x, 1.0), 0.0);
}

#[test]
fn total_variation_gradient() {
    for shape in SHAPES {
        let x = Array::random(&shape, 8);
        assert_gradient(|x| total_variation::forward(x, 0.8), &x, &total_variation::d_input(&x, 0.8));
    }
}
