//! Activations weighted by masks.

use impasto::gpu::Precision;
use impasto::internal::cases::features;

use crate::harness::check_case;

#[test]
fn masked_sum_matches_the_oracle() {
    for shape in [[1, 1, 1, 1], [2, 3, 5, 7], [1, 4, 8, 8], [3, 2, 37, 3]] {
        check_case(&features::masked_sum(shape, Precision::F32));
    }
}

#[test]
fn masked_activations_match_the_oracle() {
    for shape in [[1, 1, 1, 1], [2, 3, 5, 7], [1, 4, 8, 8], [3, 2, 37, 3]] {
        check_case(&features::masked(shape, Precision::F32));
    }
}
