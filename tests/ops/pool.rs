//! 2×2 pooling.

use impasto::ops::pool::{Pool, Pooling};

use crate::harness::{EXACT, check};
use crate::reference::{self, Array};

/// Sums of at most four elements: three roundings.
const TOLERANCE: f64 = 3.0 * EXACT;

fn check_pool(kind: Pooling, ceil: bool, shape: [usize; 4], x: &Array) {
    let pool = Pool { kind, ceil };
    let twin = match kind {
        Pooling::Max => reference::pool::Pooling::Max,
        Pooling::Average => reference::pool::Pooling::Average,
    };
    let twin = reference::pool::Pool { kind: twin, ceil };
    let y = reference::pool::forward(twin, x);
    let dy = Array::random(&y.shape, 22);
    let dx = reference::pool::d_input(twin, x, &dy);
    check(&format!("{pool:?} of {shape:?}"), &[x, &dy], &[&y, &dx], TOLERANCE, |rec, inputs| {
        Ok(vec![pool.forward(rec, inputs[0])?, pool.backward(rec, inputs[0], inputs[1])?])
    });
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
            check_pool(kind, ceil, shape, &Array::distinct(&shape, 21));
        }
    }
}

/// In ceil mode, a single row, column or element forms a window.
#[test]
fn windows_are_cut_at_the_edge() {
    for kind in [Pooling::Max, Pooling::Average] {
        for shape in [[1, 1, 1, 1], [2, 3, 1, 7], [2, 3, 1, 8], [2, 3, 7, 1]] {
            check_pool(kind, true, shape, &Array::random(&shape, 23));
        }
    }
}

/// Of equal maxima, the first receives the gradient, as in torch.
#[test]
fn ties_go_to_the_first() {
    for shape in [[1, 2, 9, 11], [1, 2, 9, 12]] {
        let coarse = Array::random(&shape, 24).map(|value| (2.0 * value).round() / 2.0 + 0.25);
        check_pool(Pooling::Max, true, shape, &coarse);
    }
}
