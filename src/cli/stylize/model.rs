//! `impasto stylize --model`: by a net that has learned one style.

use impasto::Result;
use impasto::methods::feed_forward::{self, Settings};
use impasto::nets::ImageTransformNet;
use impasto::nets::image_transform_net::Painter;

use super::{Args, many};
use crate::cli::models;

pub fn run(args: &Args, model: &str) -> Result<()> {
    let settings = Settings { size: args.size, keep_color: args.keep_color.into() };
    let jobs = many::jobs(args, None)?;
    let weights = models::find(model)?;
    let context = args.device.open()?;
    let mut painter = Painter::new(ImageTransformNet::new(&context, weights)?);
    many::run(args, &context, jobs, model, |photo, _| feed_forward::stylize(&mut painter, photo, &settings))
}
