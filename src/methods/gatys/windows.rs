//! Loss and gradient of a picture in windows, with the memory of one window at a time.
//!
//! The loss and its gradient are those of the whole picture. A first pass over the windows adds up the Gram matrices of
//! the features in their cores. A second pass runs each window again. With the complete matrices, it knows the gradient
//! at each feature of the core; the gradient at the window's pixels, halo included, is added to that of the picture.

use super::terms::{Layout, Recorded, Squares, Term, TermKind, masks, wanted};
use super::{GatysSettings, Tiling};
use crate::gpu::{DeviceTensor, Program, Recorder, Tensor};
use crate::io::Picture;
use crate::methods::Area;
use crate::nets::tiles::{Span, Tile};
use crate::nets::{Tap, Vgg19};
use crate::ops::square_loss;
use crate::ops::window::{self, Window};
use crate::ops::{gram, regions, total_variation, vector};
use crate::{Result, loss};

/// The content's features are kept in this many bytes of the host's memory. If they are larger, each evaluation computes
/// them again, which takes a quarter longer.
pub(super) const KEPT_ON_HOST: u64 = 1 << 30;

/// The features at a tap, of a window and of the whole picture.
pub(super) struct Grid {
    reduction: usize,
    /// Height and width of the picture, in pixels.
    size: [usize; 2],
    /// Height and width of the features of a window, and of the picture.
    pub window: [usize; 2],
    pub whole: [usize; 2],
}

impl Grid {
    /// The features of a picture of `[height, width]` and of its windows.
    pub fn new(vgg: &Vgg19, tap: Tap, size: [usize; 2], tiling: &Tiling) -> Result<Self> {
        let [window, whole] = [tiling.window(), size].map(|size| vgg.feature_size(tap, size));
        Ok(Grid { reduction: tap.reduction(), size, window: window?, whole: whole? })
    }

    /// A mask for the features of `tile`: `weights`, those of the whole picture, or 1, in its core, and 0 in its halo.
    pub fn mask(&self, tile: &Tile, weights: Option<&[f32]>) -> Vec<f32> {
        let [height, width] = self.window;
        // The last core contains the remainder of the side.
        let core = |span: &Span, side: usize, features: usize| {
            let inner = span.inner();
            let end = if span.core.end == side { features } else { inner.end / self.reduction };
            inner.start / self.reduction..end
        };
        let [top, left] = [&tile.rows, &tile.columns].map(|span| span.outer.start / self.reduction);
        let mut mask = vec![0.0; height * width];
        let columns = core(&tile.columns, self.size[1], width);
        for row in core(&tile.rows, self.size[0], height) {
            let into = &mut mask[row * width..][columns.clone()];
            match weights {
                Some(weights) => {
                    into.copy_from_slice(&weights[(top + row) * self.whole[1] + left..][columns.clone()]);
                }
                None => into.fill(1.0),
            }
        }
        mask
    }
}

/// The pixels that count in a window's features at a tap.
struct Mask {
    tap: Tap,
    /// The area whose weights apply, if areas have weights.
    area: Option<usize>,
    grid: Grid,
    tensor: DeviceTensor,
    /// Square roots of the weights in the whole picture.
    weights: Option<Vec<f32>>,
}

/// The sections of the program.
struct Sections {
    /// Computes the content's targets of the window.
    target: usize,
    /// Clears the sums.
    clear: usize,
    /// Adds the window's Gram matrices to the sums.
    measure: usize,
    /// Compares the sums with the style, and begins the gradient with that of the total variation.
    compare: usize,
    /// Adds the window's content loss, and its gradient.
    descend: usize,
}

/// The windows of a picture, and the sections of the program that run them.
pub(super) struct Windows {
    pub tiling: Tiling,
    place: Window,
    sections: Sections,
    /// Whether there is a style, so that a first pass is needed.
    has_style: bool,
    masks: Vec<Mask>,
    /// The content in the window.
    photo: DeviceTensor,
    content: Option<Picture>,
    /// The tensors of the content's targets, and the number of features in the whole picture.
    targets: Vec<(DeviceTensor, usize)>,
    /// For each window, the values of `targets`; empty if they are computed again.
    kept: Vec<Vec<Vec<f32>>>,
}

/// A term while it is recorded.
struct Recording {
    term: Term,
    slot: usize,
    mask: DeviceTensor,
    /// Number of features in the whole picture.
    count: usize,
    /// The Gram matrix.
    sum: DeviceTensor,
}

