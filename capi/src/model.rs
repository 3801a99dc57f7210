//! The handle of a net, its styles, and painting.

use std::ffi::c_char;
use std::path::Path;
use std::sync::Mutex;

use impasto::gpu::Context;
use impasto::io::{CompactPicture, Picture, PixelSource, Resized, WeightFile, picture::scaled_size};
use impasto::methods::adain::{self, AdainSettings, Source};
use impasto::methods::{Area, feed_forward};
use impasto::nets::adain_decoder::AdainDecoderWeights;
use impasto::nets::adain_painter::AdainStyle;
use impasto::nets::image_transform_net::Painter;
use impasto::nets::{AdainDecoder, AdainPainter, ImageTransformNet, Place, Vgg19};
use impasto::ops::pool::Pooling;
use impasto::weights::{self, Pair};

use crate::context::{ImpastoContext, free, place, text};
use crate::load::{self, Net};
use crate::options::ImpastoOptions;
use crate::pixels::{Layout, check_size};
use crate::status::{Failure, ImpastoStatus, guard, lock};

/// A net on a device, and for AdaIN the styles that it paints in. Any thread may use it; calls with one model wait for
/// each other. The first picture of a size takes longer, because a program is compiled for it; the programs of the last
/// few sizes are kept.
pub struct ImpastoModel {
    model: Mutex<Model>,
}

enum Model {
    OneStyle(Painter),
    Adain { painter: Box<AdainPainter>, styles: Vec<(AdainStyle, f32)> },
}

// Callers in C may use a handle on any thread.
const _: () = {
    const fn any_thread<T: Send + Sync>() {}
    any_thread::<ImpastoModel>();
    any_thread::<ImpastoContext>();
};

fn load_pair(context: &Context, pair: &Pair) -> impasto::Result<AdainPainter> {
    let encoder = Vgg19::load(context, &weights::encoder(pair.encoder)?, Pooling::Max)?;
    let decoder = AdainDecoder::new(context, AdainDecoderWeights::of(&pair.decoder()?)?)?;
    AdainPainter::new(&encoder, decoder)
}

impl Model {
    fn load(context: &Context, name: &str) -> impasto::Result<Self> {
        match load::find(name)? {
            Net::Pair(pair) => Ok(Model::Adain { painter: Box::new(load_pair(context, pair)?), styles: Vec::new() }),
            Net::OneStyle(weights) => Ok(Model::OneStyle(Painter::new(ImageTransformNet::new(context, weights)?))),
        }
    }

    /// Adds a style.
    fn add(&mut self, source: impl FnOnce() -> Result<Source, Failure>, weight: f32) -> Result<(), Failure> {
        let Model::Adain { painter, styles } = self else {
            return Err(Failure::argument(
                "this net has a style of its own; load `adain` or `adain-fast` to add styles",
            ));
        };
        if !(weight > 0.0 && weight.is_finite()) {
            return Err(Failure::argument(format!("the weight of a style must be above 0, got {weight}")));
        }
        let settings = AdainSettings::default();
        let style = source()?.measured(painter.encoder(), settings.style_size, &settings.budget)?;
        if style.encoder != painter.encoder().fingerprint() {
            let message = "the style was saved with another encoder than this net's; add its picture instead";
            return Err(Failure::argument(message));
        }
        styles.push((style, weight));
        Ok(())
    }

    /// The result of the size that the options ask for.
    fn paint(&mut self, photo: &CompactPicture, options: &ImpastoOptions) -> Result<CompactPicture, Failure> {
        let (width, height) = result_size(photo.width(), photo.height(), options)?;
        let mut painted = CompactPicture::like(&Resized::new(photo, width, height), false)?;
        match self {
            Model::OneStyle(painter) => {
                let settings = options.feed_forward()?;
                feed_forward::stylize_parts(painter, photo, &settings, &mut |_| Ok(()), &mut painted)?;
            }
            Model::Adain { styles, .. } if styles.is_empty() => {
                return Err(Failure::argument("this net needs a style; add one with impasto_style_add_rgba8 or _file"));
            }
            Model::Adain { painter, styles } => {
                let styles = styles.iter().map(|(style, weight)| (Source::Style(style.clone()), *weight)).collect();
                let areas = [Area { styles, place: Place::Everywhere }];
                let settings = options.adain();
                adain::stylize_parts(painter, photo, &areas, &settings, &mut |_| Ok(()), &mut painted)?;
            }
        }
        Ok(painted)
    }
}

