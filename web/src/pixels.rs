//! Pictures between JavaScript and the library.

use impasto::io::{CompactPicture, Picture, PixelSource};
use wasm_bindgen::Clamped;
use wasm_bindgen::prelude::*;

use crate::error::Failure;

/// A picture: red, green, blue and alpha of each pixel, row by row from the top, sRGB, not premultiplied.
#[wasm_bindgen]
pub struct Pixels(pub(crate) CompactPicture);

#[wasm_bindgen]
impl Pixels {
    /// A picture from the data of an ImageData. Without a visible pixel it is refused, because its colours are unknown.
    #[wasm_bindgen(constructor)]
    pub fn new(width: usize, height: usize, rgba: Clamped<Vec<u8>>) -> Result<Pixels, Failure> {
        Ok(Pixels(CompactPicture::from_rgba8(width, height, rgba.0)?))
    }

    /// A mask from the data of an ImageData: its red channel, on black where it is transparent.
    pub fn mask(width: usize, height: usize, rgba: Clamped<Vec<u8>>) -> Result<Pixels, Failure> {
        let mut grey = rgba.0;
        for pixel in grey.chunks_exact_mut(4) {
            let red = (u16::from(pixel[0]) * u16::from(pixel[3]) / 255) as u8;
            pixel.copy_from_slice(&[red, red, red, 255]);
        }
        Pixels::new(width, height, Clamped(grey))
    }

    /// Width in pixels.
    #[wasm_bindgen(getter)]
    pub fn width(&self) -> usize {
        self.0.width()
    }

    /// Height in pixels.
    #[wasm_bindgen(getter)]
    pub fn height(&self) -> usize {
        self.0.height()
    }

    /// The data of an ImageData.
    pub fn rgba(&self) -> Clamped<Vec<u8>> {
        let mut all = Vec::with_capacity(4 * self.0.width() * self.0.height());
        for row in 0..self.0.height() {
            all.extend(self.0.row_rgba8(row).flatten());
        }
        Clamped(all)
    }
}

impl Pixels {
    /// The planes of the picture.
    pub fn picture(&self) -> Picture {
        self.0.to_picture()
    }

    /// From planes.
    pub fn of(picture: &Picture) -> impasto::Result<Self> {
        Ok(Pixels(CompactPicture::from_picture(picture, false)?))
    }
}
