//! Instance norm, batch norm and adaptive instance norm (AdaIN). Maths: shaders/norm.wgsl.

use super::load::Input;
use super::{reducing, reducing_all};
use crate::gpu::{
    DeviceTensor, Dispatch, Kernel, KernelClass, Program, Recorder, Shape, Tensor, Uniform, linear_groups,
};
use crate::{Error, Result};

const SHADER: &str = "norm.wgsl";

/// Added to the variance under the square root.
pub const EPSILON: f32 = 1e-5;

/// The fewest pixels per run of a plane.
const LEAST_RUN: usize = 1024;

super::params! {
    /// Pixels of a plane, planes, pixels per run, elements that share a mean, and ε.
    Params { pixels: u32, planes: u32, run: u32, count: u32, epsilon: f32 }
}

super::params! {
    /// Momentum of the running statistics, and the factor that makes a variance unbiased.
    TrackParams { momentum: f32, correction: f32 }
}

/// The elements that share a mean and a variance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Over {
    /// The pixels of one channel of one image.
    #[default]
    Instance,
    /// The pixels of one channel of all images.
    Batch,
}

/// A normalisation layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Norm {
    /// The elements that share a mean and a variance.
    pub over: Over,
    /// Whether a ReLU is fused into the output.
    pub relu: bool,
}

/// Means and (biased) variances: `[N, C]` for [`Over::Instance`], `[C]` for [`Over::Batch`].
#[derive(Clone, Copy, Debug)]
pub struct Statistics {
    /// Means.
    pub mean: Tensor,
    /// Variances.
    pub variance: Tensor,
}

/// Statistics of parts of planes, `[N, C, parts, 4]`: number of elements, mean, sum of squared differences from the
/// mean, and 0.
#[derive(Clone, Copy, Debug)]
pub struct Moments(pub Tensor);

/// Scale and shift of every channel, both `[C]`, or their gradients. With [`Over::Instance`] each image may have its
/// own, `[N, C]`; the deviations and means of style pictures then give AdaIN (arXiv:1703.06868, equation 8).
#[derive(Clone, Copy, Debug)]
pub struct Affine {
    /// Scales.
    pub gamma: Tensor,
    /// Shifts.
    pub beta: Tensor,
}

/// A pass over planes, by vec4s if `four`.
fn pass(entry: &'static str, four: bool) -> Kernel {
    Kernel::new(if four { "norm_four.wgsl" } else { SHADER }, entry)
}

fn measuring(four: bool, weighted: bool) -> Kernel {
    pass("measure", four).set("WEIGHTED", weighted)
}

fn normalise(four: bool, relu: bool, added: bool) -> Kernel {
    pass("normalise", four).set("RELU", relu).set("ADDED", added)
}

/// Every variant of this operation's kernels.
pub(crate) fn kernels() -> Vec<Kernel> {
    let mut all = ["parameter_gradients", "defer", "track"].map(|entry| Kernel::new(SHADER, entry)).to_vec();
    all.extend(reducing_all(pass("statistics", false)));
    for four in [false, true] {
        all.extend([false, true].into_iter().flat_map(|weighted| reducing_all(measuring(four, weighted))));
        for relu in [false, true] {
            all.extend(reducing_all(pass("gradient_parts", four).set("RELU", relu)));
            all.push(pass("input_gradient", four).set("RELU", relu));
            all.extend([false, true].map(|added| normalise(four, relu, added)));
        }
    }
    all
}

/// Target number of workgroups when planes are split into runs: enough to fill a GPU, few on a processor.
fn workgroups(class: KernelClass) -> usize {
    match class {
        KernelClass::Tiled => 2048,
        KernelClass::Broadcast => 64,
    }
}

/// Checks that both tensors of a pair have that shape.
fn check_pair(op: &str, pair: [(&str, Tensor); 2], shape: Shape) -> Result<()> {
    match pair.into_iter().find(|(_, tensor)| tensor.shape != shape) {
        Some((name, tensor)) => Err(Error::argument(op, name, shape.to_string(), tensor.shape)),
        None => Ok(()),
    }
}

/// Sizes of a dispatch.
struct Sizes {
    params: Params,
    /// Whether a plane's pixels are a multiple of 4.
    four: bool,
    /// Workgroups of a pass over the runs of all planes.
    groups: [u32; 3],
    /// Runs of all planes.
    parts: usize,
    statistics: Shape,
}

