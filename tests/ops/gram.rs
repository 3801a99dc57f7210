//! Gram matrices.

use impasto::ops::gram;

use crate::harness::{SUM, check};
use crate::reference::{Array, gram as reference};

/// Up to 16 thousand products in 64 partial sums.
const TOLERANCE: f64 = SUM;

fn check_gram(shape: [usize; 4]) {
    let features = Array::random(&shape, 61);
    let scale = reference::default_scale(&shape);
    let matrix = reference::forward(&features, scale);
    // Not symmetric: the gradient must symmetrise it.
    let dgram = Array::random(&matrix.shape, 62);
    let dfeatures = reference::d_input(&features, scale, &dgram);
    check(&format!("gram {shape:?}"), &[&features, &dgram], &[&matrix, &dfeatures], TOLERANCE, |rec, inputs| {
        let scale = gram::scale(inputs[0]);
        let matrix = gram::forward(rec, inputs[0], scale)?;
        Ok(vec![matrix, gram::backward(rec, inputs[0], inputs[1], scale)?])
    });
}

/// Numbers of channels around the tiles of 8, 16 and 32.
#[test]
fn channels_match_the_oracle() {
    for channels in [1, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 65] {
        check_gram([1, channels, 7, 11]);
    }
}

/// Numbers of pixels around the length of a partial sum, and a single pixel.
#[test]
fn pixels_match_the_oracle() {
    for size in [[1, 1], [1, 2], [15, 17], [16, 16], [1, 257], [23, 89], [127, 129]] {
        check_gram([1, 3, size[0], size[1]]);
    }
}

#[test]
fn batches_match_the_oracle() {
    check_gram([2, 33, 13, 41]);
    check_gram([3, 5, 31, 33]);
    check_gram([2, 64, 9, 65]);
}