/// Width and height of the result for an input of that size.
fn result_size(width: usize, height: usize, options: &ImpastoOptions) -> Result<(usize, usize), Failure> {
    check_size("input", width, height)?;
    let (width, height) = options.result_size().map_or((width, height), |size| scaled_size(width, height, size));
    check_size("result", width, height)?;
    Ok((width, height))
}

/// The model behind a handle.
///
/// # Safety
/// NULL, or a model that is not freed.
unsafe fn model<'a>(model: *const ImpastoModel) -> Result<&'a Mutex<Model>, Failure> {
    // SAFETY: promised by the caller.
    unsafe { model.as_ref() }.map(|handle| &handle.model).ok_or_else(|| Failure::null("model"))
}

/// Loads a net.
///
/// `name` is one of `impasto_model_name`, or a file (UTF-8): `adain` and `adain-fast` paint in any style and need
/// `impasto_style_add_rgba8`; `wave`, `impressions:night-cafe` and others have a style of their own. A file is a
/// feed-forward net (`.safetensors` or `.pth`), for a net of many styles `FILE:STYLE`, or a style of an included net
/// (`.style`). A file that exists comes before an included net of the same name.
///
/// `*model` is the new handle, which `impasto_model_free` takes, or NULL if the call fails.
///
/// # Safety
/// `context` is NULL or a context that is not freed. `name` is NULL or a text with a NUL at its end. `model` points to
/// a place for a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn impasto_load(
    context: *const ImpastoContext,
    name: *const c_char,
    model: *mut *mut ImpastoModel,
) -> ImpastoStatus {
    guard(|| {
        // SAFETY: promised by the caller.
        let made = unsafe { place(model, "model") }?;
        // SAFETY: promised by the caller.
        let context = unsafe { context.as_ref() }.ok_or_else(|| Failure::null("context"))?;
        // SAFETY: promised by the caller.
        let name = unsafe { text(name, "name") }?.ok_or_else(|| Failure::null("name"))?;
        let model = Mutex::new(Model::load(&*lock(&context.context, "context")?, name)?);
        *made = Box::into_raw(Box::new(ImpastoModel { model }));
        Ok(())
    })
}

/// Frees a model. NULL is allowed. No other call may use the model during this call or after it. Freeing a model twice
/// is undefined behaviour.
///
/// # Safety
/// `model` is NULL, or of `impasto_load` and not freed, and not in use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn impasto_model_free(model: *mut ImpastoModel) {
    // SAFETY: promised by the caller.
    unsafe { free(model) };
}

/// Adds a style picture to a model of AdaIN. The model measures it at once and keeps only its statistics.
///
/// Pixels and sizes are as in `impasto_stylize_rgba8`. Pixels count as much as they are opaque, and a picture without a
/// visible pixel is refused. A picture with a side above 512 pixels is reduced first. Several styles are mixed by their
/// weights (above 0), which are divided by their sum. A style that is refused leaves the others as they are.
///
/// # Safety
/// `model` is NULL or a model that is not freed. `pixels` is NULL or has `height` rows of `4 * width` bytes, which
/// begin `stride` bytes after each other.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn impasto_style_add_rgba8(
    model: *mut ImpastoModel,
    width: usize,
    height: usize,
    pixels: *const u8,
    stride: usize,
    weight: f32,
) -> ImpastoStatus {
    guard(|| {
        // SAFETY: promised by the caller.
        let model = unsafe { self::model(model) }?;
        let layout = Layout::new("style", width, height, stride)?;
        // SAFETY: promised by the caller.
        let picture = unsafe { layout.read("style", pixels) }?;
        lock(model, "model")?.add(|| Ok(Source::Picture(picture.to_picture())), weight)
    })
}

