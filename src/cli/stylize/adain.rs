//! `impasto stylize --style`: by AdaIN, any style in one pass.

use std::path::Path;

use impasto::io::Picture;
use impasto::methods::adain::{self, Area, Settings, Source};
use impasto::methods::color::KeepColor;
use impasto::nets::AdainPainter;
use impasto::nets::adain_painter::Place;
use impasto::sheet::{self, Cell};
use impasto::weights::PAIRS;
use impasto::{Error, Result};

use super::{Args, many, weighted};
use crate::cli::styles;
use crate::cli::weights::load_pair;

/// What only AdaIN lets one choose.
#[derive(clap::Args)]
#[group(id = "in_one_pass", multiple = true)]
#[command(next_help_heading = "In one pass (AdaIN)")]
pub struct AdainArgs {
    /// How much of the style there is, 0 to 1; at 0 the photo comes back as the decoder knows it [default: 1]
    #[arg(long, value_name = "A")]
    alpha: Option<f32>,
    /// A grey picture, stretched over the photo, and the style that goes where it is bright; may be given again. The rest
    /// has the styles of --style, or stays
    #[arg(long, value_name = "MASK=STYLE")]
    mask: Vec<String>,
    /// Every photo in every style of --style, into a folder, with a contact sheet, grid.png: styles across, photos down
    #[arg(long, requires = "style")]
    grid: bool,
    /// Long side of a picture on the contact sheet in pixels; strokes are to be seen from about 512 on. What is painted
    /// smaller (--size) is not enlarged [default: 256]
    #[arg(long, value_name = "PX", requires = "grid")]
    cell: Option<usize>,
    /// Long side from which style pictures are made smaller [default: 512]
    #[arg(long, value_name = "PX")]
    style_size: Option<usize>,
    /// Long side of the coarsest pass, about: larger results are painted coarse to fine, each pass on what the one before
    /// painted, twice as large, so that strokes keep their share of the picture. Smaller: broader strokes. 0: one pass, fine
    /// strokes [default: 512]
    #[arg(long, value_name = "PX")]
    coarse_size: Option<usize>,
    /// Another decoder: a file. Its encoder is the one that it was trained with, if that comes with impasto, or --vgg
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    decoder: Option<String>,
}

/// The contact sheet's name.
const SHEET: &str = "grid.png";

/// Styles with their weights, as the command line names them.
fn sources(list: &[String]) -> Result<Vec<(Source, f32)>> {
    let load = |text: &String| {
        let (name, weight) = weighted(text);
        Ok((styles::find(name)?, weight))
    };
    list.iter().map(load).collect()
}

/// What a style is called in the names of results.
fn title(text: &str) -> String {
    sheet::stem(Path::new(weighted(text).0))
}

impl Args {
    /// The areas of each look: one look, or one for each style.
    fn looks(&self, options: Option<&AdainArgs>) -> Result<Vec<Vec<Area>>> {
        let masks = options.map_or(&[][..], |options| &options.mask);
        let mut areas = Vec::new();
        for text in masks {
            let Some((mask, style)) = text.split_once('=') else {
                return Err(Error::argument("stylize", "--mask", "MASK=STYLE, a grey picture and a style", text));
            };
            let place = Place::Mask(Picture::load(Path::new(mask))?);
            areas.push(Area { styles: sources(&[style.to_string()])?, place });
        }
        let styles = sources(&self.style)?;
        let place = if areas.is_empty() { Place::Everywhere } else { Place::Rest };
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
    let default = Settings::default();
    let settings = Settings {
        size: args.size,
        keep_color: args.keep_color.into(),
        alpha: options.and_then(|options| options.alpha).unwrap_or(default.alpha),
        style_size: options.and_then(|options| options.style_size).unwrap_or(default.style_size),
        coarse_size: match options.and_then(|options| options.coarse_size) {
            Some(size) => Some(size).filter(|size| *size > 0),
            None => default.coarse_size,
        },
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
    let jobs = many::jobs(args, titles.as_deref())?;
    let mut looks = args.looks(options)?;
    let context = args.device.open()?;
    let decoder = options.and_then(|options| options.decoder.as_deref()).or(args.model.first().map(String::as_str));
    let decoder = decoder.unwrap_or(PAIRS[0].name);
    let (encoder, decoder) = load_pair(&context, args.vgg.as_deref(), decoder)?;
    let mut painter = AdainPainter::new(&encoder, decoder)?;
    if settings.keep_color != KeepColor::Match {
        for area in looks.iter_mut().flatten() {
            *area = area.measured(&encoder, settings.style_size)?;
        }
    }
    let Some(titles) = titles else {
        return many::run(args, &context, jobs, "adain", |photo, look| {
            adain::stylize(&mut painter, photo, &looks[look.number], &settings)
        });
    };
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    let outcome = many::run(args, &context, jobs, "adain", |photo, look| {
        let painted = adain::stylize(&mut painter, photo, &looks[look.number], &settings);
        if look.number == 0 {
            // As large as what is painted of it.
            let (width, height) = painted.as_ref().map_or((photo.width, photo.height), |of| (of.width, of.height));
            rows.push(vec![Cell::picture(&photo.resize(width, height), side, sheet::stem(look.photo))]);
        }
        let cell = painted.as_ref().map_or_else(|_| Cell::tile("not painted", ""), |of| Cell::picture(of, side, ""));
        rows.last_mut().into_iter().for_each(|row| row.push(cell.clone()));
        painted
    });
    if rows.is_empty() {
        return outcome;
    }
    // What could be painted is shown, whatever else could not.
    let heads = args.style.iter().zip(titles).map(|(text, title)| match styles::find(weighted(text).0)? {
        Source::Picture(picture) => Ok(Cell::head(&picture, side, title)),
        Source::Style(_) => Ok(Cell::tile("a saved style", title)),
    });
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let corner = ["AdaIN".into(), counted(args.style.len(), "style"), counted(rows.len(), "photo")];
    rows.insert(0, [Ok(Cell::words(corner))].into_iter().chain(heads).collect::<Result<_>>()?);
    outcome.and(sheet::sheet(&rows)?.save(&args.output.join(SHEET)))
}