impl Norm {
    fn sizes(&self, rec: &Recorder, op: &str, x: Tensor) -> Result<Sizes> {
        let [n, c, height, width] = x.shape.nchw(op, "x")?;
        let (planes, pixels) = (n * c, height * width);
        let run = pixels.div_ceil(workgroups(rec.class()).div_ceil(planes)).max(LEAST_RUN).next_multiple_of(4);
        let runs = pixels.div_ceil(run);
        let (statistics, images) = match self.over {
            Over::Instance => ([n, c].into(), 1),
            Over::Batch => ([c].into(), n),
        };
        let params = Params {
            pixels: pixels as u32,
            planes: planes as u32,
            run: run as u32,
            count: (images * pixels) as u32,
            epsilon: EPSILON,
        };
        let groups = [c as u32, runs as u32, n as u32];
        Ok(Sizes { params, four: pixels.is_multiple_of(4), groups, parts: runs * planes, statistics })
    }

    /// Moments of the runs of `x` (`[N, C, H, W]`), with `weights` for the pixels of every plane or without.
    fn measure(&self, rec: &mut Recorder, x: Tensor, weights: Option<Tensor>) -> Result<Moments> {
        let Sizes { params, four, groups, parts, .. } = self.sizes(rec, "norm", x)?;
        let [n, c, ..] = x.shape.nchw("norm", "x")?;
        let moments = Moments(rec.transient("moments of runs", [n, c, parts / (n * c), 4]));
        rec.dispatch(
            Dispatch::new(reducing(measuring(four, weights.is_some()), rec.class()), "norm moments")
                .bind("x", x)
                .bind_optional("weights", weights)
                .bind("moments", moments.0)
                .params(&params)
                .groups(groups)
                .flops(5 * x.shape.count() as u64),
        )?;
        Ok(moments)
    }

    /// `y`, of the shape of `x` (`[N, C, H, W]`), and the statistics of `x`. `moments` of `x` save a pass over it.
    pub fn forward(
        &self,
        rec: &mut Recorder,
        x: Tensor,
        moments: Option<Moments>,
        affine: Affine,
    ) -> Result<(Tensor, Statistics)> {
        let statistics = self.statistics(rec, x, moments)?;
        Ok((self.apply(rec, x, statistics, affine, None)?, statistics))
    }

    /// Mean and variance of `x` (`[N, C, H, W]`), merged from its `moments`, which are measured if they are not given.
    pub fn statistics(&self, rec: &mut Recorder, x: Tensor, moments: Option<Moments>) -> Result<Statistics> {
        let moments = moments.map_or_else(|| self.measure(rec, x, None), Ok)?;
        let Sizes { params, statistics, .. } = self.sizes(rec, "norm", x)?;
        let [n, c, ..] = x.shape.nchw("norm", "x")?;
        let moments = match moments.0.shape.nchw("norm", "moments")? {
            [images, channels, _, 4] if [images, channels] == [n, c] => moments.0,
            _ => return Err(Error::argument("norm", "moments", format!("[{n}, {c}, parts, 4]"), moments.0.shape)),
        };
        let [mean, variance] = ["mean", "variance"].map(|name| rec.transient(name, statistics));
        rec.dispatch(
            Dispatch::new(reducing(pass("statistics", false), rec.class()), "norm statistics")
                .bind("moments", moments)
                .bind("mean", mean)
                .bind("variance", variance)
                .params(&params)
                .groups([c as u32, 1, (statistics.count() / c) as u32])
                .flops(2 * moments.shape.count() as u64),
        )?;
        Ok(Statistics { mean, variance })
    }

    /// As [`statistics`](Norm::statistics), with `weights` (`[H, W]`, at least 0, with a mean of 1) for the pixels of
    /// every plane. There is no gradient.
    pub fn weighted_statistics(&self, rec: &mut Recorder, x: Tensor, weights: Tensor) -> Result<Statistics> {
        let [_, _, height, width] = x.shape.nchw("norm", "x")?;
        if weights.shape != [height, width].into() {
            return Err(Error::argument("norm", "weights", format!("[{height}, {width}]"), weights.shape));
        }
        let moments = self.measure(rec, x, Some(weights))?;
        self.statistics(rec, x, Some(moments))
    }

