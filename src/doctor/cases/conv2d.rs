//! Convolutions, plain and transposed, and their gradients.

use super::norm::Source;
use super::pictures;
use crate::Result;
use crate::doctor::case::{Case, HALF, SUM, rounded, tolerance};
use crate::gpu::{Precision, Recorder, Tensor};
use crate::ops::conv2d::{Conv2d, ConvTranspose2d, Padding};
use crate::ops::norm::{Affine, Norm, Over};
use crate::ops::pad::Border;
use crate::ops::vector;
use crate::reference::conv2d as reference;
use crate::reference::{Array, conv_transpose2d, norm};

/// All paddings, with those of the oracle.
pub const PADDINGS: [(Padding, reference::Padding); 4] = [
    (Padding::None, reference::Padding::None),
    (Padding::Same(Border::Zero), reference::Padding::Zero),
    (Padding::Same(Border::Reflect), reference::Padding::Reflect),
    (Padding::Same(Border::Replicate), reference::Padding::Replicate),
];

/// The input of a convolution: a batch of images, with weights shared by all or separate for each.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub images: usize,
    /// Height and width.
    pub size: [usize; 2],
    pub bias: bool,
    pub own_weights: bool,
    /// Storage of input, weights and output; gradients are f32.
    pub precision: Precision,
}

/// The oracle of a convolution.
pub fn twin(conv: Conv2d) -> reference::Conv2d {
    let known = PADDINGS.into_iter().find(|(padding, _)| *padding == conv.padding);
    let padding = known.map_or(reference::Padding::None, |(_, padding)| padding);
    reference::Conv2d { stride: conv.stride, padding, upsample: conv.upsample, relu: conv.relu }
}

/// One image of a batch, or the weights of one image.
fn part(array: &Array, parts: usize, index: usize) -> Array {
    let length = array.data.len() / parts;
    let shape = [&[array.shape[0] / parts], &array.shape[1..]].concat();
    Array::new(&shape, array.data[index * length..][..length].to_vec())
}

fn join(parts: Vec<Array>) -> Array {
    let shape = [&[parts.iter().map(|part| part.shape[0]).sum()], &parts[0].shape[1..]].concat();
    Array::new(&shape, parts.into_iter().flat_map(|part| part.data).collect())
}

fn sum(a: &Array, b: &Array) -> Array {
    Array::new(&a.shape, a.data.iter().zip(&b.data).map(|(a, b)| a + b).collect())
}

/// A copy of an input, onto which an operation accumulates.
pub fn copied<const N: usize>(rec: &mut Recorder, inputs: [Tensor; N]) -> Result<[Tensor; N]> {
    let copies = inputs.map(|input| rec.transient("sum", input.shape));
    inputs.iter().zip(&copies).try_for_each(|(&input, &copy)| vector::copy(rec, input, copy))?;
    Ok(copies)
}

/// A convolution and its input gradient.
pub fn sums(conv: Conv2d, setting: Setting) -> Case<'static> {
    let Conv2d { channels_in: c, channels_out: m, kernel: k, .. } = conv;
    let Setting { images: n, size: [height, width], precision, .. } = setting;
    let weight_sets = if setting.own_weights { n } else { 1 };
    let [x, w] = [Array::random(&[n, c, height, width], 91), Array::random(&[weight_sets * m, c, k, k], 92)];
    let [x, w] = [x, w].map(|array| rounded(array, precision));
    let b = if setting.bias { Array::random(&[m], 93) } else { Array::zeros(&[m]) };

    let twin = twin(conv);
    let weights_of = |image: usize| part(&w, weight_sets, if setting.own_weights { image } else { 0 });
    let y = join((0..n).map(|image| reference::forward(twin, &part(&x, n, image), &weights_of(image), &b)).collect());
    let dy = Array::random(&y.shape, 94);
    let gradient = |image: usize| {
        let [y, dy] = [&y, &dy].map(|array| part(array, n, image));
        reference::d_input(twin, &[1, c, height, width], &weights_of(image), &y, &dy)
    };
    let dx = join((0..n).map(gradient).collect());

    let name = format!("{} and its gradient", describe(conv, n, setting.size));
    Case::new(name, &[&x, &w, &b, &dy, &y], &[&y, &dx], tolerance(precision, SUM), move |rec, inputs| {
        let &[x, w, b, dy, y] = inputs else { unreachable!() };
        let [x, y] = [vector::stored(rec, x, precision)?, vector::stored(rec, y, precision)?];
        let [forward, backward] = conv
            .packed_count(rec.class())
            .map(|count| rec.transient_stored(precision, "packed", [weight_sets * count]));
        conv.pack(rec, w, false, forward)?;
        conv.pack(rec, w, true, backward)?;
        let result = conv.forward(rec, x, forward, setting.bias.then_some(b))?;
        let mask = conv.relu.then_some(y);
        Ok(vec![result, conv.backward(rec, dy, mask, backward, [height, width])?])
    })
}

