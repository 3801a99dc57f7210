//! Long vectors, tables of styles, and the steps of the optimisers.

use crate::Result;
use crate::doctor::case::{Case, EXACT, SUM, rounded, tolerance};
use crate::gpu::{Precision, Recorder, Tensor};
use crate::ops::{adam, clip, lbfgs, rows, vector as ops};
use crate::reference::{Array, adam as adam_reference, clip as clip_reference, rows as rows_reference, vector};

/// Scaled sums: one rounding of a product and one of a sum.
const SCALED: f64 = 2.0 * EXACT;

fn pair(length: usize) -> [Array; 2] {
    [Array::random(&[length], 31), Array::random(&[length], 32)]
}

/// Sums and copies into further tensors; a sum of a vector in f32 and a stored one.
pub fn sums(length: usize, precision: Precision) -> Case<'static> {
    let [x, y] = pair(length).map(|array| rounded(array, precision));
    let affine = Array::vector(vector::axpy(-0.75, &x.data, &vector::scale(1.5, &y.data)));
    let sum = Array::vector(vector::axpy(1.0, &x.data, &y.data));
    let tolerance = tolerance(precision, SCALED);
    let name = format!("sums of vectors of {length}");
    Case::new(name, &[&x, &y], &[&affine, &affine, &sum, &x], tolerance, move |rec, inputs| {
        let [x, y] = [ops::stored(rec, inputs[0], precision)?, ops::stored(rec, inputs[1], precision)?];
        let [into, copy] = ["affine", "copy"].map(|name| rec.transient_stored(precision, name, [length]));
        ops::affine(rec, -0.75, x, 1.5, y, into)?;
        // What an enlarger adds to the photo is stored, the photo is not.
        let enlarged = rec.transient("enlarged", [length]);
        ops::affine(rec, -0.75, inputs[0], 1.5, y, enlarged)?;
        ops::copy(rec, x, copy)?;
        Ok(vec![into, enlarged, ops::add(rec, x, y)?, copy])
    })
}

/// Stored activations of one value.
pub fn filled(length: usize, precision: Precision) -> Case<'static> {
    let filled = Array::vector(vec![-1.25; length]);
    Case::new(format!("fill, {length}"), &[], &[&filled], EXACT, move |rec, _| {
        let z = rec.transient_stored(precision, "filled", [length]);
        ops::fill(rec, z, -1.25)?;
        Ok(vec![z])
    })
}

/// Operations in place, one case each.
pub fn in_place(length: usize) -> Vec<Case<'static>> {
    let [x, z] = pair(length);
    let axpy = Array::vector(vector::axpy(0.3f32.into(), &x.data, &z.data));
    let clamped = Array::vector(vector::clamp(&z.data, -0.25, 0.5));
    let filled = Array::vector(vec![-1.25; length]);
    let quantised = Array::vector(vector::quantise(&z.data, 15.0));
    type Step = fn(&mut Recorder, Tensor, Tensor) -> Result<()>;
    let steps: [(&str, Step, Array); 4] = [
        ("scaled sum", |rec, x, z| ops::axpy(rec, 0.3, x, z), axpy),
        ("clamp", |rec, _, z| ops::clamp(rec, z, -0.25, 0.5), clamped),
        ("fill", |rec, _, z| ops::fill(rec, z, -1.25), filled),
        ("rounding to steps", |rec, _, z| ops::quantise(rec, z, 15.0), quantised),
    ];
    let case = |(name, step, expected): (&str, Step, Array)| {
        Case::new(format!("{name} in place, {length}"), &[&x, &z], &[&expected], SCALED, move |rec, inputs| {
            step(rec, inputs[0], inputs[1])?;
            Ok(vec![inputs[1]])
        })
    };
    steps.into_iter().map(case).collect()
}

/// The gradient of a clamp.
pub fn clamp_gradient(length: usize) -> Case<'static> {
    let [x, dy] = pair(length);
    let dx = Array::vector(vector::clamp_gradient(&x.data, &dy.data, -0.25, 0.5));
    Case::new(format!("clamp gradient, {length}"), &[&x, &dy], &[&dx], EXACT, |rec, inputs| {
        Ok(vec![ops::clamp_gradient(rec, inputs[0], inputs[1], -0.25, 0.5)?])
    })
}

