//! `train adain`, and `stylize` and `style` with its decoder.

use impasto::io::{DType, WeightFile};
use impasto::nets::adain_decoder::AdainDecoderWeights;
use impasto::nets::vgg19::Vgg19Weights;

use crate::studio::{Studio, content, place, style};
use crate::train::save_photos;

/// A studio with `other.png`, the style in other colours.
fn studio() -> Studio {
    let studio = Studio::new();
    let mut other = style(60, 64);
    other.pixels_mut().for_each(|pixel| pixel.0.rotate_left(1));
    other.save(studio.path("other.png")).unwrap();
    studio
}

fn save(studio: &Studio, name: &str, weights: &AdainDecoderWeights) {
    WeightFile::save(&studio.path(name), DType::F32, &weights.tensors(), &Default::default()).unwrap();
}

fn mask(studio: &Studio, name: &str, value: impl Fn(u32) -> u8) {
    image::GrayImage::from_fn(64, 48, |x, _| image::Luma([value(x)])).save(studio.path(name)).unwrap();
}

/// Largest difference of two pictures of the same size, in steps of 1/255.
fn difference(studio: &Studio, a: &str, b: &str) -> u8 {
    let (a, b) = (studio.picture(a), studio.picture(b));
    assert_eq!(a.dimensions(), b.dimensions());
    a.iter().zip(b.iter()).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

#[test]
fn a_decoder_learns_and_paints() {
    let studio = studio();
    save_photos(&studio, 6);
    let options = "--encoder compact --photos photos --paintings photos --crop 32 --batch 2 --steps 6 --sample-every 3 --tv-weight 1 \
                   --identity-weight 5 --json";
    let encoder = Vgg19Weights::of(&impasto::weights::encoder("compact").unwrap()).unwrap();
    save(&studio, "random.safetensors", &AdainDecoderWeights::random(&encoder, 1).unwrap());
    let told = studio.succeed(&format!("train adain {options} --init random.safetensors -o mine.safetensors")).json();
    assert_eq!((told["step"].as_u64(), told["steps"].as_u64()), (Some(6), Some(6)));
    let log = studio.json_lines("mine.safetensors.training/log.jsonl");
    let losses: Vec<f64> = log.iter().map(|line| line["loss"].as_f64().unwrap()).collect();
    assert!(losses[5] < losses[0], "{losses:?}");
    let terms = log[0]["terms"].as_object().unwrap();
    assert!(terms.len() == 11 && terms.values().all(|term| term.as_f64().unwrap() > 0.0), "{terms:?}");
    assert!(studio.path("mine.safetensors.training/samples/step-00000006.png").exists());
    studio.succeed("stylize content.png --style style.png --decoder mine.safetensors -o mine.png");
    studio.succeed("stylize content.png --style style.png -o built_in.png");
    assert!(difference(&studio, "mine.png", "built_in.png") > 0);
    // The closed-form initialisation is better than a random one, on the same pictures.
    studio.succeed(&format!("train adain {options} -o again.safetensors"));
    let first = studio.json_lines("again.safetensors.training/log.jsonl")[0]["loss"].as_f64().unwrap();
    assert!(first < losses[0] / 2.0, "{first} is not far below {}", losses[0]);
}

#[test]
fn options_of_adain_change_the_picture() {
    let studio = studio();
    let paint =
        |options: &str, output: &str| studio.succeed(&format!("stylize content.png {options} -o {output} --overwrite"));
    paint("--style style.png", "a.png");
    paint("--style other.png", "b.png");
    paint("--style style.png --alpha 0", "none.png");
    assert!(difference(&studio, "a.png", "b.png") > 8 && difference(&studio, "a.png", "none.png") > 8);
    // α = 0 gives the same as the photo's own style.
    paint("--style content.png", "own.png");
    assert!(difference(&studio, "own.png", "none.png") <= 1);
    // Weights 1 and 0 give the first style alone; equal weights give neither style.
    paint("--style style.png:1 --style other.png:0", "one.png");
    assert_eq!(studio.picture("one.png"), studio.picture("a.png"));
    paint("--style style.png:0.5 --style other.png:0.5", "half.png");
    assert!(["a.png", "b.png"].iter().all(|end| difference(&studio, "half.png", end) > 4));
    // Coarse to fine changes the picture if there is more than one pass. With α = 0 it is as sharp as in one pass.
    paint("--style style.png --coarse-size 24", "coarse.png");
    assert!(difference(&studio, "coarse.png", "a.png") > 4);
    for one in ["0", "48", "1000"] {
        paint(&format!("--style style.png --coarse-size {one}"), "one-pass.png");
        assert_eq!(studio.picture("one-pass.png"), studio.picture("a.png"), "{one}");
    }
    paint("--style style.png --coarse-size 24 --alpha 0", "none-coarse.png");
    assert!(difference(&studio, "none-coarse.png", "none.png") <= 1);
    // A white mask has no effect. A mask that is white on the left gives one style there and the other on the right.
    mask(&studio, "white.png", |_| 255);
    mask(&studio, "left.png", |x| if x < 32 { 255 } else { 0 });
    paint("--mask white.png=style.png", "white-a.png");
    assert!(difference(&studio, "white-a.png", "a.png") <= 1);
    paint("--mask left.png=style.png --style other.png", "both.png");
    let [both, a, b] = ["both.png", "a.png", "b.png"].map(|name| studio.picture(name));
    // The decoder mixes the styles over some 20 px at the border; the outermost columns are not affected.
    let apart = |x: u32, other: &image::RgbImage| {
        let pixel = |y| both.get_pixel(x, y).0.iter().zip(other.get_pixel(x, y).0).map(|(a, b)| a.abs_diff(b));
        (0..48).flat_map(pixel).max().unwrap()
    };
    assert!(apart(0, &a) < apart(0, &b), "{} at the left, {}", apart(0, &a), apart(0, &b));
    assert!(apart(63, &b) < apart(63, &a), "{} at the right, {}", apart(63, &b), apart(63, &a));
    // Kept colours are the photo's.
    paint("--style style.png --keep-color match", "match.png");
    assert!(difference(&studio, "match.png", "a.png") > 8);
    paint("--style style.png --keep-color luminance", "luminance.png");
    let mean = |name: &str| {
        let picture = studio.picture(name);
        let difference = |pixel: &image::Rgb<u8>| f64::from(pixel.0[2]) - f64::from(pixel.0[0]);
        picture.pixels().map(difference).sum::<f64>() / f64::from(picture.width() * picture.height())
    };
    // No channel of this grey-blue photo reaches the ends of its range, so nothing is clipped.
    assert!(
        (mean("luminance.png") - mean("content.png")).abs() < 2.0,
        "{} {}",
        mean("luminance.png"),
        mean("content.png")
    );
}

#[test]
fn a_saved_style_paints_like_its_picture() {
    let studio = studio();
    studio.succeed("stylize content.png --style style.png -o plain.png");
    studio.succeed("style save style.png -o file.style");
    studio.succeed("stylize content.png --style file.style -o file.png");
    studio.succeed("style save other.png");
    assert!(studio.succeed("style list").stdout.starts_with("other: "));
    studio.succeed("stylize content.png --style other.png -o other-plain.png");
    studio.succeed("stylize content.png --style other -o other-named.png");
    let bytes = |name: &str| std::fs::read(studio.path(name)).unwrap();
    assert_eq!(bytes("file.png"), bytes("plain.png"));
    assert_eq!(bytes("other-named.png"), bytes("other-plain.png"));
    let size = bytes("file.style").len();
    assert!(size < 8192, "{size} bytes");
}

#[test]
fn grid_shows_every_photo_in_every_style() {
    let studio = studio();
    std::fs::create_dir(studio.path("album")).unwrap();
    for (name, width) in [("a", 64), ("b", 51)] {
        content(width, 40).save(studio.path(&format!("album/{name}.png"))).unwrap();
    }
    studio.succeed("stylize album --style style.png --style other.png --grid -o painted");
    for name in ["a-style", "a-other", "b-style", "b-other"] {
        let width = if name.starts_with('a') { 64 } else { 51 };
        assert_eq!(studio.picture(&format!("painted/{name}.png")).dimensions(), (width, 40), "{name}");
    }
    // Styles in the first row, photos in the first column, results in the cells, and a strip of paper for captions
    // below each row.
    let sheet = studio.picture("painted/grid.png");
    assert_eq!(sheet.dimensions(), (2 * 6 + 3 * 64 + 2 * 3, 2 * 6 + (64 + 13) + 2 * (3 + 40 + 13)));
    let shown = |name: &str| place(&sheet, &studio.picture(&format!("painted/{name}.png")));
    assert_eq!((shown("a-style"), shown("a-other")), ((73, 86), (140, 86)));
    assert_eq!((shown("b-style"), shown("b-other")), ((73 + 6, 142), (140 + 6, 142)));
    assert_eq!(place(&sheet, &studio.picture("album/a.png")), (6, 86));
    let corner = image::imageops::crop_imm(&sheet, 0, 0, 70, 70).to_image();
    let is_paper = |pixel: &image::Rgb<u8>| pixel == sheet.get_pixel(0, 0) && pixel.0[0] < 255;
    assert!(corner.pixels().any(is_paper) && !corner.pixels().all(is_paper), "words on paper");
    // An unreadable photo is reported, and the sheet shows the others.
    studio.write("album/broken.png", "no picture");
    let done = studio.run("stylize album --style style.png --grid -o some");
    assert!(done.code == Some(1) && done.stderr.contains("broken.png"), "{}", done.stderr);
    assert_eq!(studio.picture("some/grid.png").dimensions(), (2 * 6 + 2 * 64 + 3, sheet.height()));
    std::fs::remove_file(studio.path("album/broken.png")).unwrap();
    // Larger cells do not enlarge pictures, smaller ones reduce them; a saved style has no picture to show.
    studio.succeed("stylize album --style style.png --style other.png --grid --cell 300 -o large");
    assert_eq!(studio.picture("large/grid.png"), sheet);
    studio.succeed("style save style.png -o kept.style");
    studio.succeed("stylize album --style kept.style --grid --cell 40 -o small");
    let small = studio.picture("small/grid.png");
    assert_eq!(small.dimensions(), (2 * 6 + 2 * 40 + 3, 2 * 6 + (40 + 13) + (3 + 25 + 13) + (3 + 31 + 13)));
    assert!(small.get_pixel(6 + 43 + 2, 6 + 2) != small.get_pixel(0, 0), "a tile");
    // Sheets have a limited height.
    content(40, 40).save(studio.path("album/c.png")).unwrap();
    studio.succeed("stylize album --style kept.style --grid --cell 2500 -o pages");
    let height = |name: &str| studio.picture(name).height();
    assert!(height("pages/grid.png") > height("pages/grid-2.png") + 40 && !studio.path("pages/grid-3.png").exists());
    studio.refused(studio.command("stylize album --style style.png --grid -o pages"), 1, &["pages/grid-2.png"]);
    // Without --grid, the styles are mixed for each photo.
    studio.succeed("stylize album --style style.png --style other.png -o mixed");
    assert_eq!(studio.picture("mixed/b.png").dimensions(), (51, 40));
}

#[test]
fn invalid_adain_options_are_refused() {
    let studio = studio();
    studio.succeed("style save style.png -o a.style");
    save(&studio, "wide.safetensors", &AdainDecoderWeights::random(&Vgg19Weights::random(1.0, 1), 1).unwrap());
    studio.write("text.png", "no picture");
    let style = "stylize content.png --style style.png -o out.png";
    for (command, telling) in [
        (format!("{style} --alpha 2"), "--alpha"),
        (format!("{style} --alpha nan"), "--alpha"),
        (format!("{style} --alpha 0.5 --steps 3"), "gatys"),
        (format!("{style} --method gatys --alpha 0.5"), "adain"),
        (format!("{style} --method adain --steps 3"), "gatys"),
        (format!("{style} --mask white.png"), "MASK=STYLE"),
        (format!("{style} --mask text.png=style.png"), "text.png"),
        (format!("{style} --decoder wide.safetensors --vgg compact"), "512 channels"),
        (format!("{style} --decoder style.png"), "style.png"),
        (format!("{style} --size 8"), "at least 16"),
        (format!("{style} --style-size 8"), "at least 16"),
        (format!("{style} --style-size 0"), "--style-size"),
        (format!("{style} --style style.png:-1"), "from 0 up"),
        ("stylize content.png --style nobody.style -o out.png".into(), "nobody.style"),
        ("stylize content.png --style a.style --keep-color match -o out.png".into(), "saved style"),
        ("stylize content.png --style a.style --vgg random:0.25 -o out.png".into(), "encoder"),
        ("stylize content.png --style style.png --style style.png --grid -o out".into(), "different names"),
        ("stylize content.png --style style.png --grid -o out.png".into(), "a folder"),
        ("stylize content.png --style style.png --grid --cell 31 -o out".into(), "at least 32 px"),
        ("style save text.png -o b.style".into(), "text.png"),
        ("style save style.png -o b.png".into(), ".style"),
    ] {
        let done = studio.run(&command);
        assert_eq!(done.code, Some(1), "{command}: {}", done.stderr);
        assert!(done.stderr.contains(telling), "{command}: {}", done.stderr);
        assert!(!studio.path("out.png").exists() && !studio.path("b.style").exists(), "{command}");
    }
}
