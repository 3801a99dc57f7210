//! A window of a feature map: cutting it out, and adding it back. Maths: shaders/window.wgsl.

use crate::gpu::{Dispatch, Kernel, Program, Recorder, Tensor, Uniform};
use crate::{Error, Result};

const SHADER: &str = "window.wgsl";
const OP: &str = "window";

super::params! {
    /// Sizes of the feature map and of the window, and the window's upper left corner.
    Params { height: u32, width: u32, window_height: u32, window_width: u32, top: u32, left: u32 }
}

/// Every variant of this operation's kernels.
pub(crate) fn kernels() -> Vec<Kernel> {
    ["cut", "add"].map(|entry| Kernel::new(SHADER, entry)).to_vec()
}

/// The place of a window, which can change between runs.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    uniform: Uniform<Params>,
    whole: [usize; 2],
    size: [usize; 2],
}

impl Window {
    /// A window of `size` in feature maps of `whole`, both `[height, width]`, with its upper left corner at `at`,
    /// `[row, column]`.
    ///
    /// # Errors
    /// A window without elements, or one that is not within the feature map.
    pub fn new(rec: &mut Recorder, whole: [usize; 2], size: [usize; 2], at: [usize; 2]) -> Result<Self> {
        if size.contains(&0) || size[0] > whole[0] || size[1] > whole[1] {
            return Err(Error::argument(OP, "size", format!("from [1, 1] to {whole:?}"), format!("{size:?}")));
        }
        Ok(Window { uniform: rec.uniform(&params(whole, size, at)?), whole, size })
    }

    /// Moves the window's upper left corner to `[row, column]`, for the following runs of `program`.
    ///
    /// # Errors
    /// A window that is not within the feature map.
    pub fn place(&self, program: &Program, at: [usize; 2]) -> Result<()> {
        program.set(self.uniform, &params(self.whole, self.size, at)?);
        Ok(())
    }

    /// Records `dispatch` with a thread for each element of the window.
    fn record(&self, rec: &mut Recorder, dispatch: Dispatch, planes: usize) -> Result<()> {
        let [height, width] = self.size;
        rec.dispatch(dispatch.uniform(self.uniform).groups([width.div_ceil(64), height, planes].map(|n| n as u32)))
    }
}

fn params(whole: [usize; 2], size: [usize; 2], at: [usize; 2]) -> Result<Params> {
    let most = [whole[0] - size[0], whole[1] - size[1]];
    if at[0] > most[0] || at[1] > most[1] {
        return Err(Error::argument(OP, "at", format!("at most {most:?}"), format!("{at:?}")));
    }
    let [height, width, window_height, window_width, top, left] =
        [whole[0], whole[1], size[0], size[1], at[0], at[1]].map(|number| number as u32);
    Ok(Params { height, width, window_height, window_width, top, left })
}

/// The window of `x` (`[N, C, H, W]`), `[N, C, h, w]`.
pub fn cut(rec: &mut Recorder, x: Tensor, window: Window) -> Result<Tensor> {
    let [n, c, height, width] = x.shape.nchw(OP, "x")?;
    if [height, width] != window.whole {
        return Err(Error::argument(OP, "x", format!("[N, C, H, W] with [H, W] = {:?}", window.whole), x.shape));
    }
    let y = rec.transient_stored(x.precision, "window", [n, c, window.size[0], window.size[1]]);
    window.record(rec, Dispatch::new(Kernel::new(SHADER, "cut"), "cut window").bind("x", x).bind("y", y), n * c)?;
    Ok(y)
}

/// Adds `y` (`[N, C, h, w]`) to the window of `z` (`[N, C, H, W]`), in place: the gradient of [`cut`].
pub fn add(rec: &mut Recorder, y: Tensor, window: Window, z: Tensor) -> Result<()> {
    let [n, c, height, width] = z.shape.nchw(OP, "z")?;
    if [height, width] != window.whole {
        return Err(Error::argument(OP, "z", format!("[N, C, H, W] with [H, W] = {:?}", window.whole), z.shape));
    }
    let size = window.size;
    if y.shape != [n, c, size[0], size[1]].into() {
        return Err(Error::argument(OP, "y", format!("[{n}, {c}, {}, {}]", size[0], size[1]), y.shape));
    }
    let dispatch = Dispatch::new(Kernel::new(SHADER, "add"), "add window").bind("y", y).bind("z", z);
    window.record(rec, dispatch.flops(y.shape.count() as u64), n * c)
}
