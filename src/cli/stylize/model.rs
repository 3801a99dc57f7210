//! `impasto stylize --model`: a net trained for one style, or a mixture of the styles of one body.

use impasto::Result;
use impasto::methods::feed_forward::{self, FeedForwardSettings};
use impasto::nets::ImageTransformNet;
use impasto::nets::image_transform_net::{ImageTransformNetWeights, Painter};

use super::{Args, jobs, many};
use crate::cli::models;

pub fn run(args: &Args) -> Result<()> {
    let settings = FeedForwardSettings { size: args.size, keep_color: args.keep_color.into() };
    let jobs = jobs::jobs(args, None)?;
    let weights = ImageTransformNetWeights::of(&models::find("stylize", "--model", &args.model)?)?;
    let context = args.device.open()?;
    let mut painter = Painter::new(ImageTransformNet::new(&context, weights)?);
    many::run(args, &context, jobs, &args.model.join(" + "), |photo, _| {
        feed_forward::stylize(&mut painter, photo, &settings)
    })
}