    /// `y` from given statistics, plus `addend`, of the shape of `x`, if there is one.
    pub fn apply(
        &self,
        rec: &mut Recorder,
        x: Tensor,
        statistics: Statistics,
        affine: Affine,
        addend: Option<Tensor>,
    ) -> Result<Tensor> {
        let Sizes { params, four, groups, .. } = self.check(rec, "norm", x, statistics, affine)?;
        check_pair("norm", [("addend", addend.unwrap_or(x)), ("x", x)], x.shape)?;
        let y = rec.transient_stored(x.precision, "normalised", x.shape);
        rec.dispatch(
            Dispatch::new(normalise(four, self.relu, addend.is_some()), "norm")
                .bind("x", x)
                .bind("mean", statistics.mean)
                .bind("variance", statistics.variance)
                .bind("gamma", affine.gamma)
                .bind("beta", affine.beta)
                .bind_optional("addend", addend)
                .bind("y", y)
                .params(&params)
                .groups(groups)
                .flops(4 * x.shape.count() as u64),
        )?;
        Ok(y)
    }

    /// `y` as an [`Input`] that applies norm and ReLU as it is loaded, so that `y` needs no memory. It has no gradient.
    ///
    /// # Errors
    /// A norm without a ReLU, which loading does not support.
    pub fn defer(&self, rec: &mut Recorder, x: Tensor, statistics: Statistics, affine: Affine) -> Result<Input> {
        const OP: &str = "deferred norm";
        let Sizes { params, .. } = self.check(rec, OP, x, statistics, affine)?;
        if !self.relu {
            return Err(Error::argument(OP, "norm", "one with a ReLU", "one without"));
        }
        let [n, c, ..] = x.shape.nchw(OP, "x")?;
        let planes = rec.transient("norms of planes", [n, c, 4]);
        rec.dispatch(
            Dispatch::new(Kernel::new(SHADER, "defer"), "norms of planes")
                .bind("mean", statistics.mean)
                .bind("variance", statistics.variance)
                .bind("gamma", affine.gamma)
                .bind("beta", affine.beta)
                .bind("planes", planes)
                .params(&params)
                .groups(linear_groups(n * c, 64)),
        )?;
        Ok(Input::normalised(x, planes))
    }

    /// Gradient with respect to `x`, of its shape. Accumulates the gradients of `affine` into `gradients`. `statistics`
    /// are those of [`forward`](Norm::forward).
    pub fn backward(
        &self,
        rec: &mut Recorder,
        x: Tensor,
        statistics: Statistics,
        affine: Affine,
        dy: Tensor,
        gradients: Affine,
    ) -> Result<Tensor> {
        const OP: &str = "norm gradient";
        let Sizes { params, four, groups, parts, .. } = self.check(rec, OP, x, statistics, affine)?;
        let channels = affine.gamma.shape;
        if dy.shape != x.shape {
            return Err(Error::argument(OP, "dy", format!("shaped as x, {}", x.shape), dy.shape));
        }
        check_pair(OP, [("dgamma", gradients.gamma), ("dbeta", gradients.beta)], channels)?;
        let over_planes = |kernel: Kernel, label: &str| {
            Dispatch::new(kernel, label)
                .bind("x", x)
                .bind("dy", dy)
                .bind("mean", statistics.mean)
                .bind("variance", statistics.variance)
                .bind("gamma", affine.gamma)
                .bind("beta", affine.beta)
                .params(&params)
                .groups(groups)
                .flops(8 * x.shape.count() as u64)
        };
        let partial = rec.transient("gradients of runs", [parts, 2]);
        let kernel = |entry| pass(entry, four).set("RELU", self.relu);
        let parts_kernel = reducing(kernel("gradient_parts"), rec.class());
        rec.dispatch(over_planes(parts_kernel, "norm gradient parts").bind("partial", partial))?;
        let means = rec.transient("mean gradients", [statistics.mean.shape.count(), 2]);
        rec.dispatch(
            Dispatch::new(Kernel::new(SHADER, "parameter_gradients"), "norm parameter gradients")
                .bind("partial", partial)
                .bind("means", means)
                .bind("dgamma", gradients.gamma)
                .bind("dbeta", gradients.beta)
                .params(&params)
                .groups(linear_groups(channels.count(), 64))
                .flops(2 * parts as u64),
        )?;
        let dx = rec.transient_stored(dy.precision, "norm gradient", x.shape);
        let dispatch = over_planes(kernel("input_gradient"), "norm gradient");
        rec.dispatch(dispatch.bind("means", means).bind("dx", dx))?;
        Ok(dx)
    }

