//! Convolution: padding, values computed by hand, and gradients.

use crate::reference::conv_transpose2d::{self, ConvTranspose2d};
use crate::reference::conv2d::{self, Conv2d, Padding, forward};
use crate::reference::{Array, indices};
use crate::{assert_close, assert_gradient, project};

const PADDINGS: [Padding; 4] = [Padding::None, Padding::Zero, Padding::Reflect, Padding::Replicate];

#[test]
fn each_padding_reads_its_own_element_outside() {
    let read = |padding: Padding| [-2, -1, 0, 3, 4, 5].map(|i| padding.source(i, 4));
    assert_eq!(read(Padding::Zero), [None, None, Some(0), Some(3), None, None]);
    assert_eq!(read(Padding::Reflect), [2, 1, 0, 3, 2, 1].map(Some));
    assert_eq!(read(Padding::Replicate), [0, 0, 0, 3, 3, 3].map(Some));
}

#[test]
#[should_panic(expected = "too small to reflect")]
fn an_input_no_larger_than_its_padding_is_not_reflected() {
    Padding::Reflect.source(-3, 3);
}

/// The kernel is 1 at its centre and -1 below and to the right of it: `y = 10 + x[i,j] - x[i+1,j+1]`.
#[test]
fn values_by_hand_with_each_padding() {
    let x = Array::new(&[1, 1, 3, 3], (1..=9).map(f64::from).collect());
    let w = Array::new(&[1, 1, 3, 3], vec![0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0]);
    let b = Array::vector(vec![10.0]);
    let expected: [&[f64]; 4] = [
        &[6.0],
        &[6.0, 6.0, 13.0, 6.0, 6.0, 16.0, 17.0, 18.0, 19.0],
        &[6.0, 6.0, 8.0, 6.0, 6.0, 8.0, 12.0, 12.0, 14.0],
        &[6.0, 6.0, 7.0, 6.0, 6.0, 7.0, 9.0, 9.0, 10.0],
    ];
    for (padding, expected) in PADDINGS.into_iter().zip(expected) {
        assert_close(&forward(Conv2d { stride: 1, padding, upsample: false, relu: false }, &x, &w, &b).data, expected);
    }
    for (padding, expected) in PADDINGS.into_iter().zip(expected).skip(1) {
        let y = forward(Conv2d { stride: 2, padding, upsample: false, relu: false }, &x, &w, &b);
        assert_eq!(y.shape, [1, 1, 2, 2]);
        assert_close(&y.data, &[0, 2, 6, 8].map(|i| expected[i]));
    }
}

#[test]
fn channels_are_mixed_by_row_of_the_weight() {
    let x = Array::new(&[1, 2, 1, 2], vec![1.0, 2.0, 3.0, 4.0]);
    let w = Array::new(&[3, 2, 1, 1], vec![1.0, 10.0, -1.0, 0.5, 0.0, -2.0]);
    let b = Array::vector(vec![0.0, 0.25, 1.0]);
    let spec = Conv2d { stride: 1, padding: Padding::Zero, upsample: false, relu: false };
    assert_close(&forward(spec, &x, &w, &b).data, &[31.0, 42.0, 0.75, 0.25, -5.0, -7.0]);
    let rectified = forward(Conv2d { relu: true, ..spec }, &x, &w, &b);
    assert_close(&rectified.data, &[31.0, 42.0, 0.75, 0.25, 0.0, 0.0]);
}

#[test]
fn output_shapes() {
    let shape = |stride, padding, h, w, k| {
        let [_, _, rows, columns] =
            Conv2d { stride, padding, upsample: false, relu: false }.output_shape(&[1, 1, h, w], &[1, 1, k, k]);
        [rows, columns]
    };
    assert_eq!(shape(1, Padding::None, 9, 10, 9), [1, 2]);
    assert_eq!(shape(1, Padding::Reflect, 9, 10, 9), [9, 10]);
    assert_eq!(shape(2, Padding::Zero, 7, 8, 3), [4, 4]);
    assert_eq!(shape(2, Padding::None, 7, 8, 3), [3, 3]);
}

