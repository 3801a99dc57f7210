//! `impasto stylize --model`: nets trained for one style, or a mixture of the styles of one body. Each net paints the
//! whole photo, and masks put the results together.

use impasto::Result;
use impasto::gpu::Context;
use impasto::io::{CompactPicture, PixelSource};
use impasto::methods::areas;
use impasto::methods::feed_forward::{self, FeedForwardSettings};
use impasto::nets::image_transform_net::{ImageTransformNetWeights, Painter};
use impasto::nets::{ImageTransformNet, Place};

use super::{Args, enlarged};
use crate::cli::models;
use crate::cli::photos::jobs;

pub fn run(args: &Args) -> Result<()> {
    let settings = FeedForwardSettings {
        size: args.size,
        keep_color: args.keep_color.into(),
        exact: args.exact,
        budget: args.files.budget(),
        ..FeedForwardSettings::default()
    };
    let jobs = jobs::jobs("stylize", &args.files, None)?;
    let find = |option: &str, names: &[String]| ImageTransformNetWeights::of(&models::find("stylize", option, names)?);
    let mut nets = Vec::new();
    for (place, name) in args.masks()? {
        nets.push((find("--mask", &[name.to_string()])?, place));
    }
    if !args.model.is_empty() {
        nets.push((find("--model", &args.model)?, args.rest()));
    }
    let context = args.device.open()?;
    let painter = |context: &Context, net| Result::Ok(Painter::new(ImageTransformNet::new(context, net)?));
    let painters = nets.into_iter().map(|(net, place)| Ok((painter(&context, net)?, place)));
    let mut painters = painters.collect::<Result<Vec<_>>>()?;
    let names: Vec<&str> = args.masked_names().chain(args.model.iter().map(String::as_str)).collect();
    enlarged::run(args, &context, jobs, &names.join(" + "), |photo, _, watch, painted| {
        if let [(painter, Place::Everywhere)] = &mut painters[..] {
            return feed_forward::stylize_parts(painter, photo, &settings, watch, painted);
        }
        // Each result is rounded to 16 bits before they are put together.
        let mut layers = Vec::new();
        for (painter, _) in &mut painters {
            let mut layer = CompactPicture::new(painted.width(), painted.height(), true);
            feed_forward::stylize_parts(painter, photo, &settings, watch, &mut layer)?;
            layers.push(layer);
        }
        let places = painters.iter().map(|(_, place)| place);
        let layers: Vec<_> = layers.iter().map(|layer| layer as &dyn PixelSource).zip(places).collect();
        areas::compose(photo, &layers, painted)
    })
}
