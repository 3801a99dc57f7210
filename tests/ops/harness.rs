//! Runs an operation in all configurations and compares its results with the oracle's.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use impasto::gpu::{Context, ContextOptions, KernelClass, Precision, Shape};
pub use impasto::internal::case::{Case, EXACT, HALF, Operation, SUM};
use impasto::internal::{self, Kernel, case};
use impasto::{Error, Result};

use crate::reference::{Array, compare, vector};

struct Configuration {
    how: String,
    context: Context,
    /// Held during two runs that must give the same bits. Mesa's software driver specialises a pipeline for parameter
    /// values at run time, and stops doing so if it does not help some run; an unrolled loop sums in another order.
    undisturbed: Mutex<()>,
}

/// A context of each kernel class and one with cooperative matrices, with unchecked and then with checked shaders.
/// Configurations that the adapter does not support are left out.
static CONTEXTS: LazyLock<Result<Vec<Configuration>>> = LazyLock::new(|| {
    let mut contexts = Vec::new();
    let mut add = |how: String, context| contexts.push(Configuration { how, context, undisturbed: Mutex::new(()) });
    for checked in [false, true] {
        for class in [KernelClass::Tiled, KernelClass::Broadcast] {
            match Context::new(&ContextOptions { class: Some(class), checked: Some(checked), ..Default::default() }) {
                Ok(context) => add(format!("{class:?}, checked: {checked}"), context),
                Err(Error::Argument { .. }) if class == KernelClass::Broadcast => {}
                Err(error) => return Err(error),
            }
        }
        let matrices =
            ContextOptions { precision: Precision::F16, matrices: true, checked: Some(checked), ..Default::default() };
        match Context::new(&matrices) {
            Ok(context) => add(format!("{:?}, checked: {checked}", context.matrices().unwrap()), context),
            Err(Error::Argument { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(contexts)
});

fn every_context() -> &'static [Configuration] {
    CONTEXTS.as_ref().unwrap_or_else(|error| panic!("{error}"))
}

/// A context of each class, with unchecked shaders.
pub fn contexts() -> impl Iterator<Item = &'static Context> {
    let every = every_context();
    every[..every.len() / 2].iter().map(|configuration| &configuration.context)
}

/// Whether the adapter supports storage in f16; if not, prints that the test is skipped.
pub fn has_half() -> bool {
    let has = contexts().all(Context::has_half);
    if !has {
        eprintln!("skipped: this adapter cannot store f16");
    }
    has
}

/// The array rounded to f16.
pub fn rounded(array: Array) -> Array {
    case::rounded(array, Precision::F16)
}

/// Asserts that `operation` on `inputs` gives `expected` in every configuration. Checked shaders clamp accesses out of
/// range, so an operation with such accesses cannot be correct with both kinds of shaders.
pub fn check(label: &str, inputs: &[&Array], expected: &[&Array], tolerance: f64, operation: impl Operation) {
    check_case(&Case::new(label, inputs, expected, tolerance, operation));
}

/// [`check`] of a case.
pub fn check_case(case: &Case) {
    let Case { name, expected, tolerance, .. } = case;
    for expected in expected {
        assert_tamper_proof(name, expected, *tolerance);
    }
    for configuration in every_context() {
        let label = format!("{name}, {}", configuration.how);
        let results = run(configuration, case).unwrap_or_else(|error| panic!("{label}: {error}"));
        assert_listed(&configuration.context);
        assert_eq!(results.len(), expected.len(), "{label}");
        for (Output { shape, values: [first, second] }, expected) in results.iter().zip(expected) {
            assert_eq!(shape.dims(), expected.shape, "{label}");
            compare(first, expected, *tolerance).unwrap_or_else(|error| panic!("{label}: {error}"));
            let mut pairs = first.iter().zip(second);
            let different = pairs.find(|(first, second)| first.to_bits() != second.to_bits());
            assert_eq!(different, None, "{label}: two runs give different bits");
        }
    }
}

/// The kernels that tests/shaders.rs validates.
static LISTED: LazyLock<HashSet<Kernel>> = LazyLock::new(|| internal::kernels().into_iter().collect());

/// Asserts that the list of all kernels has those that the context has compiled.
fn assert_listed(context: &Context) {
    for kernel in internal::compiled(context) {
        let kernel = Kernel { halves: Vec::new(), ..kernel };
        assert!(LISTED.contains(&kernel), "ops::kernels does not list {kernel}");
    }
}

/// Asserts that the comparison is sensitive: it must fail if one of some elements is wrong.
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

/// Results of a case in two runs.
fn run(Configuration { context, undisturbed, .. }: &Configuration, case: &Case) -> Result<Vec<Output>> {
    let prepared = case.record(context)?.finish()?;
    let undisturbed = undisturbed.lock().unwrap_or_else(PoisonError::into_inner);
    let both = case.run(&prepared)?.into_iter().zip(case.run(&prepared)?);
    drop(undisturbed);
    let outputs = prepared.shapes().zip(both);
    Ok(outputs.map(|(shape, (first, second))| Output { shape, values: [first, second] }).collect())
}
