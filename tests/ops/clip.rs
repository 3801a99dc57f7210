//! The global norm of gradients, and clipping.

use impasto::gpu::{DeviceTensor, Recorder};
use impasto::internal::cases::vectors;
use impasto::ops::clip;

use crate::harness::{check_case, contexts};

fn check_norm(shapes: &[&[usize]], limit: f32) {
    check_case(&vectors::gradient_norm(shapes, limit));
}

#[test]
fn norms_and_scales_match_the_oracle() {
    for limit in [1e-3, 0.7, 5.0, f32::MAX] {
        check_norm(&[&[1]], limit);
        check_norm(&[&[5], &[3, 2, 3, 3], &[4097]], limit);
        check_norm(&[[7usize].as_slice(); 70], limit);
    }
}

/// `[norm, scale]` of a gradient of ones in which one value is replaced.
fn norm_and_scale_with(value: f32, limit: f32) -> Vec<[f32; 2]> {
    let of = |context| {
        let gradient = DeviceTensor::from_values(context, "g", [4], &[1.0, value, 1.0, 1.0]).unwrap();
        let out = DeviceTensor::new(context, "out", [2]);
        let mut rec = Recorder::new(context);
        let (symbol, into) = (rec.pin(&gradient), rec.pin(&out));
        let squares = rec.transient("squares", [1]);
        clip::norm(&mut rec, &[symbol], limit, squares, into).unwrap();
        rec.finish().unwrap().run().unwrap();
        let out = out.read().unwrap();
        [out[0], out[1]]
    };
    contexts().map(of).collect()
}

#[test]
fn a_non_finite_norm_gives_a_scale_of_nan() {
    for (limit, scale_of_two) in [(1.0, 0.5), (f32::MAX, 1.0)] {
        for value in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30] {
            for [norm, scale] in norm_and_scale_with(value, limit) {
                assert!(!norm.is_finite() && scale.is_nan(), "{value}: norm {norm}, scale {scale}");
            }
        }
        assert!(norm_and_scale_with(1.0, limit).iter().all(|[norm, scale]| [*norm, *scale] == [2.0, scale_of_two]));
    }
}

#[test]
fn gradients_of_zero_have_a_scale_of_one() {
    for context in contexts() {
        let (gradient, out) = (DeviceTensor::new(context, "g", [9]), DeviceTensor::new(context, "out", [2]));
        let mut rec = Recorder::new(context);
        let (symbol, into) = (rec.pin(&gradient), rec.pin(&out));
        let squares = rec.transient("squares", [1]);
        clip::norm(&mut rec, &[symbol], 0.0, squares, into).unwrap();
        rec.finish().unwrap().run().unwrap();
        assert_eq!(out.read().unwrap(), [0.0, 1.0]);
    }
}