/// Reductions to a number, one case each. Every reduction writes only its own slot.
pub fn reductions(length: usize) -> Vec<Case<'static>> {
    type Reduction = fn(&mut Recorder, Tensor, Tensor, Tensor, usize) -> Result<()>;
    let [x, y] = pair(length);
    let reductions: [(&str, Reduction, f64); 3] = [
        ("inner product", ops::dot, vector::dot(&x.data, &y.data)),
        ("sum of magnitudes", |rec, x, _, out, slot| ops::absolute_sum(rec, x, out, slot), vector::l1(&x.data)),
        ("largest magnitude", |rec, x, _, out, slot| ops::absolute_max(rec, x, out, slot), vector::max_abs(&x.data)),
    ];
    let case = |(name, reduction, value): (&str, Reduction, f64)| {
        let others = Array::random(&[3], 33).map(|other| (other * value) as f32 as f64);
        let mut expected = others.clone();
        expected.data[1] = value;
        Case::new(format!("{name} of {length}"), &[&x, &y, &others], &[&expected], SUM, move |rec, inputs| {
            reduction(rec, inputs[0], inputs[1], inputs[2], 1)?;
            Ok(vec![inputs[2]])
        })
    };
    reductions.into_iter().map(case).collect()
}

/// Rows of a table mixed for each image, and the gradient of the table, accumulated onto existing values.
pub fn mix(weights: &Array, length: usize, tolerance: f64) -> Case<'static> {
    let [images, styles] = weights.dims();
    let (table, dy) = (Array::random(&[styles, length], 151), Array::random(&[images, length], 152));
    let earlier = Array::random(&[styles, length], 153);
    let y = rows_reference::mix(weights, &table);
    let dtable = rows_reference::d_table(weights, &dy);
    let dtable = Array::new(&dtable.shape, vector::axpy(1.0, &dtable.data, &earlier.data));
    let name = format!("mix of {styles} rows of {length} for {images} images");
    Case::new(name, &[weights, &table, &dy, &earlier], &[&y, &dtable], tolerance, |rec, inputs| {
        let [weights, table, dy, dtable] = *inputs else { unreachable!() };
        let y = rows::mix(rec, weights, table)?;
        rows::mix_gradient(rec, weights, dy, dtable)?;
        Ok(vec![y, dtable])
    })
}

/// Each image multiplied by its factor.
pub fn scaled_images(shape: &[usize]) -> Case<'static> {
    let (x, factors) = (Array::random(shape, 155), Array::random(&[shape[0]], 156));
    let expected = rows_reference::scale(&x, &factors);
    Case::new(format!("images scaled, {shape:?}"), &[&x, &factors], &[&expected], EXACT, |rec, inputs| {
        Ok(vec![rows::scale(rec, inputs[0], inputs[1])?])
    })
}

/// The norm of several gradients, and the factor that clips it to `limit`.
pub fn gradient_norm(shapes: &[&[usize]], limit: f32) -> Case<'static> {
    let gradients: Vec<_> = (110..).zip(shapes).map(|(seed, shape)| Array::random(shape, seed)).collect();
    let slices: Vec<_> = gradients.iter().map(|g| g.data.as_slice()).collect();
    let [norm, scale] = clip_reference::norm(&slices, f64::from(limit));
    let squares = slices.iter().map(|g| vector::dot(g, g)).collect();
    let expected = [vec![norm], vec![scale], squares].map(Array::vector);
    let inputs: Vec<_> = gradients.iter().collect();
    let name = format!("norm of {} gradients, clipped to {limit}", shapes.len());
    Case::new(name, &inputs, &expected.each_ref(), SUM, move |rec, gradients| {
        let out = rec.transient("norm and scale", [2]);
        let squares = rec.transient("squares", [gradients.len()]);
        clip::norm(rec, gradients, limit, squares, out)?;
        // Separately, so that an error in the smaller value is not hidden by the larger one.
        let parts = [(); 2].map(|()| rec.transient("part", [1]));
        for (slot, &part) in parts.iter().enumerate() {
            let picked = rec.transient("picked", [2]);
            ops::fill(rec, picked, 0.0)?;
            let one = rec.transient("one", [1]);
            ops::fill(rec, one, 1.0)?;
            ops::dot(rec, one, one, picked, slot)?;
            ops::dot(rec, picked, out, part, 0)?;
        }
        Ok([parts.as_slice(), &[squares]].concat())
    })
}