#[test]
fn gradients_with_a_kernel_of_one() {
    check_gradients([2, 3, 3, 4], 2, 1);
    check_gradients([1, 1, 1, 1], 3, 1);
}

#[test]
fn gradients_with_a_kernel_of_three() {
    check_gradients([2, 2, 5, 4], 3, 3);
    check_gradients([2, 1, 3, 7], 2, 3);
    check_gradients([1, 2, 2, 3], 1, 3);
}

#[test]
fn gradients_with_a_kernel_of_nine() {
    check_gradients([1, 1, 9, 10], 2, 9);
    check_gradients([2, 2, 5, 6], 1, 9);
}

/// Every element is repeated twice in each direction before the padding: `y[i] = x[⌊(i-1)/2⌋]` for a kernel of 1 before
/// the centre.
#[test]
fn an_enlarged_input_by_hand() {
    let x = Array::new(&[1, 1, 1, 3], vec![1.0, 2.0, 3.0]);
    let w = Array::new(&[1, 1, 3, 3], vec![0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let read = |padding| {
        let y = forward(Conv2d { stride: 1, padding, upsample: true, relu: false }, &x, &w, &Array::zeros(&[1]));
        assert_eq!(y.shape, [1, 1, 2, 6]);
        assert_close(&y.data[..6], &y.data[6..]);
        y.data[..6].to_vec()
    };
    assert_close(&read(Padding::Zero), &[0.0, 1.0, 1.0, 2.0, 2.0, 3.0]);
    assert_close(&read(Padding::Reflect), &[1.0, 1.0, 1.0, 2.0, 2.0, 3.0]);
    assert_close(&read(Padding::Replicate), &[1.0, 1.0, 1.0, 2.0, 2.0, 3.0]);
}

#[test]
fn gradients_with_an_enlarged_input() {
    for padding in PADDINGS {
        let spec = Conv2d { stride: 1, padding, upsample: true, relu: false };
        check_gradients_of(spec, [2, 2, 2, 3], 2, 3);
        check_gradients_of(Conv2d { relu: true, ..spec }, [1, 1, 5, 4], 2, 3);
        check_gradients_of(spec, [1, 2, 2, 1], 2, 1);
    }
}

/// Checks the three gradients for every stride, padding and ReLU that the shape allows.
fn check_gradients(x_shape: [usize; 4], outputs: usize, kernel: usize) {
    for (padding, [stride, relu]) in PADDINGS.into_iter().flat_map(|p| indices([2, 2]).map(move |i| (p, i))) {
        let fits = x_shape[2..].iter().all(|&size| match padding {
            Padding::None => size >= kernel,
            Padding::Reflect => size > kernel / 2,
            Padding::Zero | Padding::Replicate => true,
        });
        if fits {
            check_gradients_of(
                Conv2d { stride: stride + 1, padding, upsample: false, relu: relu == 1 },
                x_shape,
                outputs,
                kernel,
            );
        }
    }
}

fn check_gradients_of(spec: Conv2d, x_shape: [usize; 4], outputs: usize, kernel: usize) {
    let w = Array::random(&[outputs, x_shape[1], kernel, kernel], 1);
    let b = Array::random(&[outputs], 2);
    let x = away_from_the_kink(&x_shape, spec.relu, |x| forward(Conv2d { relu: false, ..spec }, x, &w, &b));

    let y = forward(spec, &x, &w, &b);
    let dy = Array::random(&y.shape, 0);
    assert_gradient(|x| project(&forward(spec, x, &w, &b), &dy), &x, &conv2d::d_input(spec, &x.shape, &w, &y, &dy));
    assert_gradient(|w| project(&forward(spec, &x, w, &b), &dy), &w, &conv2d::d_weight(spec, &x, &w.shape, &y, &dy));
    assert_gradient(|b| project(&forward(spec, &x, &w, b), &dy), &b, &conv2d::d_bias(spec, &y, &dy));
}

/// An input for which, with a ReLU, there are outputs on both sides of the kink and none near it.
fn away_from_the_kink(x_shape: &[usize], relu: bool, linear: impl Fn(&Array) -> Array) -> Array {
    let suits = |x: &Array| {
        let y = linear(x).data;
        !relu || y.iter().all(|v| v.abs() > 1e-4) && y.iter().any(|&v| v > 0.0) && y.iter().any(|&v| v < 0.0)
    };
    (3..1000).map(|seed| Array::random(x_shape, seed)).find(suits).expect("no input suits")
}

/// With the kernel 1..9, the kernel's second row scatters the only row of the input (with output padding, its third row
/// too). In the columns between two inputs, the contributions of both overlap.
#[test]
fn transposed_values_by_hand() {
    let x = Array::new(&[1, 1, 1, 2], vec![1.0, 2.0]);
    let w = Array::new(&[1, 1, 3, 3], (1..=9).map(f64::from).collect());
    let b = Array::vector(vec![0.5]);
    let transposed =
        |output_padding| conv_transpose2d::forward(ConvTranspose2d { output_padding, relu: false }, &x, &w, &b);
    let [tight, padded] = [0, 1].map(transposed);
    assert_eq!((tight.shape, padded.shape), (vec![1, 1, 1, 3], vec![1, 1, 2, 4]));
    assert_close(&tight.data, &[5.5, 14.5, 10.5]);
    assert_close(&padded.data, &[5.5, 14.5, 10.5, 12.5, 8.5, 23.5, 16.5, 18.5]);
}

/// The transposed convolution is the input gradient of the convolution of stride 2.
#[test]
fn a_transposed_convolution_is_the_gradient_of_one() {
    let (x, w) = (Array::random(&[2, 3, 3, 4], 4), Array::random(&[3, 2, 3, 3], 5));
    for output_padding in [0, 1] {
        let y = conv_transpose2d::forward(ConvTranspose2d { output_padding, relu: false }, &x, &w, &Array::zeros(&[2]));
        let spec = Conv2d { stride: 2, padding: Padding::Zero, upsample: false, relu: false };
        assert_close(&y.data, &conv2d::d_input(spec, &y.shape, &w, &x, &x).data);
    }
}

#[test]
fn gradients_of_a_transposed_convolution() {
    for ([output_padding, relu], x_shape) in
        indices([2, 2]).flat_map(|spec| [[2, 3, 2, 3], [1, 1, 1, 2], [1, 2, 3, 1]].map(|shape| (spec, shape)))
    {
        let spec = ConvTranspose2d { output_padding, relu: relu == 1 };
        let w = Array::random(&[x_shape[1], 2, 3, 3], 1);
        let b = Array::random(&[2], 2);
        let forward = conv_transpose2d::forward;
        let linear = ConvTranspose2d { relu: false, ..spec };
        let x = away_from_the_kink(&x_shape, spec.relu, |x| forward(linear, x, &w, &b));

        let y = forward(spec, &x, &w, &b);
        let dy = Array::random(&y.shape, 0);
        let dx = conv_transpose2d::d_input(spec, &x.shape, &w, &y, &dy);
        let dw = conv_transpose2d::d_weight(spec, &x, &w.shape, &y, &dy);
        assert_gradient(|x| project(&forward(spec, x, &w, &b), &dy), &x, &dx);
        assert_gradient(|w| project(&forward(spec, &x, w, &b), &dy), &w, &dw);
        assert_gradient(|b| project(&forward(spec, &x, &w, b), &dy), &b, &conv_transpose2d::d_bias(spec, &y, &dy));
    }
}
