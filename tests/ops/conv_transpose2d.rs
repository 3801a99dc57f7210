//! Transposed convolution and its gradients with respect to the input, the weights and the bias.

use impasto::internal::cases::conv2d;
use impasto::nets::ConvLayer;
use impasto::ops::conv2d::ConvTranspose2d;

use crate::harness::{SUM, check, check_case};
use crate::reference::Array;
use crate::reference::conv_transpose2d as reference;

fn check_transposed(conv: ConvTranspose2d, images: usize, size: [usize; 2], bias: bool) {
    check_case(&conv2d::transposed(conv, images, size, bias));
}

const CONV: ConvTranspose2d = ConvTranspose2d { channels_in: 3, channels_out: 5, output_padding: 1, relu: true };

/// Odd, even and minimal pictures; both output sizes; with and without ReLU and bias.
#[test]
fn geometries_match_the_oracle() {
    for (index, size) in [[1, 1], [1, 2], [5, 7], [8, 6], [17, 9]].into_iter().enumerate() {
        for output_padding in [0, 1] {
            let [relu, bias] = [1, 2].map(|bit| (index + output_padding) & bit != 0);
            check_transposed(ConvTranspose2d { output_padding, relu, ..CONV }, 2, size, bias);
        }
    }
    for (relu, bias) in [(false, false), (false, true), (true, false), (true, true)] {
        check_transposed(ConvTranspose2d { relu, ..CONV }, 1, [3, 4], bias);
    }
}

/// Numbers of channels and pixels around the tile sizes, as outputs and as inputs.
#[test]
fn channels_match_the_oracle() {
    for channels in [1, 8, 9, 17, 32, 33, 64, 65] {
        check_transposed(ConvTranspose2d { channels_out: channels, ..CONV }, 1, [3, 5], true);
        check_transposed(ConvTranspose2d { channels_in: channels, ..CONV }, 1, [3, 5], true);
    }
    check_transposed(ConvTranspose2d { channels_in: 35, channels_out: 66, ..CONV }, 3, [5, 7], true);
    check_transposed(ConvTranspose2d { channels_out: 33, ..CONV }, 2, [33, 31], true);
}

/// A net's layer can be a transposed convolution, frozen or trainable.
#[test]
fn a_layer_matches_the_oracle() {
    let twin = reference::ConvTranspose2d { output_padding: CONV.output_padding, relu: CONV.relu };
    let (x, w, b) = (Array::random(&[2, 3, 3, 4], 117), Array::random(&[3, 5, 3, 3], 118), Array::random(&[5], 119));
    let y = reference::forward(twin, &x, &w, &b);
    let dy = Array::random(&y.shape, 120);
    let dx = reference::d_input(twin, &x.shape, &w, &y, &dy);
    for make in [ConvLayer::frozen, ConvLayer::trainable] {
        check("transposed layer", &[&x, &dy], &[&y, &dx], SUM, |rec, inputs| {
            let layer = make(rec, "layer", CONV, &w.to_f32(), &b.to_f32())?;
            assert_eq!(layer.conv().output_size([3, 4])?, [y.shape[2], y.shape[3]]);
            let y = layer.forward(rec, inputs[0])?;
            Ok(vec![y, layer.backward(rec, inputs[1], Some(y), [3, 4])?])
        });
    }
}
