//! 2×2 pooling.

use impasto::gpu::Precision;
use impasto::internal::cases::features;
use impasto::ops::pool::Pooling;

use crate::harness::check_case;
use crate::reference::Array;

fn check_pool(kind: Pooling, ceil: bool, x: &Array) {
    check_case(&features::pool(kind, ceil, x, Precision::F32));
}

const CASES: [(Pooling, bool); 4] =
    [(Pooling::Max, false), (Pooling::Max, true), (Pooling::Average, false), (Pooling::Average, true)];

#[test]
fn matches_the_oracle() {
    let shapes = [
        [1, 1, 2, 2],
        [1, 1, 3, 2],
        [1, 3, 3, 4],
        [2, 3, 7, 5],
        [2, 1, 3, 31],
        [1, 2, 4, 32],
        [1, 2, 5, 33],
        [3, 17, 13, 65],
        [2, 3, 7, 132],
    ];
    for (kind, ceil) in CASES {
        for shape in shapes {
            check_pool(kind, ceil, &Array::distinct(&shape, 21));
        }
    }
}

/// In ceil mode, a single row, column or element forms a window.
#[test]
fn windows_are_cut_at_the_edge() {
    for kind in [Pooling::Max, Pooling::Average] {
        for shape in [[1, 1, 1, 1], [2, 3, 1, 7], [2, 3, 1, 8], [2, 3, 7, 1]] {
            check_pool(kind, true, &Array::random(&shape, 23));
        }
    }
}

/// Of equal maxima, the first receives the gradient, as in torch.
#[test]
fn ties_go_to_the_first() {
    for shape in [[1, 2, 9, 11], [1, 2, 9, 12]] {
        let coarse = Array::random(&shape, 24).map(|value| (2.0 * value).round() / 2.0 + 0.25);
        check_pool(Pooling::Max, true, &coarse);
    }
}