    fn check(&self, rec: &Recorder, op: &str, x: Tensor, statistics: Statistics, affine: Affine) -> Result<Sizes> {
        let sizes = self.sizes(rec, op, x)?;
        check_pair(op, [("mean", statistics.mean), ("variance", statistics.variance)], sizes.statistics)?;
        let [n, c, ..] = x.shape.nchw(op, "x")?;
        let own = self.over == Over::Instance && affine.gamma.shape == [n, c].into();
        let shape: Shape = if own { [n, c].into() } else { [c].into() };
        check_pair(op, [("gamma", affine.gamma), ("beta", affine.beta)], shape)?;
        Ok(sizes)
    }
}

/// Moves the statistics `running` by the factor `momentum` toward those of a batch. All are `[C]`. `count` = N·H·W is
/// the number of elements per channel, from which the running variances are made unbiased.
///
/// # Errors
/// A `count` below 2; shapes that differ.
pub fn track(
    rec: &mut Recorder,
    statistics: Statistics,
    count: usize,
    momentum: f32,
    running: Statistics,
) -> Result<()> {
    if count < 2 {
        return Err(Error::argument(TRACKING, "count", "2 elements or more, for a variance", count));
    }
    let params = TrackParams { momentum, correction: (count as f64 / (count - 1) as f64) as f32 };
    rec.dispatch(tracking(statistics, running)?.params(&params))
}

const TRACKING: &str = "norm tracking";

/// The dispatch that moves `running` toward `statistics`, without its parameters.
fn tracking(statistics: Statistics, running: Statistics) -> Result<Dispatch> {
    let shape = running.mean.shape;
    check_pair(TRACKING, [("mean", statistics.mean), ("variance", statistics.variance)], shape)?;
    check_pair(TRACKING, [("running mean", running.mean), ("running variance", running.variance)], shape)?;
    Ok(Dispatch::new(Kernel::new(SHADER, "track"), TRACKING)
        .bind("mean", statistics.mean)
        .bind("variance", statistics.variance)
        .bind("running_mean", running.mean)
        .bind("running_variance", running.variance)
        .groups(linear_groups(shape.count(), 64)))
}

/// Smooths statistics over the runs of a program, such as the frames of a video: each run moves averages, which stay on
/// the device, by the factor `weight` toward its own statistics.
#[derive(Clone, Copy, Debug)]
pub struct Smoothing(Uniform<TrackParams>);

impl Smoothing {
    /// A smoothing for a program, with a weight of 1: the averages are the statistics of the last run.
    pub fn new(rec: &mut Recorder) -> Self {
        Smoothing(rec.uniform(&TrackParams { momentum: 1.0, correction: 1.0 }))
    }

    /// The averages of `statistics`, of the same shapes. They are zeros until the first run, whose weight must be 1.
    pub fn average(&self, rec: &mut Recorder, statistics: Statistics) -> Result<Statistics> {
        let mut average = |name: &str| {
            let tensor = DeviceTensor::new(rec.context(), name, statistics.mean.shape);
            rec.pin(&tensor)
        };
        let running = Statistics { mean: average("average mean"), variance: average("average variance") };
        rec.dispatch(tracking(statistics, running)?.uniform(self.0))?;
        Ok(running)
    }

    /// Sets the weight of a run's own statistics for the following runs of `program`. With 1, earlier statistics have no
    /// effect, even if they are NaN.
    ///
    /// # Errors
    /// A weight outside 0..=1.
    pub fn set(&self, program: &Program, weight: f32) -> Result<()> {
        if !(0.0..=1.0).contains(&weight) {
            return Err(Error::argument("smoothing", "weight", "0 to 1", weight));
        }
        program.set(self.0, &TrackParams { momentum: weight, correction: 1.0 });
        Ok(())
    }
}
