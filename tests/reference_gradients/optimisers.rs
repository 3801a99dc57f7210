//! The vector operations and Adam: steps computed by hand.

use crate::assert_close;
use crate::reference::adam::{self, Adam};
use crate::reference::{Array, clip, compare_f64, vector};

#[test]
fn vector_operations_by_hand() {
    let (x, y) = ([3.0, -4.0], [0.5, 2.0]);
    assert_close(&vector::axpy(2.0, &x, &y), &[6.5, -6.0]);
    assert_close(&vector::scale(-0.5, &x), &[-1.5, 2.0]);
    assert_close(&[vector::dot(&x, &y), vector::l1(&x), vector::l2(&x), vector::max_abs(&x)], &[-6.5, 7.0, 5.0, 4.0]);
    assert_close(&vector::clamp(&x, -1.0, 2.5), &[2.5, -1.0]);
}

#[test]
fn clipping_by_hand() {
    assert_close(&clip::norm(&[&[2.0, -6.0], &[9.0]], 5.5), &[11.0, 0.5]);
    assert_close(&clip::norm(&[&[2.0, -6.0], &[9.0]], 11.5), &[11.0, 1.0]);
    assert_close(&clip::norm(&[&[0.0]], 0.0), &[0.0, 1.0]);
}

#[test]
fn adam_steps_by_hand() {
    let spec = Adam { learning_rate: 0.1, eps: 0.0, ..Adam::default() };
    let (mut state, mut x) = (adam::State::new(2), vec![0.0, 0.0]);
    adam::step(spec, &mut state, &mut x, &[1.0, -5.0]);
    assert_close(&x, &[-0.1, 0.1]);
    adam::step(spec, &mut state, &mut x, &[0.0, -5.0]);
    // m = 0.09 and v = 0.000999 from the first step, with corrections 1 - 0.9² = 0.19 and 1 - 0.999² = 0.001999.
    let second = (0.09 / 0.19) / (0.000999_f64 / 0.001999).sqrt();
    compare_f64(&x, &Array::vector(vec![-0.1 - 0.1 * second, 0.2]), 1e-12).unwrap();
}

#[test]
fn adam_adds_eps_to_the_root_and_decouples_weight_decay() {
    let spec = Adam { learning_rate: 0.1, eps: 1.0, weight_decay: 0.5, ..Adam::default() };
    let (mut state, mut x) = (adam::State::new(1), vec![2.0]);
    adam::step(spec, &mut state, &mut x, &[3.0]);
    compare_f64(&x, &Array::vector(vec![2.0 * 0.95 - 0.1 * 3.0 / 4.0]), 1e-12).unwrap();
    assert!((state.m[0] - 0.3).abs() < 1e-15);
}
