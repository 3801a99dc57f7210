//! The targets of the style: Gram matrices of the style pictures.

use super::fit::{Fit, Search, budget, reach, search};
use super::terms::{TermKind, wanted_of};
use super::windows::Grid;
use super::{GatysSettings, Tiling};
use crate::gpu::{DeviceTensor, Recorder};
use crate::io::Picture;
use crate::loss;
use crate::methods::Area;
use crate::nets::tiles::mebibytes;
use crate::nets::{Tap, Vgg19, visible};
use crate::ops::{gram, vector};
use crate::{Error, Result};

/// The Gram matrix of a tap.
struct Matrix {
    grid: Grid,
    /// The pixels of the window that count, unless all do.
    mask: Option<DeviceTensor>,
    sum: DeviceTensor,
}

/// A recording that adds a window's part to the Gram matrix of each tap.
struct Recorded {
    recorder: Recorder,
    window: DeviceTensor,
    matrices: Vec<Matrix>,
}

/// Records the windows of `tiling` for a style picture of `[height, width]`.
fn record(vgg: &Vgg19, size: [usize; 2], taps: &[Tap], weighted: bool, tiling: &Tiling) -> Result<Recorded> {
    let context = vgg.context();
    let mut rec = Recorder::new(context);
    let [height, width] = tiling.window();
    let window = DeviceTensor::new(context, "style picture", [1, 3, height, width]);
    let mut matrices = Vec::new();
    let Some(&deepest) = taps.iter().max() else { return Ok(Recorded { recorder: rec, window, matrices }) };
    let x = rec.pin(&window);
    let activations = vgg.forward(&mut rec, x, deepest)?;
    for &tap in taps {
        let (channels, grid) = (vgg.channels(tap)?, Grid::new(vgg, tap, size, tiling)?);
        let is_partial = weighted || tiling.count() > 1;
        let mask = is_partial.then(|| DeviceTensor::new(context, "visible pixels", grid.window));
        let sum = DeviceTensor::new(context, "gram", [1, channels, channels]);
        let (pinned, into) = (mask.as_ref().map(|mask| rec.pin(mask)), rec.pin(&sum));
        let scale = gram::scale_of(channels * grid.whole[0] * grid.whole[1]);
        let part = loss::gram_part(&mut rec, activations.at(tap)?, pinned, scale)?;
        vector::axpy(&mut rec, 1.0, part, into)?;
        matrices.push(Matrix { grid, mask, sum });
    }
    Ok(Recorded { recorder: rec, window, matrices })
}

/// Windows in which the targets of a style picture of `[height, width]` can be computed. The picture is in the host's
/// memory, so its size has the limit of the result's.
pub(super) fn fit(
    vgg: &Vgg19,
    size: [usize; 2],
    is_transparent: bool,
    settings: &GatysSettings,
    wanted: Search,
) -> Result<Fit> {
    let (needed, allowed) = (12 * (size[0] * size[1]) as u64, vgg.context().max_tensor_bytes());
    if needed > allowed {
        return Err(Error::TooLarge {
            what: format!("a style picture of {}x{} px", size[1], size[0]),
            needed: mebibytes(needed, f64::ceil),
            allowed: format!("{} a picture", mebibytes(allowed, f64::floor)),
            largest: None,
            help: "work on a smaller picture, or reduce the scale of the style".into(),
        });
    }
    let taps = wanted_of(settings, TermKind::Style(0));
    let bytes = |tiling: &Tiling| Ok(record(vgg, size, &taps, is_transparent, tiling)?.recorder.memory()?.peak_bytes());
    search(size, reach(taps.iter().max().copied()), wanted, budget(settings), bytes)
}

/// Each tap's Gram matrix of the visible pixels of `style`.
async fn grams(vgg: &Vgg19, style: &Picture, settings: &GatysSettings) -> Result<Vec<Vec<f32>>> {
    let taps = wanted_of(settings, TermKind::Style(0));
    if taps.is_empty() {
        return Ok(Vec::new());
    }
    let size = [style.height, style.width];
    let tiling = fit(vgg, size, style.alpha.is_some(), settings, Search::Largest(0))?.tiling;
    let Recorded { recorder, window, matrices } = record(vgg, size, &taps, style.alpha.is_some(), &tiling)?;
    let program = recorder.finish()?;
    let mut weights = Vec::new();
    for matrix in &matrices {
        let roots = |weights: Vec<f32>| weights.into_iter().map(f32::sqrt).collect::<Vec<_>>();
        weights.push(visible(style, matrix.grid.whole)?.map(roots));
    }
    let style = style.filled();
    for tile in tiling.tiles() {
        window.write(&style.cut(tile.rows.outer.clone(), tile.columns.outer.clone()).rgb)?;
        for (Matrix { grid, mask, .. }, weights) in matrices.iter().zip(&weights) {
            if let Some(mask) = mask {
                mask.write(&grid.mask(&tile, weights.as_deref()))?;
            }
        }
        program.run_async().await?;
    }
    let mut values = Vec::new();
    for matrix in &matrices {
        values.push(matrix.sum.read_async().await?);
    }
    Ok(values)
}

/// The Gram matrices of each area's mixture of styles, area by area.
pub(super) async fn targets(vgg: &Vgg19, areas: &[Area<Picture>], settings: &GatysSettings) -> Result<Vec<Vec<f32>>> {
    let mut all = Vec::new();
    for Area { styles, .. } in areas {
        // With weights that sum to 1, Σₖ wₖ|G − Aₖ|² and |G − Σₖ wₖAₖ|² differ only by a constant.
        let total: f32 = styles.iter().map(|(_, weight)| weight).sum();
        let mut blended: Vec<Vec<f32>> = Vec::new();
        for (style, weight) in styles {
            let matrices = grams(vgg, style, settings).await?;
            blended.resize(matrices.len(), Vec::new());
            for (sum, matrix) in blended.iter_mut().zip(matrices) {
                sum.resize(matrix.len(), 0.0);
                sum.iter_mut().zip(matrix).for_each(|(sum, value)| *sum += weight / total * value);
            }
        }
        all.extend(blended);
    }
    Ok(all)
}
