//! Tables with one row per style, from which each image takes its row.

use impasto::gpu::{DeviceTensor, Recorder};
use impasto::internal::cases::vectors;
use impasto::ops::{rows, vector};

use crate::harness::{EXACT, SUM, check, check_case, contexts};
use crate::reference::{Array, rows as reference};

/// One-hot weights for each image: one style is used several times, another not at all.
fn one_hot_weights(images: usize, styles: usize) -> Array {
    let mut weights = Array::zeros(&[images, styles]);
    (0..images).for_each(|image| *weights.at_mut([image, (2 * image + 1) % styles]) = 1.0);
    weights
}

/// Images, styles and elements: below, at and above a workgroup, and with many rows of workgroups.
const SIZES: [(usize, usize, usize); 6] = [(1, 1, 1), (2, 3, 5), (4, 2, 16), (3, 6, 67), (2, 4, 1031), (4, 12, 4096)];

#[test]
fn mix_and_its_gradient_match_the_oracle() {
    for (images, styles, length) in SIZES {
        check_case(&vectors::mix(&Array::random(&[images, styles], 150), length, SUM));
        check_case(&vectors::mix(&one_hot_weights(images, styles), length, SUM));
    }
}

/// Extracting one style's row from a body must not change a bit, whatever the other rows contain.
#[test]
fn a_single_weight_copies_its_row_exactly() {
    for (images, styles, length) in SIZES {
        let (weights, table) = (one_hot_weights(images, styles), Array::random(&[styles, length], 154));
        let expected = reference::mix(&weights, &table);
        check("one row", &[&weights, &table], &[&expected], EXACT, |rec, inputs| {
            Ok(vec![rows::mix(rec, inputs[0], inputs[1])?])
        });
    }
    for context in contexts() {
        let values = [f32::INFINITY, f32::NAN, 0.1, 3e38];
        let table = DeviceTensor::from_values(context, "table", [2, 2], &values).unwrap();
        let weights = DeviceTensor::from_values(context, "weights", [1, 2], &[0.0, 1.0]).unwrap();
        let kept = DeviceTensor::new(context, "kept", [1, 2]);
        let mut rec = Recorder::new(context);
        let [weights, table, into] = [&weights, &table, &kept].map(|tensor| rec.pin(tensor));
        let y = rows::mix(&mut rec, weights, table).unwrap();
        vector::copy(&mut rec, y, into).unwrap();
        rec.finish().unwrap().run().unwrap();
        assert_eq!(kept.read().unwrap(), values[2..]);
    }
}

#[test]
fn scale_matches_the_oracle() {
    for shape in [vec![1, 1], vec![3, 5], vec![2, 3, 3], vec![4, 2, 7, 9], vec![2, 64, 64]] {
        check_case(&vectors::scaled_images(&shape));
    }
}
