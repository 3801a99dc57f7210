//! Optimisers of vectors on the device: pixels of a picture or parameters of a net.

mod adam;
mod lbfgs;
mod line_search;
mod parameters;

pub use adam::{Adam, AdamOptions};
pub use lbfgs::{Lbfgs, LbfgsOptions, Step};
pub use parameters::{Parameter, ParameterAdam};

use crate::Result;

/// A function to minimise. Its point and its gradient are the two device tensors that the optimiser was created with.
pub trait Objective {
    /// Evaluates the function at the current point. Gives its value and leaves the gradient in the gradient tensor.
    fn evaluate_async(&mut self) -> impl Future<Output = Result<f64>>;
}
