//! Known-answer tests of an adapter: every operation against f64, and a small picture of each method against a stored
//! one.
//!
//! [`examine_context_async`] examines an open context. `examine` (feature `cache`) opens an adapter and goes on after a
//! lost device. Where other kernels compute the same, it tries them; `keep` stores the variants that an installation
//! should avoid, and `avoided` reads them.

#[doc(hidden)]
pub mod case;
#[doc(hidden)]
pub mod cases;
#[cfg(feature = "cache")]
mod examine;
#[doc(hidden)]
pub mod pictures;
#[cfg(feature = "cache")]
mod watch;

#[cfg(feature = "cache")]
pub use examine::{avoided, examine, forget, keep};

use std::collections::BTreeSet;

use rayon::prelude::*;
use serde::Serialize;
use web_time::Instant;

use self::case::Case;
use self::cases::Make;
use crate::gpu::{Context, Details, Kernel, Tuning, Variant};
use crate::{Error, Result};

/// The group of the pictures among [`Report::checks`].
pub const PICTURES: &str = "pictures";

/// The result of one known-answer test.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// The kind of operation, or [`PICTURES`].
    pub group: &'static str,
    /// What was computed, and on which shapes.
    pub name: String,
    /// Largest error relative to the largest right value; for a picture, largest difference of values 0..1. `None` if
    /// there is no finite result.
    pub error: Option<f64>,
    /// Largest permitted error.
    pub tolerance: Option<f64>,
    /// Speed in 1e9 floating-point operations per second, with small shapes and all waiting included.
    pub gflop_per_second: Option<f64>,
    /// What is wrong; `None` if nothing is.
    pub fault: Option<String>,
    /// The kernels that ran; after a fault, only those that no passed test has run, if there are any.
    pub kernels: Vec<String>,
}

/// The result of an examination.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Adapter, driver, features, limits and versions.
    pub details: Details,
    /// [`Context::adapter_key`].
    pub key: String,
    /// All checks in the order in which they ran.
    pub checks: Vec<Check>,
    /// Variants that the adapter computes wrong, and whose replacement it computes right.
    pub avoid: Vec<Variant>,
    /// Variants that were tested.
    pub tested: Vec<Variant>,
    /// Checks that fail whatever is avoided.
    pub without_remedy: usize,
    /// Duration in seconds.
    pub seconds: f64,
}

impl Report {
    /// The checks that failed.
    pub fn faults(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.fault.is_some())
    }
}

/// A case that was run.
struct Measured {
    name: String,
    kernels: BTreeSet<String>,
    error: f64,
    tolerance: f64,
    gflop_per_second: Option<f64>,
}

impl Measured {
    fn is_right(&self) -> bool {
        // Not `error > tolerance`, which would accept NaN.
        self.error <= self.tolerance
    }
}

/// The tunings with which a case is checked: that of the context, and those that select all other kernels.
fn tunings(context: &Context) -> [Tuning; 4] {
    let tuning = context.tuning();
    let large = Tuning { workgroups: 1, ..tuning };
    [
        tuning,
        large,
        Tuning { tiles_from: [4, 4], ..large },
        Tuning { tiles_from: [usize::MAX; 2], workgroups: usize::MAX, ..tuning },
    ]
}

/// The kernels that a case dispatches with each of the tunings that differ in them. Compiles nothing.
fn variants(context: &Context, case: &Case) -> Result<Vec<(Tuning, Vec<Kernel>)>> {
    let mut found: Vec<(Tuning, Vec<Kernel>)> = Vec::new();
    for tuning in tunings(context) {
        let kernels = case.record(&context.with_tuning(tuning))?.kernels();
        if found.iter().all(|(_, known)| *known != kernels) {
            found.push((tuning, kernels));
        }
    }
    Ok(found)
}

/// Every kernel that [`examine`] checks in a context.
pub(crate) fn examined(context: &Context) -> Result<BTreeSet<String>> {
    let groups = cases::all(context.precision());
    let makes: Vec<_> = groups.iter().flat_map(|group| &group.cases).collect();
    let found: Vec<_> = makes.par_iter().map(|make| variants(context, &make())).collect::<Result<_>>()?;
    Ok(found.iter().flatten().flat_map(|(_, kernels)| kernels).map(Kernel::to_string).collect())
}