/// The gradients of weights and bias, which are accumulated onto existing values.
pub fn parameters(conv: Conv2d, images: usize, size: [usize; 2]) -> Case<'static> {
    let Conv2d { channels_in: c, channels_out: m, kernel: k, .. } = conv;
    let x = Array::random(&[images, c, size[0], size[1]], 95);
    let w = Array::random(&[m, c, k, k], 96);
    let b = Array::random(&[m], 97);
    let twin = twin(conv);
    let y = reference::forward(twin, &x, &w, &b);
    let dy = Array::random(&y.shape, 98);
    let before = [Array::random(&w.shape, 99), Array::random(&b.shape, 100)];
    let dw = sum(&before[0], &reference::d_weight(twin, &x, &w.shape, &y, &dy));
    let db = sum(&before[1], &reference::d_bias(twin, &y, &dy));

    let inputs = [&x, &dy, &y, &before[0], &before[1]];
    let name = format!("parameter gradients of {}", describe(conv, images, size));
    Case::new(name, &inputs, &[&dw, &db, &dw], SUM, move |rec, inputs| {
        let &[x, dy, y, dw_before, db_before] = inputs else { unreachable!() };
        let mask = conv.relu.then_some(y);
        let [dw, db, alone] = copied(rec, [dw_before, db_before, dw_before])?;
        conv.backward_parameters(rec, x, dy, mask, dw, Some(db))?;
        conv.backward_parameters(rec, x, dy, mask, alone, None)?;
        Ok(vec![dw, db, alone])
    })
}

/// A convolution whose input has a deferred norm and ReLU.
pub fn of_norm(conv: Conv2d, images: usize, size: [usize; 2], precision: Precision) -> Case<'static> {
    let Conv2d { channels_in: c, channels_out: m, kernel: k, .. } = conv;
    let Source { x, gamma, beta, normalised } = Source::new([images, c, size[0], size[1]], precision);
    let [w, b] = [Array::random(&[m, c, k, k], 184), Array::random(&[m], 185)];
    let w = rounded(w, precision);
    let y = reference::forward(twin(conv), &normalised, &w, &b);
    let name = format!("{} of a norm", describe(conv, images, size));
    Case::new(name, &[&x, &gamma, &beta, &w, &b], &[&y], tolerance(precision, SUM), move |rec, inputs| {
        let &[x, gamma, beta, w, b] = inputs else { unreachable!() };
        let x = vector::stored(rec, x, precision)?;
        let packed = rec.transient_stored(precision, "packed", [conv.packed_count(rec.class())[0]]);
        conv.pack(rec, w, false, packed)?;
        let input = super::norm::deferred(rec, x, Affine { gamma, beta })?;
        Ok(vec![conv.forward(rec, input, packed, Some(b))?])
    })
}

