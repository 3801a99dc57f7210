//! Long vectors.

use impasto::gpu::{DeviceTensor, Precision, Recorder};
use impasto::internal::cases::vectors;
use impasto::ops;

use crate::harness::{SUM, check, check_case, contexts};
use crate::reference::{Array, vector};

/// Lengths around a workgroup of 64, a partial sum of 4096, and 64 partial sums.
const LENGTHS: [usize; 9] = [1, 2, 63, 64, 65, 4095, 4096, 4097, 64 * 4096 + 4099];

#[test]
fn sums_match_the_oracle() {
    LENGTHS.into_iter().for_each(|length| check_case(&vectors::sums(length, Precision::F32)));
}

#[test]
fn operations_in_place_match_the_oracle() {
    LENGTHS.into_iter().flat_map(vectors::in_place).for_each(|case| check_case(&case));
}

#[test]
fn clamp_gradient_matches_the_oracle() {
    LENGTHS.into_iter().for_each(|length| check_case(&vectors::clamp_gradient(length)));
    // Below, inside and above the range, with gradients of both signs.
    let (x, dy) = ([-1.0, -1.0, 0.0, 0.0, 1.0, 1.0], [2.0, -2.0, 2.0, -2.0, 2.0, -2.0]);
    assert_eq!(vector::clamp_gradient(&x, &dy, -0.25, 0.5), [0.0, -2.0, 2.0, -2.0, 2.0, 0.0]);
}

/// Every reduction writes only its own slot.
#[test]
fn reductions_match_the_oracle() {
    LENGTHS.into_iter().flat_map(vectors::reductions).for_each(|case| check_case(&case));
}

/// A transient may use a buffer made for a longer tensor, and `fill` writes in groups of four. Elements beyond the
/// tensor's end do not belong to it.
#[test]
fn a_short_tensor_ignores_the_rest_of_its_buffer() {
    let x = Array::random(&[4097], 35);
    let expected = Array::vector(vec![0.25 * 9001.0, vector::dot(&x.data, &x.data)]);
    check("a short tensor in a long buffer", &[&x], &[&expected], SUM, |rec, inputs| {
        let [long, short, out] = [("long", 9001), ("short", 4097), ("out", 2)].map(|(n, l)| rec.transient(n, [l]));
        ops::vector::fill(rec, long, 0.5)?;
        ops::vector::dot(rec, long, long, out, 0)?;
        ops::vector::copy(rec, inputs[0], short)?;
        ops::vector::dot(rec, short, short, out, 1)?;
        Ok(vec![out])
    });
}

/// A NaN at any position is the maximum; otherwise infinity is.
#[test]
fn the_maximum_propagates_nan() {
    for context in contexts() {
        let length = 2 * 4096 + 5;
        let mut rec = Recorder::new(context);
        let [x, out] = [("x", length), ("out", 1)].map(|(name, length)| DeviceTensor::new(context, name, [length]));
        let (from, into) = (rec.pin(&x), rec.pin(&out));
        ops::vector::absolute_max(&mut rec, from, into, 0).unwrap();
        let program = rec.finish().unwrap();
        for at in [0, 1, 4095, 4096, 5000, length - 1] {
            for value in [f32::NAN, f32::NEG_INFINITY, -7.5] {
                let mut values = Array::random(&[length], 34).to_f32();
                values[at] = value;
                x.write(&values).unwrap();
                program.run().unwrap();
                let found = out.read().unwrap()[0];
                assert!(found == value.abs() || (found.is_nan() && value.is_nan()), "{value} at {at} gave {found}");
            }
        }
    }
}