/// The passes over L-BFGS's history: inner products, a weighted sum, and the storing of a row.
pub fn history(rows: usize, elements: usize) -> Case<'static> {
    let history = Array::random(&[rows, elements], 71);
    let [x, y] = [72, 74].map(|seed| Array::random(&[elements], seed));
    let coefficients = Array::random(&[rows + 1], 73);
    let each_row = || history.data.chunks(elements);
    let products = Array::vector(each_row().map(|row| vector::dot(row, &x.data)).collect());
    let mut direction = vector::scale(coefficients.data[rows], &x.data);
    for (row, coefficient) in each_row().zip(&coefficients.data) {
        direction = vector::axpy(*coefficient, row, &direction);
    }
    let direction = Array::vector(direction);
    let mut stored = history.clone();
    let row = vector::axpy(0.5, &x.data, &vector::scale(-0.25, &y.data));
    stored.data[(rows - 1) * elements..].copy_from_slice(&row);
    let inputs = [&history, &x, &coefficients, &y];
    let name = format!("L-BFGS history, {rows} rows of {elements}");
    Case::new(name, &inputs, &[&products, &direction, &stored], SUM, move |rec, inputs| {
        let [products, direction] = [("products", rows), ("direction", elements)].map(|(n, l)| rec.transient(n, [l]));
        lbfgs::inner(rec, inputs[0], inputs[1], products)?;
        lbfgs::combine(rec, inputs[0], inputs[1], inputs[2], direction)?;
        let params = rec.uniform(&lbfgs::StoreParams { row: rows as u32 - 1, a: 0.5, b: -0.25 });
        lbfgs::store(rec, inputs[1], inputs[3], inputs[0], params)?;
        Ok(vec![products, direction, inputs[0]])
    })
}

/// The second step of Adam with weight decay and a range, with the gradient clipped or as it is.
pub fn adam_step(length: usize, clipped: bool) -> Case<'static> {
    let [x, g, m] = [161, 162, 163].map(|seed| Array::random(&[length], seed));
    let v = Array::random(&[length], 164).map(|value| f64::from((value * value) as f32));
    let norm = Array::vector(vec![4.0, if clipped { 0.25 } else { 1.0 }]);
    let params = adam::Params {
        learning_rate: 0.01,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        correction1: (1.0 - f64::from(0.9f32).powi(2)) as f32,
        correction2: (1.0 - f64::from(0.999f32).powi(2)) as f32,
        low: -0.5,
        high: 0.5,
        weight_decay: 0.1,
    };
    let spec = adam_reference::Adam {
        learning_rate: params.learning_rate.into(),
        beta1: params.beta1.into(),
        beta2: params.beta2.into(),
        eps: params.epsilon.into(),
        weight_decay: params.weight_decay.into(),
    };
    let mut state = adam_reference::State { steps: 1, m: m.data.clone(), v: v.data.clone() };
    let mut moved = x.data.clone();
    adam_reference::step(spec, &mut state, &mut moved, &vector::scale(norm.data[1], &g.data));
    let moved = vector::clamp(&moved, params.low.into(), params.high.into());
    let [moved, new_m, new_v] = [moved, state.m, state.v].map(Array::vector);
    let name = format!("Adam{}, {length}", if clipped { " of a clipped gradient" } else { "" });
    let inputs = [&x, &g, &m, &v, &norm];
    Case::new(name, &inputs, &[&moved, &new_m, &new_v], SUM, move |rec, inputs| {
        let [x, g, m, v, norm] = *inputs else { unreachable!() };
        let uniform = rec.uniform(&params);
        adam::step(rec, x, g, [m, v], clipped.then_some(norm), uniform)?;
        Ok(vec![x, m, v])
    })
}