/// Records the evaluation of a picture of `[height, width]` in the windows of `tiling`. Nothing is allocated.
pub(super) fn record(
    vgg: &Vgg19,
    size: [usize; 2],
    layout: Layout,
    settings: &GatysSettings,
    tiling: &Tiling,
) -> Result<(Recorded, Windows)> {
    let context = vgg.context();
    let mut rec = Recorder::new(context);
    let wanted = wanted(settings, layout.areas);
    let [height, width] = tiling.window();
    let picture = DeviceTensor::new(context, "picture", [1, 3, size[0], size[1]]);
    let photo = DeviceTensor::new(context, "content", [1, 3, height, width]);
    let slots = DeviceTensor::new(context, "loss terms", [wanted.len() + 1]);
    let (x, losses) = (rec.pin(&picture), rec.pin(&slots));
    let place = Window::new(&mut rec, size, tiling.window(), [0, 0])?;

    let mut masks = Vec::new();
    let (mut contents, mut styles) = (Vec::new(), Vec::new());
    for (slot, &(kind, tap, _)) in wanted.iter().enumerate() {
        let channels = vgg.channels(tap)?;
        let area = match kind {
            TermKind::Style(area) => layout.weighted.then_some(area),
            TermKind::Content => None,
        };
        let grid = Grid::new(vgg, tap, size, tiling)?;
        let [rows, columns] = grid.window;
        let count = channels * grid.whole[0] * grid.whole[1];
        let known = masks.iter().find(|mask: &&Mask| (mask.tap, mask.area) == (tap, area));
        let mask = match known.map(|mask| mask.tensor.clone()) {
            Some(mask) => mask,
            None => {
                let tensor = DeviceTensor::new(context, "mask", grid.window);
                masks.push(Mask { tap, area, grid, tensor: tensor.clone(), weights: None });
                tensor
            }
        };
        let target = match kind {
            TermKind::Content => DeviceTensor::new(context, "content target", [1, channels, rows, columns]),
            TermKind::Style(_) => DeviceTensor::new(context, "style target", [1, channels, channels]),
        };
        let term = Term { kind, tap, mask: None, target, weight: square_loss::Weight::new(&mut rec, 0.0) };
        let sum = DeviceTensor::new(context, "gram", [1, channels, channels]);
        let of_kind = if kind == TermKind::Content { &mut contents } else { &mut styles };
        of_kind.push(Recording { term, slot, mask, count, sum });
    }
    let deepest = |of: &[Recording]| of.iter().map(|recording| recording.term.tap).max();

    let target = rec.section();
    if let Some(deepest) = deepest(&contents) {
        let window = rec.pin(&photo);
        let activations = vgg.forward(&mut rec, window, deepest)?;
        for Recording { term, mask, .. } in &contents {
            let (mask, into) = (rec.pin(mask), rec.pin(&term.target));
            let features = regions::scale(&mut rec, activations.at(term.tap)?, mask)?;
            vector::copy(&mut rec, features, into)?;
        }
    }
    let clear = rec.section();
    vector::fill(&mut rec, losses, 0.0)?;
    for style in &styles {
        let sum = rec.pin(&style.sum);
        vector::fill(&mut rec, sum, 0.0)?;
    }
    let measure = rec.section();
    if let Some(deepest) = deepest(&styles) {
        let window = window::cut(&mut rec, x, place)?;
        let activations = vgg.forward(&mut rec, window, deepest)?;
        for Recording { term, mask, count, sum, .. } in &styles {
            let (mask, sum) = (rec.pin(mask), rec.pin(sum));
            let part = loss::gram_part(&mut rec, activations.at(term.tap)?, Some(mask), gram::scale_of(*count))?;
            vector::axpy(&mut rec, 1.0, part, sum)?;
        }
    }
    let compare = rec.section();
    let mut dmatrices = Vec::new();
    for Recording { term, slot, sum, .. } in &styles {
        let (sum, goal) = (rec.pin(sum), rec.pin(&term.target));
        square_loss::forward(&mut rec, sum, goal, term.weight, losses, *slot)?;
        let dmatrix = square_loss::backward(&mut rec, sum, goal, term.weight)?;
        rec.output(dmatrix)?;
        dmatrices.push(dmatrix);
    }
    let roughness = settings.tv_weight / picture.shape().count() as f32;
    total_variation::forward(&mut rec, x, roughness, losses, wanted.len())?;
    let gradient = total_variation::backward(&mut rec, x, roughness)?;
    let gradient_of_picture = rec.output(gradient)?;

    let descend = rec.section();
    if let Some(deepest) = wanted.iter().map(|(_, tap, _)| *tap).max() {
        let window = window::cut(&mut rec, x, place)?;
        let activations = vgg.forward(&mut rec, window, deepest)?;
        let parts = rec.transient("loss terms of a window", slots.shape());
        vector::fill(&mut rec, parts, 0.0)?;
        let mut gradients = Vec::new();
        for Recording { term, slot, mask, .. } in &contents {
            let (mask, goal) = (rec.pin(mask), rec.pin(&term.target));
            let features = regions::scale(&mut rec, activations.at(term.tap)?, mask)?;
            // Both are 0 in the halo, so the gradient is, too.
            gradients.push((term.tap, loss::content(&mut rec, features, goal, term.weight, parts, *slot)?));
        }
        vector::axpy(&mut rec, 1.0, parts, losses)?;
        for (Recording { term, mask, count, .. }, dmatrix) in styles.iter().zip(dmatrices) {
            let mask: Tensor = rec.pin(mask);
            let features = activations.at(term.tap)?;
            gradients.push((term.tap, loss::gram_part_gradient(features, Some(mask), dmatrix, gram::scale_of(*count))));
        }
        let dwindow = vgg.backward(&mut rec, &activations, gradients)?;
        window::add(&mut rec, dwindow, place, gradient)?;
    }
    let windows = Windows {
        tiling: tiling.clone(),
        place,
        sections: Sections { target, clear, measure, compare, descend },
        has_style: !styles.is_empty(),
        masks,
        photo,
        content: None,
        targets: contents.iter().map(|recording| (recording.term.target.clone(), recording.count)).collect(),
        kept: Vec::new(),
    };
    let terms = contents.into_iter().chain(styles).map(|recording| recording.term).collect();
    Ok((Recorded { recorder: rec, picture, gradient: gradient_of_picture, slots, terms }, windows))
}

