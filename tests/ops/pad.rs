//! Padding, enlargement, and their adjoints.

use impasto::ops::load::Input;
use impasto::ops::norm::{Affine, EPSILON};
use impasto::ops::pad::{self, Border, Placement};

use crate::harness::{EXACT, SUM, check};
use crate::load::deferred;
use crate::reference::conv2d::Padding;
use crate::reference::{Array, indices, norm};

fn twin(border: Border) -> Padding {
    match border {
        Border::Zero => Padding::Zero,
        Border::Reflect => Padding::Reflect,
        Border::Replicate => Padding::Replicate,
    }
}

/// Visits every element of the padded picture with the corresponding element of `x`.
fn shown(border: Border, at: Placement, x: &Array, mut visit: impl FnMut([usize; 4], [usize; 4])) {
    let [n, c, height, width] = x.dims();
    let source = |position: usize, size: usize| {
        let (position, scale) = (position as isize - at.before as isize, at.scale as usize);
        twin(border).source(position, size * scale).map(|source| source / scale)
    };
    for [n, c, i, j] in indices([n, c, at.size[0], at.size[1]]) {
        if let (Some(row), Some(column)) = (source(i, height), source(j, width)) {
            visit([n, c, i, j], [n, c, row, column]);
        }
    }
}

fn bordered(border: Border, at: Placement, x: &Array) -> Array {
    let mut y = Array::zeros(&[x.shape[0], x.shape[1], at.size[0], at.size[1]]);
    shown(border, at, x, |yi, xi| *y.at_mut(yi) = x.at(xi));
    y
}

fn check_forward(border: Border, shape: [usize; 4], at: Placement) {
    let [x, mask] = [81, 86].map(|seed| Array::random(&shape, seed));
    let masked = crate::reference::relu::d_input(&mask, &x);
    let [y, y_masked] = [&x, &masked].map(|x| bordered(border, at, x));
    let label = format!("pad {shape:?} {border:?} {at:?}");
    check(&label, &[&x, &mask], &[&y, &y_masked], EXACT, |rec, inputs| {
        let y = pad::forward(rec, inputs[0], border, at)?;
        Ok(vec![y, pad::forward(rec, Input::masked(inputs[0], inputs[1]), border, at)?])
    });
}

/// Checks the padding of `x` with a deferred norm and ReLU.
fn check_deferred(border: Border, shape: [usize; 4], at: Placement) {
    let x = Array::random(&shape, 87);
    let [gamma, beta] = [88, 89].map(|seed| Array::random(&shape[1..2], seed));
    let twin = norm::Norm { batch: false, relu: true, eps: EPSILON.into() };
    let y = bordered(border, at, &norm::forward(twin, &x, &gamma, &beta));
    let label = format!("pad of a norm {shape:?} {border:?} {at:?}");
    check(&label, &[&x, &gamma, &beta], &[&y], SUM, |rec, inputs| {
        let [x, gamma, beta] = *inputs else { unreachable!() };
        let input = deferred(rec, x, Affine { gamma, beta })?;
        Ok(vec![pad::forward(rec, input, border, at)?])
    });
}

fn check_backward(border: Border, at: Placement, shape: [usize; 4]) {
    let [n, c, height, width] = shape;
    let dy = Array::random(&[n, c, at.size[0], at.size[1]], 83);
    let mut dx = Array::zeros(&shape);
    shown(border, at, &Array::zeros(&shape), |yi, xi| *dx.at_mut(xi) += dy.at(yi));
    check(&format!("pad gradient {shape:?} {border:?} {at:?}"), &[&dy], &[&dx], SUM, |rec, inputs| {
        Ok(vec![pad::backward(rec, inputs[0], border, at, [height, width])?])
    });
}

fn placement(shape: [usize; 4], before: usize, after: usize, scale: usize) -> Placement {
    let size = [shape[2], shape[3]].map(|side| scale * side + before + after);
    Placement { before, size, scale: scale as u32 }
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
                check_deferred(border, shape, at);
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
        let [n, c, ..] = shape;
        let x = Array::random(&shape, 84);
        let within = |[n, c, i, j]: [usize; 4]| [n, c, i + before, j + before];
        let part = indices([n, c, size[0], size[1]]).map(|at| x.at(within(at)));
        let y = Array::new(&[n, c, size[0], size[1]], part.collect());
        let mut dx = Array::zeros(&shape);
        indices([n, c, size[0], size[1]]).for_each(|at| *dx.at_mut(within(at)) = y.at(at));
        check(&format!("cut {size:?} from {before} of {shape:?}"), &[&x], &[&y, &dx], EXACT, |rec, inputs| {
            let y = pad::cut(rec, inputs[0], before, size)?;
            Ok(vec![y, pad::cut_gradient(rec, y, before, inputs[0])?])
        });
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
