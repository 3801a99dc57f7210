//! Runs an operation in every way there is and holds its results against the oracle's.

use std::sync::{LazyLock, Mutex, PoisonError};

use impasto::gpu::{Context, ContextOptions, DeviceTensor, KernelClass, Precision, Recorder, Shape, Tensor};
use impasto::{Error, Result, ops};

use crate::reference::{Array, compare, vector};

/// One rounding, or none: what is copied, chosen or scaled.
pub const EXACT: f64 = 1e-7;

/// Sums of up to some thousand products: f32 rounds each to 6e-8, and the errors of a random sum grow as its root, as the
/// sum itself does.
pub const SUM: f64 = 1e-5;

/// One rounding to f16, of which 11 bits are left.
pub const HALF: f64 = 4.9e-4 + SUM;

/// A context of each class and one with cooperative matrices, with unchecked shaders, then with checked ones. What the adapter
/// has not is left out.
static CONTEXTS: LazyLock<Result<Vec<(String, Context)>>> = LazyLock::new(|| {
    let mut contexts = Vec::new();
    for checked in [false, true] {
        for class in [KernelClass::Tiled, KernelClass::Broadcast] {
            match Context::new(&ContextOptions { class: Some(class), checked, ..Default::default() }) {
                Ok(context) => contexts.push((format!("{class:?}, checked: {checked}"), context)),
                Err(Error::Argument { .. }) if class == KernelClass::Broadcast => {}
                Err(error) => return Err(error),
            }
        }
        let matrices = ContextOptions { precision: Precision::F16, matrices: true, checked, ..Default::default() };
        match Context::new(&matrices) {
            Ok(context) => contexts.push((format!("{:?}, checked: {checked}", context.matrices().unwrap()), context)),
            Err(Error::Argument { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(contexts)
});

fn every_context() -> &'static [(String, Context)] {
    CONTEXTS.as_ref().unwrap_or_else(|error| panic!("{error}"))
}

/// A context of each class.
pub fn contexts() -> impl Iterator<Item = &'static Context> {
    let every = every_context();
    every[..every.len() / 2].iter().map(|(_, context)| context)
}

/// Whether the adapter can store f16; if not, says that a test is skipped.
pub fn has_half() -> bool {
    let has = contexts().all(Context::has_half);
    if !has {
        eprintln!("skipped: this adapter cannot store f16");
    }
    has
}

/// The array as f16 can hold it.
pub fn rounded(array: Array) -> Array {
    array.map(|value| half::f16::from_f64(value).to_f64())
}

/// An operation takes down its dispatches on the inputs and gives the tensors that hold its results.
pub trait Operation: Fn(&mut Recorder, &[Tensor]) -> Result<Vec<Tensor>> {}

impl<F: Fn(&mut Recorder, &[Tensor]) -> Result<Vec<Tensor>>> Operation for F {}

/// Asserts that `operation` on `inputs` gives `expected`, in every class, with unchecked and with checked shaders: an
/// access out of range, which checks would bend, cannot be right in both.
pub fn check(label: &str, inputs: &[&Array], expected: &[&Array], tolerance: f64, operation: impl Operation) {
    for expected in expected {
        assert_tamper_proof(label, expected, tolerance);
    }
    for (how, context) in every_context() {
        let label = format!("{label}, {how}");
        let results = run(context, inputs, &operation).unwrap_or_else(|error| panic!("{label}: {error}"));
        assert_eq!(results.len(), expected.len(), "{label}");
        for (Output { shape, values: [first, second] }, expected) in results.iter().zip(expected) {
            assert_eq!(shape.dims(), expected.shape, "{label}");
            compare(first, expected, tolerance).unwrap_or_else(|error| panic!("{label}: {error}"));
            let mut pairs = first.iter().zip(second);
            let different = pairs.find(|(first, second)| first.to_bits() != second.to_bits());
            assert_eq!(different, None, "{label}: two runs give different bits");
        }
    }
}

/// Asserts that the comparison means something: once any of some elements is wrong, it fails.
fn assert_tamper_proof(label: &str, expected: &Array, tolerance: f64) {
    let largest = vector::max_abs(&expected.data);
    assert!(largest > 1e-6, "{label}: zeros show nothing");
    let mut tampered = expected.to_f32();
    for at in [0, tampered.len() / 2, tampered.len() - 1] {
        let right = tampered[at];
        for wrong in [right + (4.0 * tolerance * largest) as f32, f32::NAN] {
            tampered[at] = wrong;
            assert!(compare(&tampered, expected, tolerance).is_err(), "{label}: element {at} can be {wrong}");
        }
        tampered[at] = right;
    }
}

/// A result after each of two runs.
struct Output {
    shape: Shape,
    values: [Vec<f32>; 2],
}

/// Mesa's software driver puts the values of parameter blocks into a shader as it runs, and stops to do so once that does
/// not help some program; a loop of three rounds unrolled adds up in another order. So nothing else runs between two runs.
static UNDISTURBED: Mutex<()> = Mutex::new(());

/// What `operation` gives. Before each run, the results and everything in between hold NaN.
fn run(context: &Context, inputs: &[&Array], operation: &impl Operation) -> Result<Vec<Output>> {
    let mut rec = Recorder::new(context);
    let tensor = |input: &&Array| DeviceTensor::new(context, "input", Shape::new(&input.shape));
    let pinned: Vec<_> = inputs.iter().map(tensor).collect();
    let symbols: Vec<_> = pinned.iter().map(|tensor| rec.pin(tensor)).collect();
    let mut results = Vec::new();
    for symbol in operation(&mut rec, &symbols)? {
        let result = DeviceTensor::new(context, "result", symbol.shape);
        let into = rec.pin(&result);
        ops::vector::copy(&mut rec, symbol, into)?;
        results.push(result);
    }
    let program = rec.finish()?;
    let run_once = || -> Result<Vec<_>> {
        for (tensor, input) in pinned.iter().zip(inputs) {
            tensor.write(&input.to_f32())?;
        }
        for result in &results {
            result.write(&vec![f32::NAN; result.shape().count()])?;
        }
        program.poison();
        program.run()?;
        results.iter().map(DeviceTensor::read).collect()
    };
    let undisturbed = UNDISTURBED.lock().unwrap_or_else(PoisonError::into_inner);
    let both = run_once()?.into_iter().zip(run_once()?);
    drop(undisturbed);
    let outputs = results.iter().zip(both);
    Ok(outputs.map(|(result, (first, second))| Output { shape: result.shape(), values: [first, second] }).collect())
}
