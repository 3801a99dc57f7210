//! Changes of size.

use impasto::gpu::{Context, Precision};
use impasto::internal::cases::resample::resampled;
use impasto::ops::resample::{self, Table, Taps, transposed};

use crate::errors::{filled, refused};
use crate::harness::{check_case, has_half};

#[test]
fn it_matches_the_oracle() {
    for (shape, to) in [
        ([1, 1, 1, 1], [1, 1]),
        ([2, 3, 9, 70], [4, 66]),
        ([1, 2, 5, 7], [130, 65]),
        ([3, 1, 16, 8], [8, 16]),
        ([1, 3, 4, 131], [1, 1]),
    ] {
        check_case(&resampled(shape, to, Precision::F32));
        if has_half() {
            check_case(&resampled(shape, to, Precision::F16));
        }
    }
}

#[test]
fn taps_of_the_gradient_are_transposed() {
    let taps = |first, weights: &[f32]| Taps { first, weights: weights.to_vec() };
    // Rows (1 2 0), (0 3 4); nothing reads what follows.
    let given = [taps(0, &[1.0, 2.0]), taps(1, &[3.0, 4.0])];
    let expected = [taps(0, &[1.0]), taps(0, &[2.0, 3.0]), taps(1, &[4.0]), taps(0, &[0.0])];
    assert_eq!(transposed(4, &given), expected);
}

#[test]
fn wrong_tables_and_sizes_are_refused() {
    let table = |context: &Context, from, first| Table::new(context, from, &[Taps { first, weights: vec![0.5, 0.5] }]);
    refused("resample", "taps", |rec| table(rec.context(), 4, 3));
    refused("resample", "taps", |rec| Table::new(rec.context(), 4, &[]));
    refused("resample", "taps", |rec| Table::new(rec.context(), 4, &[Taps { first: 0, weights: Vec::new() }]));
    for size in [[4, 5], [5, 4]] {
        refused("resample", "x", |rec| {
            let table = table(rec.context(), 4, 2)?;
            let x = filled(rec, [1, 3, size[0], size[1]]);
            resample::forward(rec, x, [&table, &table])
        });
    }
}
