//! The global norm of gradients, and clipping.

use impasto::gpu::{DeviceTensor, Recorder};
use impasto::ops::clip;
use impasto::ops::vector;

use crate::harness::{SUM, check, contexts};
use crate::reference::Array;
use crate::reference::{clip as reference, vector as oracle};

fn check_norm(shapes: &[&[usize]], limit: f32) {
    let gradients: Vec<_> = (110..).zip(shapes).map(|(seed, shape)| Array::random(shape, seed)).collect();
    let slices: Vec<_> = gradients.iter().map(|g| g.data.as_slice()).collect();
    let [norm, scale] = reference::norm(&slices, f64::from(limit));
    let squares = slices.iter().map(|g| oracle::dot(g, g)).collect();
    let expected = [vec![norm], vec![scale], squares].map(Array::vector);
    let inputs: Vec<_> = gradients.iter().collect();
    check(&format!("{shapes:?} to {limit}"), &inputs, &expected.each_ref(), SUM, |rec, gradients| {
        let out = rec.transient("norm and scale", [2]);
        let squares = rec.transient("squares", [gradients.len()]);
        clip::norm(rec, gradients, limit, squares, out)?;
        // Separately, so that an error in the smaller value is not hidden by the larger one.
        let parts = [(); 2].map(|()| rec.transient("part", [1]));
        for (slot, &part) in parts.iter().enumerate() {
            let picked = rec.transient("picked", [2]);
            vector::fill(rec, picked, 0.0)?;
            let one = rec.transient("one", [1]);
            vector::fill(rec, one, 1.0)?;
            vector::dot(rec, one, one, picked, slot)?;
            vector::dot(rec, picked, out, part, 0)?;
        }
        Ok([parts.as_slice(), &[squares]].concat())
    });
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
