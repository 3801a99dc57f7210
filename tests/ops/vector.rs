//! Long vectors.

use impasto::gpu::{DeviceTensor, Recorder, Tensor};
use impasto::{Result, ops};

use crate::harness::{EXACT, SUM, check, contexts};
use crate::reference::{Array, vector};

/// Lengths around a workgroup of 64, a partial sum of 4096, and 64 partial sums.
const LENGTHS: [usize; 9] = [1, 2, 63, 64, 65, 4095, 4096, 4097, 64 * 4096 + 4099];

/// Scaled sums: one rounding of a product and one of a sum.
const TOLERANCE: f64 = 2.0 * EXACT;

fn pair(length: usize) -> [Array; 2] {
    [Array::random(&[length], 31), Array::random(&[length], 32)]
}

#[test]
fn affine_add_and_copy_match_the_oracle() {
    for length in LENGTHS {
        let [x, y] = pair(length);
        let affine = Array::vector(vector::axpy(-0.75, &x.data, &vector::scale(1.5, &y.data)));
        let sum = Array::vector(vector::axpy(1.0, &x.data, &y.data));
        check(&format!("affine {length}"), &[&x, &y], &[&affine, &sum, &x], TOLERANCE, |rec, inputs| {
            let [into, copy] = ["affine", "copy"].map(|name| rec.transient(name, [length]));
            ops::vector::affine(rec, -0.75, inputs[0], 1.5, inputs[1], into)?;
            ops::vector::copy(rec, inputs[0], copy)?;
            Ok(vec![into, ops::vector::add(rec, inputs[0], inputs[1])?, copy])
        });
    }
}

#[test]
fn operations_in_place_match_the_oracle() {
    for length in LENGTHS {
        let [x, z] = pair(length);
        let axpy = Array::vector(vector::axpy(0.3f32.into(), &x.data, &z.data));
        let clamped = Array::vector(vector::clamp(&z.data, -0.25, 0.5));
        let filled = Array::vector(vec![-1.25; length]);
        type Step = fn(&mut Recorder, Tensor, Tensor) -> Result<()>;
        let steps: [(&str, Step, Array); 3] = [
            ("axpy", |rec, x, z| ops::vector::axpy(rec, 0.3, x, z), axpy),
            ("clamp", |rec, _, z| ops::vector::clamp(rec, z, -0.25, 0.5), clamped),
            ("fill", |rec, _, z| ops::vector::fill(rec, z, -1.25), filled),
        ];
        for (name, step, expected) in steps {
            check(&format!("{name} {length}"), &[&x, &z], &[&expected], TOLERANCE, |rec, inputs| {
                step(rec, inputs[0], inputs[1])?;
                Ok(vec![inputs[1]])
            });
        }
    }
}

#[test]
fn clamp_gradient_matches_the_oracle() {
    for length in LENGTHS {
        let [x, dy] = pair(length);
        let dx = Array::vector(vector::clamp_gradient(&x.data, &dy.data, -0.25, 0.5));
        check(&format!("clamp gradient {length}"), &[&x, &dy], &[&dx], EXACT, |rec, inputs| {
            Ok(vec![ops::vector::clamp_gradient(rec, inputs[0], inputs[1], -0.25, 0.5)?])
        });
    }
    // Below, inside and above the range, with gradients of both signs.
    let (x, dy) = ([-1.0, -1.0, 0.0, 0.0, 1.0, 1.0], [2.0, -2.0, 2.0, -2.0, 2.0, -2.0]);
    assert_eq!(vector::clamp_gradient(&x, &dy, -0.25, 0.5), [0.0, -2.0, 2.0, -2.0, 2.0, 0.0]);
}

type Reduction = fn(&mut Recorder, Tensor, Tensor, Tensor, usize) -> Result<()>;

/// Every reduction writes only its own slot.
#[test]
fn reductions_match_the_oracle() {
    for length in LENGTHS {
        let [x, y] = pair(length);
        let reductions: [(&str, Reduction, f64); 3] = [
            ("dot", ops::vector::dot, vector::dot(&x.data, &y.data)),
            ("absolute sum", |rec, x, _, out, slot| ops::vector::absolute_sum(rec, x, out, slot), vector::l1(&x.data)),
            (
                "absolute max",
                |rec, x, _, out, slot| ops::vector::absolute_max(rec, x, out, slot),
                vector::max_abs(&x.data),
            ),
        ];
        for (name, reduction, value) in reductions {
            let others = Array::random(&[3], 33).map(|other| (other * value) as f32 as f64);
            let mut expected = others.clone();
            expected.data[1] = value;
            check(&format!("{name} {length}"), &[&x, &y, &others], &[&expected], SUM, |rec, inputs| {
                reduction(rec, inputs[0], inputs[1], inputs[2], 1)?;
                Ok(vec![inputs[2]])
            });
        }
    }
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
