//! What a trainer adds to the shared loop.

use super::{Crops, Folder};
use crate::Result;
use crate::gpu::{DeviceTensor, Recorder, Tensor};
use crate::io::Picture;
use crate::optim::Parameter;

/// What a trainer adds to the shared loop: its pictures, its loss, its parameters.
pub trait Lesson {
    /// The pictures that a step reads: a stream for each kind, in the order in which [`Lesson::record`] gets them.
    fn streams(&self) -> Vec<(Folder, Crops)>;

    /// The names of the loss's terms. Their sum is the loss.
    fn terms(&self) -> Vec<String>;

    /// What is trained.
    fn parameters(&self) -> Vec<Parameter>;

    /// What else must be as it was when training goes on: statistics that a forward pass updates.
    fn state(&self) -> Vec<(String, DeviceTensor)> {
        Vec::new()
    }

    /// What is learned from as picture `number` of a stream, counted from 0 over all steps: the one that was `found` in its
    /// folder, or one of the lesson's own. Apart from the arguments it depends on parameters and state alone.
    fn picture(&self, _stream: usize, _number: u64, found: Vec<f32>) -> Result<Vec<f32>> {
        Ok(found)
    }

    /// Numbers that go with picture `number` of every stream, counted from 0 over all steps, as many for each: which style it is to
    /// have. They depend on the arguments alone.
    fn labels(&self, _number: u64) -> Vec<f32> {
        Vec::new()
    }

    /// Records forward and backward of one micro-batch: the loss's terms into `losses`, the gradients added to those of the
    /// parameters, both times `share`, the micro-batch's part of the batch. `inputs` are each stream's pictures, `[N, 3, S, S]`,
    /// RGB 0..1, and, if there are any, their labels, `[N, L]`.
    fn record(&self, rec: &mut Recorder, inputs: &[Tensor], losses: Tensor, share: f32) -> Result<()>;

    /// Records what is due when the parameters have changed: packing them for the kernels.
    fn refresh(&self, rec: &mut Recorder) -> Result<()>;

    /// A picture of what has been learned so far, on fixed inputs.
    fn sample(&self) -> Result<Picture>;

    /// Its choices: training goes on only with the same ones.
    fn settings(&self) -> serde_json::Value;
}
