//! The optimiser of the pixels.

use super::plan::Scale;
use super::{GatysSettings, Optimizer, PictureLoss};
use crate::Result;
use crate::gpu::{Context, Memory};
use crate::optim::{Adam, AdamOptions, Lbfgs, LbfgsOptions, Objective};

/// L-BFGS is unbounded, so the picture is clamped to 0..1 every so many iterations. Otherwise pixels drift out of
/// range, and clamping only at the end loses much of what a strong style gained.
const CLAMP_EVERY: usize = 20;

pub(super) enum PixelOptimizer {
    /// The optimiser, and the number of its iterations so far.
    Lbfgs(Box<Lbfgs>, usize),
    Adam(Box<Adam>),
}

impl PixelOptimizer {
    pub fn new(context: &Context, loss: &PictureLoss, settings: &GatysSettings, scale: &Scale) -> Result<Self> {
        let (x, g) = (loss.picture(), loss.gradient());
        Ok(match scale.optimizer {
            Optimizer::Lbfgs => {
                let options = LbfgsOptions { history: scale.history, ..LbfgsOptions::default() };
                PixelOptimizer::Lbfgs(Box::new(Lbfgs::new(context, x, g, options)?), 0)
            }
            Optimizer::Adam => {
                let learning_rate = settings.learning_rate;
                let options = AdamOptions { learning_rate, range: [0.0, 1.0], ..AdamOptions::default() };
                PixelOptimizer::Adam(Box::new(Adam::new(context, x, g, options)?))
            }
        })
    }

    /// Clamps the picture if it is time. To be called before each iteration.
    pub fn clamp_if_due(&mut self, loss: &PictureLoss) -> Result<()> {
        if let PixelOptimizer::Lbfgs(lbfgs, iterations) = self {
            if *iterations > 0 && iterations.is_multiple_of(CLAMP_EVERY) {
                loss.clamp()?;
                lbfgs.moved();
            }
            *iterations += 1;
        }
        Ok(())
    }

    /// Runs one iteration. Returns the loss, the number of evaluations and whether the optimiser has converged.
    pub async fn iterate(&mut self, loss: &mut impl Objective) -> Result<(f64, usize, bool)> {
        match self {
            PixelOptimizer::Lbfgs(lbfgs, _) => {
                let step = lbfgs.iterate_async(loss).await?;
                Ok((step.value, step.evaluations, step.converged))
            }
            PixelOptimizer::Adam(adam) => Ok((adam.iterate_async(loss).await?, 1, false)),
        }
    }

    /// Moves the picture back to where an iteration that ended with an error began.
    pub fn retreat(&mut self) -> Result<()> {
        match self {
            PixelOptimizer::Lbfgs(lbfgs, _) => lbfgs.retreat(),
            PixelOptimizer::Adam(_) => Ok(()),
        }
    }

    pub fn memory(&self) -> Memory {
        match self {
            PixelOptimizer::Lbfgs(lbfgs, _) => lbfgs.memory(),
            PixelOptimizer::Adam(adam) => adam.memory().clone(),
        }
    }
}
