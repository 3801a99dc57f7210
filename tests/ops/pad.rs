//! Padding, enlargement, and their adjoints.

use impasto::gpu::Precision;
use impasto::internal::cases::features::{self, placement};
use impasto::ops::pad::{Border, Placement};

use crate::harness::check_case;

fn check_forward(border: Border, shape: [usize; 4], at: Placement) {
    check_case(&features::padding(border, shape, at, Precision::F32));
}

fn check_backward(border: Border, at: Placement, shape: [usize; 4]) {
    check_case(&features::padding_gradient(border, shape, at));
}

const BORDERS: [Border; 3] = [Border::Zero, Border::Reflect, Border::Replicate];

#[test]
fn forward_matches_the_oracle() {
    for border in BORDERS {
        // As much padding after the picture as before it, more, and less.
        for (shape, before, after) in [
            ([1, 1, 2, 2], 1, 1),
            ([2, 3, 5, 7], 4, 4),
            ([1, 2, 9, 31], 0, 3),
            ([3, 1, 4, 29], 1, 2),
            ([1, 17, 6, 65], 1, 0),
        ] {
            for scale in [1, 2] {
                let at = placement(shape, before, after, scale);
                check_forward(border, shape, at);
                check_case(&features::padding_of_norm(border, shape, at, Precision::F32));
            }
        }
    }
    check_forward(Border::Zero, [1, 1, 1, 1], Placement { before: 0, size: [1, 1], scale: 1 });
    check_forward(Border::Replicate, [1, 1, 1, 1], Placement { before: 4, size: [9, 9], scale: 1 });
}

/// The middle of a picture or its upper left corner, and zeros around a gradient; rows with whole vec4s and without.
#[test]
fn cuts_match_the_oracle() {
    for (shape, before, size) in
        [([2, 3, 6, 9], 2, [2, 5]), ([1, 2, 8, 31], 1, [5, 28]), ([1, 2, 7, 12], 0, [6, 11]), ([1, 1, 9, 8], 4, [1, 4])]
    {
        check_case(&features::cut(shape, before, size, Precision::F32));
    }
}

#[test]
fn backward_matches_the_oracle() {
    // Includes pictures so small that one element appears on both sides; as much padding after the picture as before
    // it, more, and less.
    for (shape, before, after) in [
        ([1, 1, 2, 2], 1, 1),
        ([1, 1, 3, 4], 1, 1),
        ([1, 2, 5, 5], 4, 4),
        ([2, 3, 6, 9], 4, 4),
        ([1, 2, 8, 31], 1, 0),
        ([1, 2, 9, 31], 0, 3),
        ([2, 1, 10, 33], 4, 1),
    ] {
        for scale in [1, 2] {
            let at = placement(shape, before, after, scale);
            BORDERS.into_iter().for_each(|border| check_backward(border, at, shape));
        }
    }
    for (shape, border) in [([1, 1, 1, 1], 4), ([2, 3, 1, 5], 1)] {
        for scale in [1, 2] {
            check_backward(Border::Replicate, placement(shape, border, border, scale), shape);
        }
    }
}
