//! `impasto stylize --enlarge`: painted pictures are enlarged before they are written.

use impasto::Result;
use impasto::gpu::Context;
use impasto::io::{CompactPicture, Interpolation, Picture, PixelSource};
use impasto::methods::super_resolution;
use impasto::nets::super_resolution_net::Enlarger;
use impasto::nets::tiles::Watch;

use super::Args;
use crate::cli::enlarge::{self, NET};
use crate::cli::in_options_of;
use crate::cli::photos::jobs::Jobs;
use crate::cli::photos::many::{self, Look, Work};

impl Args {
    /// The factor of `--enlarge`, and the net for it.
    pub fn enlarger(&self, context: &Context) -> Result<Option<(usize, Enlarger)>> {
        self.enlarge.map(|factor| Ok((factor, enlarge::load(context, NET)?))).transpose()
    }
}

/// [`many::run`], with painted pictures enlarged as the arguments say.
pub fn run(
    args: &Args,
    context: &Context,
    jobs: Jobs,
    by: &str,
    mut paint: impl FnMut(&CompactPicture, Look, &mut Watch<'_>, &mut CompactPicture) -> Result<()>,
) -> Result<()> {
    let mut enlarger = args.enlarger(context)?;
    let work = Work {
        command: "stylize",
        done: "painted",
        by,
        size: args.size,
        factor: enlarger.as_ref().map_or(1, |(factor, _)| *factor),
        interpolation: if enlarger.is_some() { Interpolation::Bicubic } else { Interpolation::Lanczos },
        in_options: in_options_of::<Args>,
    };
    many::run(&args.files, context, jobs, &work, |photo, look, watch, result| {
        let Some((factor, enlarger)) = &mut enlarger else { return paint(photo, look, watch, result) };
        // The painted picture is rounded to 16 bits before it is enlarged.
        let mut painted = CompactPicture::new(result.width() / *factor, result.height() / *factor, true);
        paint(photo, look, watch, &mut painted)?;
        super_resolution::enlarge_parts(enlarger, &painted, *factor, &args.files.budget(), watch, result)
    })
}

/// The picture, enlarged as the arguments say.
pub fn picture(args: &Args, context: &Context, painted: &Picture) -> Result<Option<Picture>> {
    let Some((factor, mut enlarger)) = args.enlarger(context)? else { return Ok(None) };
    super_resolution::enlarge(&mut enlarger, painted, factor, &args.files.budget()).map(Some)
}

/// Refuses a factor by which no net enlarges, before any work is done.
pub fn check(args: &Args) -> Result<()> {
    args.enlarge.map_or(Ok(()), |factor| enlarge::check_factor("stylize", "--enlarge", factor))
}
