//! Closed-form initialisation of a narrow VGG: channel selection and least squares, layer by layer.
//!
//! In each layer, a subset S of the teacher's channels t (each divided by its standard deviation) is selected greedily:
//! each selected channel minimises the variance of all channels that a linear map of S leaves unexplained. The
//! student's filters are the regression (see `closed_form`) of the teacher's pre-activations z_S on the output of the
//! student's previous layers. Later layers thus compensate for errors of earlier ones. Lifts are regressions too, of t
//! on the student's features.

use super::EncoderTrainerSettings;
use super::lifts::Lift;
use crate::gpu::Context;
use crate::io::HostTensor;
use crate::nets::Tap;
use crate::nets::vgg19::{Convention, Vgg19Weights};
use crate::random::Random;
use crate::train::closed_form::{Maps, Walk, most_telling, positions, regression, tensor};
use crate::{Error, Result};

/// The teacher, scaled so that every channel has a standard deviation of 1, the factors of that scaling for each layer,
/// the student, and the lifts to the teacher's channels at the taps that need one.
pub(super) struct Start {
    pub teacher: Vgg19Weights,
    pub scales: Vec<Vec<f32>>,
    pub student: Vgg19Weights,
    pub lifts: Vec<Lift>,
}

impl Start {
    /// A start with zero student and lifts, from a teacher with known `scales`.
    pub fn blank(
        mut teacher: Vgg19Weights,
        scales: Vec<Vec<f32>>,
        given: Option<&Vgg19Weights>,
        settings: &EncoderTrainerSettings,
    ) -> Self {
        let zeros = |shape: &[usize]| tensor(shape, vec![0.0; shape.iter().product()]);
        let (mut student, mut lifts) = (without_layers(given), Vec::new());
        let mut channels = 3;
        for (tap, scale) in settings.layers().into_iter().zip(&scales) {
            let (m, wide) = (settings.channels(tap, scale.len()), scale.len());
            teacher.rescale(tap, scale);
            student.convolutions.push([zeros(&[m, channels, 3, 3]), zeros(&[m])]);
            if settings.lifts(tap) {
                lifts.push((tap, [zeros(&[wide, m, 1, 1]), zeros(&[wide])]));
            }
            channels = m;
        }
        Start { teacher, scales, student, lifts }
    }
}

/// A student without layers, with the input convention of `given`.
fn without_layers(given: Option<&Vgg19Weights>) -> Vgg19Weights {
    let (convention, input) = match given {
        Some(weights) => (weights.convention, weights.input.clone()),
        None => (Convention::Normalised, Some(input())),
    };
    Vgg19Weights { convention, input, convolutions: Vec::new() }
}

