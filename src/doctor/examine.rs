//! The examination of an adapter that a user chose, and the file that keeps what to avoid.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cases::{self, Make};
use super::watch::within;
use super::{Check, Measured, PICTURES, Report, measure, of_case, of_picture, pictures};
use crate::gpu::{Context, ContextOptions, Variant};
use crate::{Error, Result, kept, tune};

/// Opens and reopens the context of an examination.
struct Clinic {
    options: ContextOptions,
    limit: Duration,
    context: Context,
}

impl Clinic {
    fn open(options: &ContextOptions, limit: Duration) -> Result<Self> {
        let context = tune::tuned(Context::new(options)?);
        Ok(Clinic { options: options.clone(), limit, context })
    }

    /// Runs `work` with the context. After a lost device or a timeout, the next work gets a new context.
    fn run<T: Send + 'static>(&mut self, work: impl FnOnce(&Context) -> Result<T> + Send + 'static) -> Result<T> {
        let context = self.context.clone();
        let result = within(self.limit, move || work(&context));
        if matches!(result, Err(Error::DeviceLost(_))) {
            self.context = tune::tuned(Context::new(&self.options)?);
        }
        result
    }

    fn check(&mut self, make: &Arc<Make>) -> Result<Measured> {
        let make = make.clone();
        self.run(move |context| context.block_on(measure(context, &make())))
    }
}

/// Checks the adapter of `options`, without avoiding any variant. `limit` is the time that a check may take.
/// `on_check` is called before each check, with the checks that are done and the number of all.
///
/// # Errors
/// An adapter that cannot be opened, or not again after its device was lost; an error of `on_check`.
pub fn examine(
    options: &ContextOptions,
    limit: Duration,
    mut on_check: impl FnMut(&[Check], usize) -> Result<()>,
) -> Result<Report> {
    let began = Instant::now();
    let mut options = ContextOptions { avoid: Vec::new(), ..options.clone() };
    let mut checks = matrices(&options, limit)?;
    let are_wrong = !checks.is_empty() && checks.iter().all(|check| check.fault.is_some());
    options.avoid.extend(are_wrong.then_some(Variant::CooperativeMatrices));
    let mut clinic = Clinic::open(&options, limit)?;
    let (details, key) = (clinic.context.details(), clinic.context.adapter_key());
    let groups = cases::all(clinic.context.precision());
    let (mut failed, mut right) = (Vec::new(), BTreeSet::new());
    let count = checks.len() + groups.iter().map(|group| group.cases.len()).sum::<usize>() + pictures::METHODS.len();
    for group in groups {
        for make in group.cases.into_iter().map(Arc::new) {
            on_check(&checks, count)?;
            let result = clinic.check(&make);
            let check = of_case(group.name, &make, result);
            match check.fault {
                Some(_) => failed.push((checks.len(), make)),
                None => right.extend(check.kernels.iter().cloned()),
            }
            checks.push(check);
        }
    }
    for (index, _) in &failed {
        let suspects: Vec<_> =
            checks[*index].kernels.iter().filter(|kernel| !right.contains(*kernel)).cloned().collect();
        if !suspects.is_empty() {
            checks[*index].kernels = suspects;
        }
    }
    let is_tested = |variant: &Variant| clinic.context.uses(*variant) || options.avoid.contains(variant);
    let tested = Variant::ALL.into_iter().filter(is_tested).collect();
    let (mut avoid, without_remedy) = remedy(&clinic, failed.iter().map(|(_, make)| make));
    avoid.extend(&options.avoid);
    match Clinic::open(&ContextOptions { avoid: avoid.clone(), ..options }, limit) {
        Ok(mut clinic) => {
            for method in pictures::METHODS {
                on_check(&checks, count)?;
                let result = clinic.run(move |context| {
                    context.block_on(pictures::difference_async(context, method, &pictures::embedded))
                });
                checks.extend(of_picture(pictures::title(method), result));
            }
        }
        Err(error) => checks.extend(of_picture("all methods".into(), Err(error))),
    }
    let wrong = checks.iter().filter(|check| check.group == PICTURES && check.fault.is_some()).count();
    let seconds = began.elapsed().as_secs_f64();
    Ok(Report { details, key, checks, avoid, tested, without_remedy: without_remedy + wrong, seconds })
}