/// Runs a case with every tuning, twice each. Stops at the first wrong result.
async fn measure(context: &Context, case: &Case<'_>) -> Result<Measured> {
    let mut measured = Measured {
        name: case.name.clone(),
        kernels: BTreeSet::new(),
        error: 0.0,
        tolerance: case.tolerance,
        gflop_per_second: None,
    };
    for (tuning, kernels) in variants(context, case)? {
        let names = kernels.iter().map(Kernel::to_string);
        let prepared = case.record(&context.with_tuning(tuning))?.finish()?;
        // The second run finds what depends on the order of threads or on values left in memory, and is not slowed
        // by what a driver does at a first run.
        let (results, _) = case.timed_async(&prepared).await?;
        let first = case.error(&prepared, &results)?;
        let (results, seconds) = case.timed_async(&prepared).await?;
        let second = case.error(&prepared, &results)?;
        let error = if first.is_nan() || second.is_nan() { f64::NAN } else { first.max(second) };
        if !(error <= case.tolerance) {
            return Ok(Measured { kernels: names.collect(), error, ..measured });
        }
        let flops = prepared.program.flops() as f64;
        let rate = (flops > 1e6).then_some(flops / seconds * 1e-9);
        measured.gflop_per_second = [measured.gflop_per_second, rate].into_iter().flatten().reduce(f64::max);
        measured.error = measured.error.max(error);
        measured.kernels.extend(names);
    }
    Ok(measured)
}

/// Checks an open context, whose variants are not replaced by others where they fail: [`Report::avoid`] is empty. Of
/// [`pictures::METHODS`], those are painted whose nets `nets` finds: an encoder as `encoder-` and its name. `chosen` tells
/// by its name whether a group is checked; [`PICTURES`] is one. `on_check` is called before each check, with the number of
/// checks that are done and of all; an error ends the examination.
///
/// # Errors
/// A lost device; errors of `on_check`.
pub async fn examine_context_async(
    context: &Context,
    nets: &pictures::Nets<'_>,
    chosen: impl Fn(&str) -> bool,
    mut on_check: impl FnMut(usize, usize) -> Result<()>,
) -> Result<Report> {
    let began = Instant::now();
    let groups: Vec<_> = cases::all(context.precision()).into_iter().filter(|group| chosen(group.name)).collect();
    let methods: &[&str] = if chosen(PICTURES) { &pictures::METHODS } else { &[] };
    let count = groups.iter().map(|group| group.cases.len()).sum::<usize>() + methods.len();
    let mut checks = Vec::new();
    for group in groups {
        for make in group.cases {
            on_check(checks.len(), count)?;
            let result = measure(context, &make()).await;
            if let Err(error @ Error::DeviceLost(_)) = result {
                return Err(error);
            }
            checks.push(of_case(group.name, &make, result));
        }
    }
    for method in methods {
        on_check(checks.len(), count)?;
        let result = pictures::difference_async(context, method, nets).await;
        checks.extend(of_picture(pictures::title(method), result));
    }
    Ok(Report {
        details: context.details(),
        key: context.adapter_key(),
        without_remedy: checks.iter().filter(|check| check.fault.is_some()).count(),
        checks,
        avoid: Vec::new(),
        tested: Variant::ALL.into_iter().filter(|variant| context.uses(*variant)).collect(),
        seconds: began.elapsed().as_secs_f64(),
    })
}

fn of_case(group: &'static str, make: &Make, result: Result<Measured>) -> Check {
    match result {
        Ok(measured) => {
            let fault = (!measured.is_right()).then(|| match measured.error.is_finite() {
                true => format!("error {:.1e}, at most {:.0e} is right", measured.error, measured.tolerance),
                false => "results that are not finite".into(),
            });
            Check {
                group,
                name: measured.name,
                error: Some(measured.error).filter(|error| error.is_finite()),
                tolerance: Some(measured.tolerance),
                gflop_per_second: measured.gflop_per_second,
                fault,
                kernels: measured.kernels.into_iter().collect(),
            }
        }
        Err(error) => Check {
            group,
            name: make().name,
            error: None,
            tolerance: None,
            gflop_per_second: None,
            fault: Some(error.to_string()),
            kernels: Vec::new(),
        },
    }
}

/// `None` if the build does not include the nets of the method.
fn of_picture(name: String, result: Result<Option<[f64; 2]>>) -> Option<Check> {
    let (difference, fault) = match result {
        Ok(None) => return None,
        Ok(Some([error, tolerance])) => {
            // Not `error > tolerance`, which would accept NaN.
            let fault = (!(error <= tolerance)).then(|| format!("differs by {error:.3}, at most {tolerance} is right"));
            (Some([error, tolerance]), fault)
        }
        Err(error) => (None, Some(error.to_string())),
    };
    Some(Check {
        group: PICTURES,
        name,
        error: difference.map(|[error, _]| error),
        tolerance: difference.map(|[_, tolerance]| tolerance),
        gflop_per_second: None,
        fault,
        kernels: Vec::new(),
    })
}