/// Fits the student to `pictures`, squares of RGB 0..1 with sides of `settings.crops.size`. A layer of `given` is kept
/// unless its numbers of channels differ or a layer before it selected other channels. `on_layer` is called after each
/// layer.
pub(super) fn start(
    context: &Context,
    mut teacher: Vgg19Weights,
    given: Option<&Vgg19Weights>,
    pictures: &[Vec<f32>],
    settings: &EncoderTrainerSettings,
    mut on_layer: impl FnMut(Tap) -> Result<()>,
) -> Result<Start> {
    let (size, width) = (settings.crops.size, settings.width);
    let layers = settings.layers();
    let mut random = Random::new(settings.seed);
    let mut student = without_layers(given);
    let mut given = given.cloned().unwrap_or_else(|| without_layers(None));
    let (mut scales, mut lifts) = (Vec::new(), Vec::new());
    let mut is_kept = false;
    let mut original = Walk::new(context, &teacher, pictures, size)?;
    let mut copy = Walk::new(context, &student, pictures, size)?;
    for (index, &tap) in layers.iter().enumerate() {
        let next = layers.get(index + 1).copied();
        let [weight, bias] = &teacher.convolutions[index];
        let mut linear = original.convolve(weight, bias)?;
        let factors = unit_deviations(&linear);
        linear.scale(&factors);
        teacher.rescale(tap, &factors);

        let positions = positions(&mut random, settings.positions, pictures.len(), linear.size);
        let targets = linear.at(&positions);
        let features = targets.map(|z| z.max(0.0));
        let m = settings.channels(tap, features.ncols());
        if m > features.ncols() {
            let expected = format!("no wider than the teacher: at most {} channels at {tap}", features.ncols());
            return Err(Error::argument("train encoder", "width", expected, format!("{width}, which makes {m}")));
        }
        let shape = [m, copy.maps.channels, 3, 3];
        let found = given.convolutions.get(index).map(|[weight, _]| weight.shape.clone());
        if let Some(found) = found.as_ref().filter(|found| index == 0 && **found != shape) {
            let got = format!("{} at {tap}", found[0]);
            return Err(Error::argument("train encoder", "init", format!("a net of {m} channels"), got));
        }
        if settings.has_all(tap) && found.as_ref().is_some_and(|found| found[0] == m) {
            given.rescale(tap, &factors);
        }
        // A layer can be kept only if its input channels are those that it was trained with.
        let reads_known = index == 0 || is_kept || settings.has_all(layers[index - 1]);
        is_kept = reads_known && found.as_ref().is_some_and(|found| *found == shape);
        let layer = if is_kept {
            given.convolutions[index].clone()
        } else {
            if found.is_some() {
                tracing::warn!(
                    "{tap} is fitted again: the net to start from has other channels in this layer or the one before it"
                );
            }
            let patches = copy.maps.patches(&positions, student.convention.border());
            let chosen = if settings.has_all(tap) { (0..m).collect() } else { most_telling(&features, m) };
            let [weight, bias] = regression(&patches, &targets.select_columns(&chosen), true)?;
            [tensor(&shape, weight), tensor(&[m], bias)]
        };
        let [weight, bias] = &layer;
        let made = copy.convolve(weight, bias)?;
        if settings.lifts(tap) {
            let narrow = made.at(&positions).map(|z| z.max(0.0));
            let [weight, bias] = regression(&narrow, &features, true)?;
            lifts.push((tap, [tensor(&[features.ncols(), m, 1, 1], weight), tensor(&[features.ncols()], bias)]));
        }
        student.convolutions.push(layer);
        scales.push(factors);
        original.advance(&linear, next)?;
        copy.advance(&made, next)?;
        on_layer(tap)?;
    }
    Ok(Start { teacher, scales, student, lifts })
}

/// Normalisation by ImageNet's mean and standard deviation, so that the inputs of conv1_1 are centred.
fn input() -> [HostTensor; 2] {
    let (weight, bias) = Convention::Torchvision.input();
    [tensor(&[3, 3, 1, 1], weight), tensor(&[3], bias)]
}

/// Factors that scale every channel to a standard deviation of 1 after the ReLU. They are bounded, so a channel that is
/// (nearly) always zero is not amplified to 1.
fn unit_deviations(linear: &Maps) -> Vec<f32> {
    let deviations: Vec<f64> = linear.statistics().iter().map(|(_, deviation)| *deviation).collect();
    let floor = 1e-2 * deviations.iter().sum::<f64>() / deviations.len() as f64;
    deviations.iter().map(|d| (1.0 / d.max(floor).max(f64::from(f32::MIN_POSITIVE))) as f32).collect()
}

/// Factors that scale every channel to a mean activation of 1; 1 for a channel that is (nearly) always zero.
pub(super) fn unit_means(linear: &Maps) -> Vec<f32> {
    let means: Vec<f64> = linear.statistics().iter().map(|(mean, _)| *mean).collect();
    let quiet = 1e-3 * means.iter().sum::<f64>() / means.len() as f64;
    means.iter().map(|&mean| if mean > quiet { (1.0 / mean) as f32 } else { 1.0 }).collect()
}