impl Windows {
    /// Computes the targets of `content`, and the masks of `areas` in it. The targets are kept if they take at most
    /// `most` bytes. Gives the squares of each target.
    pub async fn prepare(
        &mut self,
        program: &Program,
        content: &Picture,
        areas: &[Area<Picture>],
        most: u64,
    ) -> Result<Vec<Squares>> {
        for mask in &mut self.masks {
            if let Some(area) = mask.area {
                let all = masks(content, areas, mask.grid.whole);
                mask.weights = all.into_iter().nth(area).map(|(weights, _)| weights);
            }
        }
        self.content = Some(content.filled().into_owned());
        let bytes: usize = self.targets.iter().map(|(target, _)| 4 * target.shape().count()).sum();
        let keep = (bytes * self.tiling.count()) as u64 <= most;
        let mut squares: Vec<_> = self.targets.iter().map(|&(_, count)| Squares { count, sum: 0.0 }).collect();
        for tile in self.tiling.tiles() {
            self.go_to(program, &tile)?;
            self.compute_targets(program, &tile)?;
            let mut all = Vec::new();
            for ((target, _), squares) in self.targets.iter().zip(&mut squares) {
                let values = target.read_async().await?;
                squares.sum += Squares::of(&values).sum;
                all.push(values);
            }
            if keep {
                self.kept.push(all);
            }
        }
        Ok(squares)
    }

    /// How often an evaluation runs each window.
    pub fn passes(&self) -> usize {
        1 + usize::from(self.has_style)
    }

    /// Moves the window to `tile`.
    fn go_to(&self, program: &Program, tile: &Tile) -> Result<()> {
        self.place.place(program, [tile.rows.outer.start, tile.columns.outer.start])?;
        let write = |Mask { grid, tensor, weights, .. }: &Mask| tensor.write(&grid.mask(tile, weights.as_deref()));
        self.masks.iter().try_for_each(write)
    }

    fn compute_targets(&self, program: &Program, tile: &Tile) -> Result<()> {
        if let Some(content) = self.content.as_ref().filter(|_| !self.targets.is_empty()) {
            self.photo.write(&content.cut(tile.rows.outer.clone(), tile.columns.outer.clone()).rgb)?;
            program.submit_section(self.sections.target)?;
        }
        Ok(())
    }

    /// Evaluates the loss and its gradient. `watch` is called before the first window and after each, with the number of
    /// windows run so far.
    pub async fn run(&self, program: &Program, mut watch: impl AsyncFnMut(usize) -> Result<()>) -> Result<()> {
        let Sections { clear, measure, compare, descend, .. } = self.sections;
        let mut done = 0;
        watch(done).await?;
        program.submit_section(clear)?;
        for tile in self.tiling.tiles().filter(|_| self.has_style) {
            self.go_to(program, &tile)?;
            program.submit_section(measure)?;
            program.context().idle().await?;
            done += 1;
            watch(done).await?;
        }
        program.submit_section(compare)?;
        for (index, tile) in self.tiling.tiles().enumerate() {
            self.go_to(program, &tile)?;
            match self.kept.get(index) {
                Some(kept) => self.targets.iter().zip(kept).try_for_each(|((target, _), kept)| target.write(kept))?,
                None => self.compute_targets(program, &tile)?,
            }
            program.submit_section(descend)?;
            program.context().idle().await?;
            done += 1;
            watch(done).await?;
        }
        Ok(())
    }

    /// Finds the first dispatch of a window that gives a value that is not finite.
    pub async fn find_non_finite(&self, program: &Program) -> Result<Option<String>> {
        for tile in self.tiling.tiles() {
            self.go_to(program, &tile)?;
            self.compute_targets(program, &tile)?;
            if let Some(place) = program.find_non_finite_async().await? {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }
}
