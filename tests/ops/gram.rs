//! Gram matrices.

use impasto::gpu::Precision;
use impasto::internal::cases::features;

use crate::harness::check_case;

/// Up to 16 thousand products in 64 partial sums.
fn check_gram(shape: [usize; 4]) {
    check_case(&features::gram_matrix(shape, Precision::F32));
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
