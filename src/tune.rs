//! Search for the fastest convolution settings on an adapter, and the file that stores them.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::Result;
use crate::gpu::{Context, DeviceTensor, Program, Recorder, Tensor, Tuning};
use crate::kept;
use crate::nets::adain_decoder::AdainDecoderWeights;
use crate::nets::image_transform_net::{Form, ImageTransformNetWeights};
use crate::nets::vgg19::Vgg19Weights;
use crate::nets::{AdainDecoder, ImageTransformNet, Tap, Vgg19};
use crate::ops::norm::Over;
use crate::ops::pool::Pooling;
use crate::random::Random;

/// Relative reduction of the time that a candidate must achieve to be kept.
pub const GAIN: f64 = 0.05;

/// Maximum relative error (norm of the difference over the norm) of a candidate's results compared with the default
/// rules: for pictures, and for a gradient. Rounding flips a few ReLUs, each of which changes its part of the gradient.
const TOLERANCES: [f64; 2] = [1e-4, 2e-2];

/// Minimum number of runs for a median.
const LEAST_RUNS: usize = 3;

/// A measured candidate.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Trial {
    /// Description of the change.
    pub name: String,
    /// Time relative to the best tuning so far, as the geometric mean over all programs. `None` if the results are
    /// wrong.
    pub time: Option<f64>,
    /// Relative error of the results compared with the default rules, divided by the tolerance: at most 1 is accepted.
    pub error: f64,
    /// Whether the candidate became the best tuning.
    pub kept: bool,
}

/// Representative nets with random weights: VGG-19 with its gradient, a feed-forward net and a decoder.
struct Works {
    vgg: Vgg19,
    net: ImageTransformNet,
    decoder: AdainDecoder,
    picture: DeviceTensor,
    features: DeviceTensor,
    dy: DeviceTensor,
}

/// A program and its result.
struct Work {
    program: Program,
    result: DeviceTensor,
    tolerance: f64,
}

fn random(context: &Context, name: &str, shape: [usize; 4]) -> Result<DeviceTensor> {
    let mut random = Random::new(shape.iter().product::<usize>() as u64);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| random.uniform()).collect();
    DeviceTensor::from_values(context, name, shape, &values)
}

impl Works {
    fn new(context: &Context, size: usize) -> Result<Self> {
        let (vgg, compact) = (Vgg19Weights::random(1.0, 1), Vgg19Weights::random(0.25, 1));
        let net = ImageTransformNetWeights::random(Form::Resize, Over::Instance, 1.0, 1);
        let decoder = AdainDecoder::new(context, AdainDecoderWeights::random(&compact, 1)?)?;
        let side = size / 8;
        Ok(Works {
            features: random(context, "features", [1, decoder.channels(), side, side])?,
            dy: random(context, "gradient", [1, 512, side, side])?,
            picture: random(context, "picture", [1, 3, size, size])?,
            vgg: Vgg19::new(context, &vgg, Pooling::Max)?,
            net: ImageTransformNet::new(context, net)?,
            decoder,
        })
    }

    /// Records all programs with the tuning of `context`.
    fn record(&self, context: &Context) -> Result<Vec<Work>> {
        let work = |tolerance: f64, record: &dyn Fn(&mut Recorder) -> Result<Tensor>| {
            let mut rec = Recorder::new(context);
            let symbol = record(&mut rec)?;
            let result = rec.output(symbol)?;
            Ok(Work { program: rec.finish()?, result, tolerance })
        };
        Ok(vec![
            work(TOLERANCES[1], &|rec| {
                let (x, dy) = (rec.pin(&self.picture), rec.pin(&self.dy));
                let activations = self.vgg.forward(rec, x, Tap::RELU4_1)?;
                self.vgg.backward(rec, &activations, vec![(Tap::RELU4_1, Box::new(move |_| Ok(dy)))])
            })?,
            work(TOLERANCES[0], &|rec| {
                let x = rec.pin(&self.picture);
                Ok(self.net.forward(rec, x)?.picture)
            })?,
            work(TOLERANCES[0], &|rec| {
                let x = rec.pin(&self.features);
                let [_, _, height, width] = x.shape.nchw("tune", "features")?;
                Ok(self.decoder.forward(rec, x, [8 * height, 8 * width])?.picture)
            })?,
        ])
    }
}

/// The results of each program's last run.
fn results(works: &[Work]) -> Result<Vec<Vec<f32>>> {
    works.iter().map(|work| work.result.read()).collect()
}

