//! The interface between a trainer and the training loop.

use super::{Crops, Folder};
use crate::Result;
use crate::gpu::{DeviceTensor, Recorder, Tensor};
#[cfg(feature = "train")]
use crate::io::Picture;
use crate::optim::Parameter;

/// What a trainer supplies to the training loop: its pictures, its loss and its parameters.
pub trait Trainer {
    /// The picture streams that a step reads, in the order in which [`Trainer::record`] receives them.
    fn streams(&self) -> Vec<(Folder, Crops)>;

    /// Names of the loss terms. The loss is their sum.
    fn terms(&self) -> Vec<String>;

    /// The trained parameters.
    fn parameters(&self) -> Vec<Parameter>;

    /// Further tensors that a checkpoint must store: statistics updated by forward passes.
    fn state(&self) -> Vec<(String, DeviceTensor)> {
        Vec::new()
    }

    /// The training picture with this `number` in a stream, counted from 0 over all steps: `found`, the crop from the
    /// stream's folder, or a picture of the trainer's own. Shape `[3, S, S]`. The result depends only on the arguments,
    /// the parameters and the state.
    fn picture(&self, _stream: usize, _number: u64, found: Vec<f32>) -> Result<Vec<f32>> {
        Ok(found)
    }

    /// Labels of picture `number` of every stream, counted from 0 over all steps, for example the weights of the
    /// styles. Every picture has the same number of labels, and they depend only on `number`.
    fn labels(&self, _number: u64) -> Vec<f32> {
        Vec::new()
    }

    /// Records the forward and backward pass of one micro-batch: writes the loss terms to `losses` and accumulates the
    /// parameters' gradients, both multiplied by `share`, the micro-batch's share of the batch. `inputs` are the
    /// pictures of each stream, `[N, 3, S, S]`, RGB 0..1, followed by the labels, `[N, L]`, if there are any.
    fn record(&self, rec: &mut Recorder, inputs: &[Tensor], losses: Tensor, share: f32) -> Result<()>;

    /// Records what must follow a change of the parameters: packing them for the kernels.
    fn refresh(&self, rec: &mut Recorder) -> Result<()>;

    /// A sample picture of the current results on fixed inputs.
    #[cfg(feature = "train")]
    fn sample(&self) -> Result<Picture>;

    /// The trainer's settings. A run can only be resumed with the same ones.
    fn settings(&self) -> serde_json::Value;
}
