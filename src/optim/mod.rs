//! Optimisers of a vector on the device: a picture's pixels, or a net's parameters.

mod adam;
mod lbfgs;
mod line_search;
mod parameters;

pub use adam::{Adam, AdamOptions};
pub use lbfgs::{Lbfgs, LbfgsOptions, Step};
pub use parameters::{Parameter, ParameterAdam};

use crate::Result;

/// A function to minimise. Its point and its gradient live on the device, in the two tensors that the optimiser was made
/// with.
pub trait Objective {
    /// The function's value at the point as it stands; the gradient there is left in the gradient tensor.
    fn evaluate(&mut self) -> Result<f64>;
}
