//! Runs an operation in every way there is and holds its results against the oracle's.

use std::sync::LazyLock;

use impasto::gpu::{Context, ContextOptions, DeviceTensor, KernelClass, Recorder, Shape, Tensor};
use impasto::{Error, Result, ops};

use crate::reference::{Array, compare, vector};

/// One rounding, or none: what is copied, chosen or scaled.
pub const EXACT: f64 = 1e-7;

/// Sums of up to some thousand products: f32 rounds each to 6e-8, and the errors of a random sum grow as its root, as the
/// sum itself does.
pub const SUM: f64 = 1e-5;

/// The contexts of one class, with unchecked and with checked shaders. A class that the adapter has not is left out.
static CONTEXTS: LazyLock<Vec<[Context; 2]>> = LazyLock::new(|| {
    let open = |class, checked| Context::new(&ContextOptions { class: Some(class), checked, ..Default::default() });
    let both = |class| Ok([open(class, false)?, open(class, true)?]);
    let tiled = both(KernelClass::Tiled).unwrap_or_else(|error| panic!("{error}"));
    match both(KernelClass::Broadcast) {
        Ok(broadcast) => vec![tiled, broadcast],
        Err(Error::Argument { .. }) => vec![tiled],
        Err(error) => panic!("{error}"),
    }
});

/// A context of each class.
pub fn contexts() -> impl Iterator<Item = &'static Context> {
    CONTEXTS.iter().map(|[unchecked, _]| unchecked)
}

/// An operation takes down its dispatches on the inputs and gives the tensors that hold its results.
pub trait Operation: Fn(&mut Recorder, &[Tensor]) -> Result<Vec<Tensor>> {}

impl<F: Fn(&mut Recorder, &[Tensor]) -> Result<Vec<Tensor>>> Operation for F {}

/// Asserts that `operation` on `inputs` gives `expected`, in every class, the same bits checked and unchecked.
pub fn check(label: &str, inputs: &[&Array], expected: &[&Array], tolerance: f64, operation: impl Operation) {
    for [unchecked, checked] in CONTEXTS.iter() {
        let label = format!("{label}, {:?}", unchecked.class());
        let results = run(&label, unchecked, inputs, &operation);
        assert_eq!(results.len(), expected.len(), "{label}");
        for ((shape, values), expected) in results.iter().zip(expected) {
            assert_eq!(shape.dims(), expected.shape, "{label}");
            assert_close(&label, values, expected, tolerance);
        }
        let guarded = run(&label, checked, inputs, &operation);
        for ((_, unchecked), (_, checked)) in results.iter().zip(&guarded) {
            // But for the sign of a zero, which WGSL's `max` leaves open.
            assert_same(&format!("{label}, unchecked and checked"), unchecked, checked, |a, b| a == b);
        }
    }
}

/// Asserts that `actual` is `expected`, and that this means something: once any of some elements is wrong, it is not.
pub fn assert_close(label: &str, actual: &[f32], expected: &Array, tolerance: f64) {
    compare(actual, expected, tolerance).unwrap_or_else(|error| panic!("{label}: {error}"));
    let largest = vector::max_abs(&expected.data);
    assert!(largest > 1e-6, "{label}: zeros show nothing");
    for at in [0, actual.len() / 2, actual.len() - 1] {
        for wrong in [actual[at] + (4.0 * tolerance * largest) as f32, f32::NAN] {
            let mut tampered = actual.to_vec();
            tampered[at] = wrong;
            assert!(compare(&tampered, expected, tolerance).is_err(), "{label}: element {at} can be {wrong}");
        }
    }
}

fn assert_same(label: &str, one: &[f32], other: &[f32], same: impl Fn(f32, f32) -> bool) {
    assert_eq!(one.len(), other.len(), "{label}");
    let different = one.iter().zip(other).position(|(a, b)| !same(*a, *b));
    if let Some(at) = different {
        panic!("{label}: element {at} of {} is {:e} and {:e}", one.len(), one[at], other[at]);
    }
}

/// What `operation` gives, the same bits in both of two runs. Before each, the results and everything in between hold NaN.
fn run(label: &str, context: &Context, inputs: &[&Array], operation: &impl Operation) -> Vec<(Shape, Vec<f32>)> {
    let twice = || -> Result<_> {
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
        let once = || -> Result<Vec<_>> {
            for (tensor, input) in pinned.iter().zip(inputs) {
                tensor.write(&input.to_f32())?;
            }
            for result in &results {
                result.write(&vec![f32::NAN; result.shape().count()])?;
            }
            program.poison();
            program.run()?;
            results.iter().map(|result| Ok((result.shape(), result.read()?))).collect()
        };
        Ok([once()?, once()?])
    };
    let [first, second] = twice().unwrap_or_else(|error| panic!("{label}: {error}"));
    for ((_, first), (_, second)) in first.iter().zip(&second) {
        assert_same(&format!("{label}, one run and another"), first, second, |a, b| a.to_bits() == b.to_bits());
    }
    first
}