/// Adds a style from a file to a model of AdaIN: a picture (PNG, JPEG, WebP or TIFF), or a style that was saved for the
/// encoder of the model, whose name ends in `.style`. `path` is UTF-8. See `impasto_style_add_rgba8`.
///
/// # Safety
/// `model` is NULL or a model that is not freed. `path` is NULL or a text with a NUL at its end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn impasto_style_add_file(
    model: *mut ImpastoModel,
    path: *const c_char,
    weight: f32,
) -> ImpastoStatus {
    guard(|| {
        // SAFETY: promised by the caller.
        let model = unsafe { self::model(model) }?;
        // SAFETY: promised by the caller.
        let path = Path::new(unsafe { text(path, "path") }?.ok_or_else(|| Failure::null("path"))?);
        let source = || match path.extension() {
            Some(ending) if ending == "style" => Ok(Source::Style(AdainStyle::of(&WeightFile::load(path)?)?)),
            _ => Ok(Source::Picture(Picture::load(path)?)),
        };
        lock(model, "model")?.add(source, weight)
    })
}

/// Removes all styles from a model of AdaIN. A model with a style of its own keeps it.
///
/// # Safety
/// `model` is NULL or a model that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn impasto_style_clear(model: *mut ImpastoModel) -> ImpastoStatus {
    guard(|| {
        // SAFETY: promised by the caller.
        if let Model::Adain { styles, .. } = &mut *lock(unsafe { self::model(model) }?, "model")? {
            styles.clear();
        }
        Ok(())
    })
}

/// The size in pixels of the result of `impasto_stylize_rgba8` for an input of `width` by `height` pixels and these
/// options, or the defaults if `options` is NULL.
///
/// # Safety
/// `options` is NULL or has as many bytes as its `struct_size` says. `result_width` and `result_height` are NULL or
/// places for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn impasto_result_size(
    width: usize,
    height: usize,
    options: *const ImpastoOptions,
    result_width: *mut usize,
    result_height: *mut usize,
) -> ImpastoStatus {
    guard(|| {
        // SAFETY: promised by the caller.
        let (width, height) = result_size(width, height, &unsafe { ImpastoOptions::read(options) }?)?;
        if result_width.is_null() || result_height.is_null() {
            return Err(Failure::null("result_width and result_height"));
        }
        // SAFETY: not NULL, and the caller has promised the rest.
        unsafe {
            result_width.write(width);
            result_height.write(height);
        }
        Ok(())
    })
}

/// Paints a picture.
///
/// A pixel has four bytes: red, green, blue and alpha, sRGB, not multiplied by alpha. Rows go from top to bottom. A
/// stride is the distance in bytes from the start of a row to that of the next one, at least 4 times the width; 0 means
/// exactly that. Sides have 1 to 30000 pixels, and pictures at most 400 million; nets have a least side, which the
/// error names.
///
/// `output` has the size of the input, or that of `impasto_result_size` if `options->size` is not 0. It gets the alpha
/// of the input. It may be the input itself, with the same stride and size, or share no pixel with it; others are
/// refused. If the call fails, the output is unchanged. `options` may be NULL for the defaults.
///
/// The call returns when the picture is finished. Besides `options->memory` on the device, it takes up to 4 bytes of
/// memory for each pixel of the input, 8 for each pixel of the result, and 256 MiB.
///
/// # Safety
/// `model` is NULL or a model that is not freed. `input` is NULL or has `height` rows of `4 * width` bytes, which begin
/// `input_stride` bytes after each other. `output` is NULL or has the rows of the result in the same way. `options` is
/// NULL or has as many bytes as its `struct_size` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn impasto_stylize_rgba8(
    model: *mut ImpastoModel,
    width: usize,
    height: usize,
    input: *const u8,
    input_stride: usize,
    output: *mut u8,
    output_stride: usize,
    options: *const ImpastoOptions,
) -> ImpastoStatus {
    guard(|| {
        // SAFETY: promised by the caller.
        let (model, options) = unsafe { (self::model(model)?, ImpastoOptions::read(options)?) };
        let (result_width, result_height) = result_size(width, height, &options)?;
        let layout = Layout::new("input", width, height, input_stride)?;
        let result = Layout::new("output", result_width, result_height, output_stride)?;
        if output.is_null() {
            return Err(Failure::null("the pixels of the output"));
        }
        layout.check_apart(input.addr(), result, output.addr())?;
        // SAFETY: promised by the caller.
        let photo = unsafe { layout.read("input", input) }?;
        let painted = lock(model, "model")?.paint(&photo, &options)?;
        // SAFETY: promised by the caller.
        unsafe { result.write(&painted, output) };
        Ok(())
    })
}
