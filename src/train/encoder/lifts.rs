//! Lifts: 1×1 convolutions with a ReLU that map the student's channels to the teacher's at the taps, used only in
//! training.

use crate::Result;
use crate::gpu::{Context, Recorder, Tensor};
use crate::io::HostTensor;
use crate::nets::vgg19::Activations;
use crate::nets::{ConvLayer, Tap, packed};
use crate::ops::conv2d::{Conv2d, Padding};
use crate::optim::Parameter;

/// Weights `[W, M, 1, 1]` and bias `[W]` of the lift at a tap where the teacher has W channels and the student M.
pub(super) type Lift = (Tap, [HostTensor; 2]);

/// The trainable lifts on the device.
pub(super) struct Lifts(Vec<(Tap, ConvLayer)>);

impl Lifts {
    pub(super) fn new(context: &Context, lifts: &[Lift]) -> Result<Self> {
        let lift = |rec: &mut Recorder, (tap, [weight, bias]): &Lift| {
            let [channels_out, channels_in] = [0, 1].map(|side| weight.shape[side]);
            let padding = Padding::None;
            let conv = Conv2d { channels_in, channels_out, kernel: 1, stride: 1, padding, upsample: false, relu: true };
            Ok((*tap, ConvLayer::trainable(rec, &format!("{tap}.lift"), conv, &weight.data, &bias.data)?))
        };
        packed(context, |rec| lifts.iter().map(|each| lift(rec, each)).collect()).map(Lifts)
    }

    fn at(&self, tap: Tap) -> Option<&ConvLayer> {
        self.0.iter().find(|(at, _)| *at == tap).map(|(_, lift)| lift)
    }

    /// The student's prediction of the teacher's features at a tap: its own features, through the lift if the tap has
    /// one.
    pub(super) fn forward(&self, rec: &mut Recorder, narrow: &Activations, tap: Tap) -> Result<Tensor> {
        let own = narrow.at(tap)?;
        self.at(tap).map_or(Ok(own), |lift| lift.forward(rec, own))
    }

    /// The gradient with respect to the student's features, given that of the prediction. Accumulates the lift's
    /// gradients.
    pub(super) fn backward(
        &self,
        rec: &mut Recorder,
        narrow: &Activations,
        tap: Tap,
        [lifted, dlifted]: [Tensor; 2],
    ) -> Result<Tensor> {
        let Some(lift) = self.at(tap) else { return Ok(dlifted) };
        let own = narrow.at(tap)?;
        lift.backward_parameters(rec, own, dlifted, Some(lifted))?;
        let [_, _, height, width] = own.shape.nchw("lift", "x")?;
        lift.backward(rec, dlifted, Some(lifted), [height, width])
    }

    pub(super) fn parameters(&self) -> impl Iterator<Item = Parameter> {
        self.0.iter().flat_map(|(_, lift)| lift.parameters())
    }

    pub(super) fn repack(&self, rec: &mut Recorder) -> Result<()> {
        self.0.iter().try_for_each(|(_, lift)| lift.repack(rec))
    }
}