/// The norm and ReLU of a convolution of a norm, with the moments that the convolution measures where it can.
pub fn before_norm(conv: Conv2d, over: Over, images: usize, size: [usize; 2], precision: Precision) -> Case<'static> {
    let Conv2d { channels_in: c, channels_out: m, .. } = conv;
    let Source { x, gamma: scale, beta: shift, normalised } = Source::new([images, c, size[0], size[1]], precision);
    let [w, bias] = [Array::random(&[m, c, conv.kernel, conv.kernel], 171), Array::random(&[m], 172)];
    let w = rounded(w, precision);
    let [gamma, beta] = [173, 174].map(|seed| Array::random(&[m], seed));
    let z = rounded(reference::forward(twin(conv), &normalised, &w, &bias), precision);
    let spec = norm::Norm { batch: over == Over::Batch, relu: true, eps: crate::ops::norm::EPSILON.into() };
    let y = norm::forward(spec, &z, &gamma, &beta);
    let name = format!("norm of {} of a norm", describe(conv, images, size));
    // In f16, the norm's input and its output are rounded.
    let tolerance = if precision == Precision::F16 { 3.0 * HALF } else { SUM };
    let inputs = [&x, &scale, &shift, &w, &bias, &gamma, &beta];
    Case::new(name, &inputs, &[&y], tolerance, move |rec, inputs| {
        let &[x, scale, shift, w, bias, gamma, beta] = inputs else { unreachable!() };
        let x = vector::stored(rec, x, precision)?;
        let packed = rec.transient_stored(precision, "packed", [conv.packed_count(rec.class())[0]]);
        conv.pack(rec, w, false, packed)?;
        let input = super::norm::deferred(rec, x, Affine { gamma: scale, beta: shift })?;
        let (z, moments) = conv.forward_measured(rec, input, packed, Some(bias))?;
        Ok(vec![Norm { over, relu: true }.forward(rec, z, moments, Affine { gamma, beta })?.0])
    })
}

/// A transposed convolution and all its gradients; those of parameters are accumulated onto existing values.
pub fn transposed(conv: ConvTranspose2d, images: usize, size: [usize; 2], bias: bool) -> Case<'static> {
    let ConvTranspose2d { channels_in: c, channels_out: m, output_padding, relu } = conv;
    let twin = conv_transpose2d::ConvTranspose2d { output_padding, relu };
    let x = Array::random(&[images, c, size[0], size[1]], 111);
    let w = Array::random(&[c, m, 3, 3], 112);
    let b = if bias { Array::random(&[m], 113) } else { Array::zeros(&[m]) };
    let y = conv_transpose2d::forward(twin, &x, &w, &b);
    let dy = Array::random(&y.shape, 114);
    let dx = conv_transpose2d::d_input(twin, &x.shape, &w, &y, &dy);
    let before = [Array::random(&w.shape, 115), Array::random(&b.shape, 116)];
    let dw = sum(&before[0], &conv_transpose2d::d_weight(twin, &x, &w.shape, &y, &dy));
    let db = if bias { sum(&before[1], &conv_transpose2d::d_bias(twin, &y, &dy)) } else { before[1].clone() };

    let inputs = [&x, &w, &b, &dy, &y, &before[0], &before[1]];
    let name = format!("{} and its gradients", describe_transposed(conv, images, size));
    Case::new(name, &inputs, &[&y, &dx, &dw, &db], SUM, move |rec, inputs| {
        let &[x, w, b, dy, y, dw_before, db_before] = inputs else { unreachable!() };
        let [forward, backward] = conv.packed_count(rec.class()).map(|count| rec.transient("packed", [count]));
        conv.pack(rec, w, false, forward)?;
        conv.pack(rec, w, true, backward)?;
        let result = conv.forward(rec, x, forward, bias.then_some(b))?;
        let mask = relu.then_some(y);
        let dx = conv.backward(rec, dy, mask, backward, size)?;
        let [dw, db] = copied(rec, [dw_before, db_before])?;
        conv.backward_parameters(rec, x, dy, mask, dw, bias.then_some(db))?;
        Ok(vec![result, dx, dw, db])
    })
}

