//! `impasto stylize --mask`: which style or net paints which part of the photo.

use std::path::Path;

use impasto::io::Picture;
use impasto::nets::Place;
use impasto::{Error, Result};

use super::Args;
use super::names::split;

impl Args {
    /// The text after the `=` of each `--mask`.
    pub fn masked_names(&self) -> impl Iterator<Item = &str> {
        self.mask.iter().filter_map(|text| Some(split(text)?.1))
    }

    /// The masks, each with the name of its style or net.
    pub fn masks(&self) -> Result<Vec<(Place, &str)>> {
        let load = |text: &'_ String| {
            let Some((mask, _)) = split(text) else {
                let expected = "MASK=STYLE or MASK=NET: a picture, and a style or a net";
                return Err(Error::argument("stylize", "--mask", expected, text));
            };
            Ok(Place::Mask(Picture::load(Path::new(mask))?))
        };
        let places = self.mask.iter().map(load).collect::<Result<Vec<_>>>()?;
        Ok(places.into_iter().zip(self.masked_names()).collect())
    }

    /// The place of what `--style` or `--model` names: what the masks leave.
    pub fn rest(&self) -> Place {
        if self.mask.is_empty() { Place::Everywhere } else { Place::Rest }
    }
}