/// The known answers of every kind of cooperative matrices that the adapter offers, if the options ask for them. Contexts
/// use none that are wrong, so a fault needs no remedy.
///
/// # Errors
/// No adapter that matches, or one without cooperative matrices.
fn matrices(options: &ContextOptions, limit: Duration) -> Result<Vec<Check>> {
    let wanted = options.clone();
    let examined = within(limit, move || crate::blocking::block_on(Context::examine_matrices(&wanted)));
    let check = |name: String, fault: Option<String>| Check {
        group: "cooperative matrices",
        name,
        error: None,
        tolerance: None,
        gflop_per_second: None,
        fault,
        kernels: Vec::new(),
    };
    match examined {
        Ok(examined) => {
            let named = examined.into_iter().map(|(matrices, fault)| (format!("{matrices} with f32 sums"), fault));
            Ok(named.map(|(name, fault)| check(name, fault)).collect())
        }
        Err(error @ (Error::Argument { .. } | Error::NoAdapter { .. })) => Err(error),
        Err(error) => Ok(vec![check("known answers".into(), Some(error.to_string()))]),
    }
}

/// Contexts that avoid different variants, each opened once.
struct Alternatives<'c> {
    clinic: &'c Clinic,
    opened: Vec<(Vec<Variant>, Option<Clinic>)>,
}

impl Alternatives<'_> {
    /// Whether a case gives right results without the variants in `avoid`.
    fn is_right(&mut self, avoid: &[Variant], make: &Arc<Make>) -> bool {
        let known = self.opened.iter().position(|(known, _)| known == avoid);
        let index = known.unwrap_or_else(|| {
            let options = ContextOptions { avoid: avoid.to_vec(), ..self.clinic.options.clone() };
            self.opened.push((avoid.to_vec(), Clinic::open(&options, self.clinic.limit).ok()));
            self.opened.len() - 1
        });
        let clinic = self.opened[index].1.as_mut();
        clinic.is_some_and(|clinic| clinic.check(make).is_ok_and(|measured| measured.is_right()))
    }
}

/// The variants without which failed cases give right results, and the number of cases for which there are none.
fn remedy<'m>(clinic: &Clinic, failed: impl Iterator<Item = &'m Arc<Make>>) -> (Vec<Variant>, usize) {
    let used: Vec<_> = Variant::ALL.into_iter().filter(|variant| clinic.context.uses(*variant)).collect();
    let mut alternatives = Alternatives { clinic, opened: Vec::new() };
    let (mut avoid, mut left) = (Vec::new(), 0);
    for make in failed {
        // What is avoided already, then one variant more, then all.
        let mut candidates: Vec<_> = used.iter().map(|&variant| [avoid.as_slice(), &[variant]].concat()).collect();
        candidates.insert(0, avoid.clone());
        candidates.push(used.clone());
        let mut tried = candidates.into_iter().filter(|candidate| !candidate.is_empty());
        match tried.find(|candidate| alternatives.is_right(candidate, make)) {
            Some(found) => avoid = found,
            None => left += 1,
        }
    }
    avoid.sort();
    avoid.dedup();
    (avoid, left)
}

/// The name of the file for the variants to avoid on an adapter with its driver and this set of kernels.
fn file(key: &str) -> String {
    format!("avoid-{key}.json")
}

fn stored(key: &str) -> Vec<Variant> {
    let path = kept::file(&file(key));
    path.and_then(|path| kept::load(&path, "another examination of the adapter replaces it")).unwrap_or_default()
}

/// The variants that are stored for the context's adapter, driver and set of kernels.
pub fn avoided(context: &Context) -> Vec<Variant> {
    stored(&context.adapter_key())
}

/// Stores the variants of [`Report::avoid`] for the adapter. Of the variants stored before, those that were not tested
/// remain. Gives the path of the file and all variants that it now contains; without any, there is no file.
///
/// # Errors
/// [`Error::File`] if the home directory is unknown or the file cannot be written or removed.
pub fn keep(report: &Report) -> Result<(PathBuf, Vec<Variant>)> {
    let earlier = stored(&report.key).into_iter().filter(|variant| !report.tested.contains(variant));
    let mut all: Vec<_> = earlier.chain(report.avoid.iter().copied()).collect();
    all.sort();
    all.dedup();
    let path = kept::known_file(&file(&report.key))?;
    kept::store(&path, Some(&all).filter(|all| !all.is_empty()))?;
    Ok((path, all))
}

/// Removes what [`keep`] stored for the context's adapter, and gives the path of the file.
///
/// # Errors
/// [`Error::File`] if the home directory is unknown or the file cannot be removed.
pub fn forget(context: &Context) -> Result<PathBuf> {
    let path = kept::known_file(&file(&context.adapter_key()))?;
    kept::store::<Vec<Variant>>(&path, None)?;
    Ok(path)
}
