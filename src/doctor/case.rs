//! An operation with inputs and the right results, and its run on a device.

use web_time::Instant;

use crate::gpu::{Context, DeviceTensor, Kernel, Precision, Program, Recorder, Shape, Tensor};
use crate::ops::vector;
use crate::reference::{Array, Worst, worst};
use crate::{Error, Result};

/// Tolerance of at most one rounding: values that are copied, selected or scaled.
pub const EXACT: f64 = 1e-7;

/// Tolerance of sums of up to some thousand products. f32 rounds each to 6e-8; the error of a random sum grows as the
/// square root of the number of terms, as does the sum itself.
pub const SUM: f64 = 1e-5;

/// Tolerance of one rounding to f16, which has 11 significant bits.
pub const HALF: f64 = 4.9e-4 + SUM;

/// The tolerance of results that are stored in `precision`, where f32 results may differ by `single`.
pub fn tolerance(precision: Precision, single: f64) -> f64 {
    match precision {
        Precision::F32 => single,
        Precision::F16 => HALF,
    }
}

/// The array with the values that a tensor of `precision` stores.
pub fn rounded(array: Array, precision: Precision) -> Array {
    match precision {
        Precision::F32 => array,
        Precision::F16 => array.map(|value| half::f16::from_f64(value).to_f64()),
    }
}

/// Records an operation's dispatches on the inputs and gives the tensors with its results.
pub trait Operation: Fn(&mut Recorder, &[Tensor]) -> Result<Vec<Tensor>> + Send + Sync {}

impl<F: Fn(&mut Recorder, &[Tensor]) -> Result<Vec<Tensor>> + Send + Sync> Operation for F {}

/// An operation, its inputs and the right results.
pub struct Case<'a> {
    /// What is computed, and on which shapes.
    pub name: String,
    /// Inputs, exact in f32.
    pub inputs: Vec<Array>,
    /// The right results.
    pub expected: Vec<Array>,
    /// Largest permitted error of a result, relative to its largest expected value.
    pub tolerance: f64,
    operation: Box<dyn Operation + 'a>,
}

/// The dispatches of a case, not yet compiled.
pub struct Recording {
    rec: Recorder,
    inputs: Vec<DeviceTensor>,
    results: Vec<DeviceTensor>,
}

/// A case that can be run.
pub struct Prepared {
    /// The program of the case.
    pub program: Program,
    inputs: Vec<DeviceTensor>,
    results: Vec<DeviceTensor>,
}

impl<'a> Case<'a> {
    /// A case from arrays in the order of the operation's inputs and results.
    pub fn new(
        name: impl Into<String>,
        inputs: &[&Array],
        expected: &[&Array],
        tolerance: f64,
        operation: impl Operation + 'a,
    ) -> Self {
        let owned = |arrays: &[&Array]| arrays.iter().map(|&array| array.clone()).collect();
        let (inputs, expected) = (owned(inputs), owned(expected));
        Case { name: name.into(), inputs, expected, tolerance, operation: Box::new(operation) }
    }

    /// Records the operation.
    pub fn record(&self, context: &Context) -> Result<Recording> {
        let mut rec = Recorder::new(context);
        let tensor = |input: &Array| DeviceTensor::new(context, "input", Shape::new(&input.shape));
        let inputs: Vec<_> = self.inputs.iter().map(tensor).collect();
        let symbols: Vec<_> = inputs.iter().map(|tensor| rec.pin(tensor)).collect();
        let mut results = Vec::new();
        for symbol in (self.operation)(&mut rec, &symbols)? {
            let result = DeviceTensor::new(context, "result", symbol.shape);
            let into = rec.pin(&result);
            vector::copy(&mut rec, symbol, into)?;
            results.push(result);
        }
        Ok(Recording { rec, inputs, results })
    }

    /// Runs the case once and gives its results. Results and transients are filled with NaN before.
    #[cfg(feature = "blocking")]
    pub fn run(&self, prepared: &Prepared) -> Result<Vec<Vec<f32>>> {
        let context = prepared.program.context();
        Ok(context.block_on(self.timed_async(prepared))?.0)
    }

    /// The results of a run and the seconds that the program took, including all waiting. Results and transients are
    /// filled with NaN before.
    pub async fn timed_async(&self, prepared: &Prepared) -> Result<(Vec<Vec<f32>>, f64)> {
        for (tensor, input) in prepared.inputs.iter().zip(&self.inputs) {
            tensor.write(&input.to_f32())?;
        }
        for result in &prepared.results {
            result.write(&vec![f32::NAN; result.shape().count()])?;
        }
        prepared.program.poison();
        let began = Instant::now();
        prepared.program.run_async().await?;
        let seconds = began.elapsed().as_secs_f64();
        let mut results = Vec::new();
        for result in &prepared.results {
            results.push(result.read_async().await?);
        }
        Ok((results, seconds))
    }

    /// The largest error of the results, each relative to its largest expected value. NaN if a result is NaN.
    ///
    /// # Errors
    /// Results of other shapes.
    pub fn error(&self, prepared: &Prepared, results: &[Vec<f32>]) -> Result<f64> {
        let shapes: Vec<_> = prepared.shapes().map(|shape| shape.dims().to_vec()).collect();
        let expected: Vec<_> = self.expected.iter().map(|array| array.shape.clone()).collect();
        if shapes != expected {
            return Err(Error::argument(self.name.clone(), "results", format!("{expected:?}"), format!("{shapes:?}")));
        }
        let error_of = |(result, expected): (&Vec<f32>, &Array)| {
            let result = Array::from_f32(&expected.shape, result);
            worst(&result.data, expected).map_or(f64::NAN, |Worst { error, .. }| error)
        };
        let errors = results.iter().zip(&self.expected).map(error_of);
        Ok(errors.fold(0.0, |largest: f64, error| if error > largest || error.is_nan() { error } else { largest }))
    }
}

impl Recording {
    /// The kernels that it dispatches.
    pub fn kernels(&self) -> Vec<Kernel> {
        self.rec.kernels()
    }

    /// Compiles the kernels and allocates the memory.
    pub fn finish(self) -> Result<Prepared> {
        Ok(Prepared { program: self.rec.finish()?, inputs: self.inputs, results: self.results })
    }
}

impl Prepared {
    /// Shapes of the results.
    pub fn shapes(&self) -> impl Iterator<Item = Shape> {
        self.results.iter().map(DeviceTensor::shape)
    }
}