/// Largest relative error over all programs, divided by the tolerance. Infinite if a result is not finite.
fn difference(works: &[Work], reference: &[Vec<f32>]) -> Result<f64> {
    let of = |(result, reference): (&Vec<f32>, &Vec<f32>)| {
        let squares = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>();
        let apart = squares(&mut result.iter().zip(reference).map(|(a, b)| a - b));
        let ratio = (apart / squares(&mut reference.iter().copied())).sqrt();
        if ratio.is_finite() { ratio } else { f64::INFINITY }
    };
    let differences = results(works)?.iter().zip(reference).map(of).collect::<Vec<_>>();
    Ok(works.iter().zip(differences).map(|(work, difference)| difference / work.tolerance).fold(0.0, f64::max))
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Time of `works` relative to `best` (geometric mean), with alternating runs for at least `seconds`.
fn compare(works: &[Work], best: &[Work], seconds: f64) -> Result<f64> {
    let began = Instant::now();
    let mut times = vec![[Vec::new(), Vec::new()]; works.len()];
    while times[0][0].len() < LEAST_RUNS || began.elapsed().as_secs_f64() < seconds {
        for ((work, best), times) in works.iter().zip(best).zip(&mut times) {
            for (times, work) in times.iter_mut().zip([work, best]) {
                let start = Instant::now();
                work.program.run()?;
                times.push(start.elapsed().as_secs_f64());
            }
        }
    }
    let count = times.len() as f64;
    let ratios = times.into_iter().map(|[works, best]| (median(works) / median(best)).ln());
    Ok((ratios.sum::<f64>() / count).exp())
}

/// Searches for the fastest tuning for pictures of `size`² (`size` is a multiple of 8). Starting from the default
/// rules, one choice is changed at a time. A candidate whose results agree with those of the rules is timed alternately
/// with the best tuning so far, for `seconds` each. `on_trial` is called after each candidate.
///
/// # Errors
/// A size that does not fit the device; device errors.
pub fn search(context: &Context, size: usize, seconds: f64, mut on_trial: impl FnMut(&Trial)) -> Result<Tuning> {
    let class = context.class();
    let mut tuning = Tuning::rules(class);
    let works = Works::new(context, size)?;
    let mut best = works.record(&context.with_tuning(tuning))?;
    best.iter().try_for_each(|work| work.program.run())?;
    let reference = results(&best)?;
    for (name, change) in Tuning::choices(class) {
        let candidate = change(tuning);
        let trial = works.record(&context.with_tuning(candidate))?;
        trial.iter().try_for_each(|work| work.program.run())?;
        let error = difference(&trial, &reference)?;
        let mut time = if error <= 1.0 { Some(compare(&trial, &best, seconds)?) } else { None };
        // A winner must win twice, because other processes disturb single comparisons by as much as the required gain.
        if let Some(once) = time.filter(|time| *time < 1.0 - GAIN) {
            time = Some(once.max(compare(&trial, &best, seconds)?));
        }
        let kept = time.is_some_and(|time| time < 1.0 - GAIN);
        on_trial(&Trial { name, time, error, kept });
        if kept {
            (tuning, best) = (candidate, trial);
        }
    }
    Ok(tuning)
}

/// The name of the file for the tuning of the context's adapter, driver, kernel class and set of kernels, in the user's
/// data directory.
fn file(context: &Context) -> String {
    format!("tuning-{}.json", context.tuning_key())
}

/// The context with the tuning stored by [`keep`] for its adapter, or unchanged if there is none. Results with another
/// tuning differ in their last digits.
pub fn tuned(context: Context) -> Context {
    match kept::file(&file(&context)).and_then(|path| load(&path)) {
        Some(tuning) => context.with_tuning(tuning),
        None => context,
    }
}

/// Stores a tuning for [`tuned`], or removes the stored one if `tuning` is `None`. Returns the path of the file.
///
/// # Errors
/// [`Error::File`](crate::Error::File) if the home directory is unknown or the file cannot be written or removed.
pub fn keep(context: &Context, tuning: Option<Tuning>) -> Result<PathBuf> {
    let path = kept::known_file(&file(context))?;
    kept::store(&path, tuning.as_ref())?;
    Ok(path)
}

/// Reads the file; `None` if it is missing, malformed or contains invalid values.
fn load(path: &Path) -> Option<Tuning> {
    let tuning: Tuning = kept::load(path, "tuning again replaces it")?;
    (tuning.tiles_from[0] >= 4 && tuning.band_mib.min(tuning.slice_mib) > 0).then_some(tuning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::KernelClass;

    #[test]
    fn what_is_kept_comes_back_and_what_is_broken_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/tuning.json");
        let tuning = Tuning { band_mib: 7, ..Tuning::rules(KernelClass::Broadcast) };
        assert_eq!(load(&path), None);
        kept::store(&path, Some(&tuning)).unwrap();
        assert_eq!(load(&path), Some(tuning));
        for broken in ["", "{}", "{\"tiles_from\":[0,0],\"band_mib\":1,\"slice_mib\":1,\"workgroups\":1}"] {
            std::fs::write(&path, broken).unwrap();
            assert_eq!(load(&path), None, "{broken}");
        }
        kept::store::<Tuning>(&path, None).unwrap();
        kept::store::<Tuning>(&path, None).unwrap();
        assert!(!path.exists());
    }
}
