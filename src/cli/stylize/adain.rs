//! `impasto stylize --style` with AdaIN.

use std::path::Path;

use impasto::methods::Area;
use impasto::methods::adain::{self, AdainSettings, Source};
use impasto::methods::color::KeepColor;
use impasto::nets::AdainPainter;
use impasto::sheet;
use impasto::weights::PAIRS;
use impasto::{Error, Result};

use super::sheets::Sheets;
use super::{Args, enlarged, weighted};
use crate::cli::photos::jobs;
use crate::cli::styles;
use crate::cli::weights::load_pair;

/// The options of AdaIN.
#[derive(clap::Args)]
#[group(id = "in_one_pass", multiple = true)]
#[command(next_help_heading = "Options of AdaIN (--method adain)")]
pub struct AdainArgs {
    /// Strength of the style, 0 to 1. At 0 the result is the photo as the decoder reproduces it [default: 1]
    #[arg(long, value_name = "A")]
    alpha: Option<f32>,
    /// Paint every photo in every style of --style, into a folder, with a contact sheet grid.png: a column for each
    /// style, a row for each photo. Many photos need further sheets, grid-2.png and so on
    #[arg(long, requires = "style")]
    grid: bool,
    /// Long side of the pictures on the contact sheet in pixels, at least 32. Brush strokes are visible from about 512.
    /// Smaller results (--size) are not enlarged [default: 256]
    #[arg(long, value_name = "PX", requires = "grid")]
    cell: Option<usize>,
    /// Long side in pixels to which larger style pictures are reduced [default: 512]
    #[arg(long, value_name = "PX")]
    style_size: Option<usize>,
    /// Approximate long side of the coarsest pass in pixels. Larger results are painted coarse to fine, so that strokes
    /// keep their share of the picture. Smaller values give broader strokes; 0 paints in one pass [default: 512]
    #[arg(long, value_name = "PX")]
    coarse_size: Option<usize>,
    /// Decoder file to use instead of an included decoder. Name its encoder with --vgg, unless that is included
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    decoder: Option<String>,
}

/// Loads the styles that the command line names, with their weights.
fn sources(list: &[String]) -> Result<Vec<(Source, f32)>> {
    let load = |text: &String| {
        let (name, weight) = weighted(text);
        Ok((styles::find(name)?, weight))
    };
    list.iter().map(load).collect()
}

/// The name of a style in the file names of results.
fn title(text: &str) -> String {
    sheet::stem(Path::new(weighted(text).0))
}

impl Args {
    /// The areas of each look. There is one look or, with `--grid`, one for each style.
    fn looks(&self, options: Option<&AdainArgs>) -> Result<Vec<Vec<Area<Source>>>> {
        let mut areas = Vec::new();
        for (place, style) in self.masks()? {
            areas.push(Area { styles: sources(&[style.to_string()])?, place });
        }
        let styles = sources(&self.style)?;
        let place = self.rest();
        if options.is_some_and(|options| options.grid) {
            let look = |style: (Source, f32)| {
                let area = Area { styles: vec![(style.0, 1.0)], place: place.clone() };
                areas.iter().cloned().chain([area]).collect()
            };
            return Ok(styles.into_iter().map(look).collect());
        }
        if !styles.is_empty() {
            areas.push(Area { styles, place });
        }
        Ok(vec![areas])
    }
}

pub fn run(args: &Args, options: Option<&AdainArgs>) -> Result<()> {
    let default = AdainSettings::default();
    let settings = AdainSettings {
        size: args.size,
        keep_color: args.keep_color.into(),
        alpha: options.and_then(|options| options.alpha).unwrap_or(default.alpha),
        style_size: options.and_then(|options| options.style_size).unwrap_or(default.style_size),
        coarse_size: match options.and_then(|options| options.coarse_size) {
            Some(size) => Some(size).filter(|size| *size > 0),
            None => default.coarse_size,
        },
        budget: args.files.budget(),
    };
    if !(0.0..=1.0).contains(&settings.alpha) {
        return Err(Error::argument("stylize", "--alpha", "0 to 1", settings.alpha));
    }
    if settings.style_size == 0 {
        return Err(Error::argument("stylize", "--style-size", "at least 1", 0));
    }
    let side = options.and_then(|options| options.cell).unwrap_or(256);
    if side < sheet::LEAST {
        return Err(Error::argument("stylize", "--cell", format!("at least {} px", sheet::LEAST), side));
    }
    let titles: Option<Vec<_>> =
        options.filter(|options| options.grid).map(|_| args.style.iter().map(|text| title(text)).collect());
    if let Some(titles) = &titles
        && let Some(twice) = titles.iter().enumerate().find(|(at, title)| titles[..*at].contains(title))
    {
        return Err(Error::argument("stylize", "--style", "styles of different names with --grid", twice.1));
    }
    let jobs = jobs::jobs("stylize", &args.files, titles.as_deref())?;
    if titles.is_some() {
        Sheets::check(&args.files.output, args.files.overwrite)?;
    }
    let mut looks = args.looks(options)?;
    let sheets = titles.map(|titles| {
        // The last area of a look is that of its style.
        let styles = looks.iter().filter_map(|areas| Some(&areas.last()?.styles.first()?.0)).collect::<Vec<_>>();
        Sheets::new(&args.files.output, args.files.overwrite, side, styles.into_iter().zip(&titles), jobs.jobs.len())
    });
    let context = args.device.open()?;
    let decoder = options.and_then(|options| options.decoder.as_deref()).or(args.model.first().map(String::as_str));
    let decoder = decoder.unwrap_or(PAIRS[0].name);
    let (encoder, decoder) = load_pair(&context, args.vgg.as_deref(), decoder)?;
    let mut painter = AdainPainter::new(&encoder, decoder)?;
    if settings.keep_color != KeepColor::Match {
        for area in looks.iter_mut().flatten() {
            *area = area.measured(&encoder, settings.style_size, &settings.budget)?;
        }
    }
    let Some(mut sheets) = sheets else {
        return enlarged::run(args, &context, jobs, "adain", |photo, look, watch, painted| {
            adain::stylize_parts(&mut painter, photo, &looks[look.number], &settings, watch, painted)
        });
    };
    let outcome = enlarged::run(args, &context, jobs, "adain", |photo, look, watch, painted| {
        if look.number == 0 {
            sheets.photo(photo, painted, sheet::stem(look.photo))?;
        }
        let outcome = adain::stylize_parts(&mut painter, photo, &looks[look.number], &settings, watch, painted);
        sheets.result(outcome.is_ok().then_some(&*painted))?;
        outcome
    });
    // The contact sheet shows all results, even if some photos failed.
    outcome.and(sheets.finish())
}