/// A transposed convolution and its input gradient.
pub fn transposed_sum(conv: ConvTranspose2d, images: usize, size: [usize; 2], precision: Precision) -> Case<'static> {
    let ConvTranspose2d { channels_in: c, channels_out: m, output_padding, relu } = conv;
    let twin = conv_transpose2d::ConvTranspose2d { output_padding, relu };
    let [x, w] = [Array::random(&[images, c, size[0], size[1]], 121), Array::random(&[c, m, 3, 3], 122)];
    let [x, w] = [x, w].map(|array| rounded(array, precision));
    let b = Array::random(&[m], 123);
    let y = conv_transpose2d::forward(twin, &x, &w, &b);
    let dy = Array::random(&y.shape, 124);
    let dx = conv_transpose2d::d_input(twin, &x.shape, &w, &y, &dy);
    let name = format!("{} and its gradient", describe_transposed(conv, images, size));
    let inputs = [&x, &w, &b, &dy, &y];
    Case::new(name, &inputs, &[&y, &dx], tolerance(precision, SUM), move |rec, inputs| {
        let &[x, w, b, dy, y] = inputs else { unreachable!() };
        let [x, y] = [vector::stored(rec, x, precision)?, vector::stored(rec, y, precision)?];
        let [forward, backward] =
            conv.packed_count(rec.class()).map(|count| rec.transient_stored(precision, "packed", [count]));
        conv.pack(rec, w, false, forward)?;
        conv.pack(rec, w, true, backward)?;
        let result = conv.forward(rec, x, forward, Some(b))?;
        Ok(vec![result, conv.backward(rec, dy, relu.then_some(y), backward, size)?])
    })
}

/// A transposed convolution whose input has a deferred norm and ReLU.
pub fn transposed_of_norm(
    conv: ConvTranspose2d,
    images: usize,
    size: [usize; 2],
    precision: Precision,
) -> Case<'static> {
    let ConvTranspose2d { channels_in: c, channels_out: m, output_padding, relu } = conv;
    let twin = conv_transpose2d::ConvTranspose2d { output_padding, relu };
    let Source { x, gamma, beta, normalised } = Source::new([images, c, size[0], size[1]], precision);
    let [w, b] = [Array::random(&[c, m, 3, 3], 186), Array::random(&[m], 187)];
    let w = rounded(w, precision);
    let y = conv_transpose2d::forward(twin, &normalised, &w, &b);
    let name = format!("{} of a norm", describe_transposed(conv, images, size));
    Case::new(name, &[&x, &gamma, &beta, &w, &b], &[&y], tolerance(precision, SUM), move |rec, inputs| {
        let &[x, gamma, beta, w, b] = inputs else { unreachable!() };
        let x = vector::stored(rec, x, precision)?;
        let packed = rec.transient_stored(precision, "packed", [conv.packed_count(rec.class())[0]]);
        conv.pack(rec, w, false, packed)?;
        let input = super::norm::deferred(rec, x, Affine { gamma, beta })?;
        Ok(vec![conv.forward(rec, input, packed, Some(b))?])
    })
}

/// A short name: `conv 3x3 64->128 /2, reflected, with ReLU, 1 x 24x16`.
fn describe(conv: Conv2d, images: usize, [height, width]: [usize; 2]) -> String {
    let Conv2d { channels_in: c, channels_out: m, kernel: k, .. } = conv;
    let mut name = format!("conv {k}x{k} {c}->{m}");
    if conv.stride > 1 {
        name += &format!(" /{}", conv.stride);
    }
    if conv.upsample {
        name += " x2";
    }
    name += match conv.padding {
        Padding::None => "",
        Padding::Same(Border::Zero) => " zero",
        Padding::Same(Border::Reflect) => " reflect",
        Padding::Same(Border::Replicate) => " replicate",
    };
    if conv.relu {
        name += " relu";
    }
    format!("{name}, {}", pictures(images, height, width))
}

fn describe_transposed(conv: ConvTranspose2d, images: usize, [height, width]: [usize; 2]) -> String {
    let ConvTranspose2d { channels_in: c, channels_out: m, relu, .. } = conv;
    let relu = if relu { " relu" } else { "" };
    format!("transposed conv 3x3 {c}->{m}{relu}, {}", pictures(images, height, width))
}
