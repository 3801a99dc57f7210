//! Files that `stylize` reads and writes: formats, orientation, alpha, numbered pictures, log, summary, profile.

use image::{ImageFormat, Rgba, RgbaImage};
use impasto::io::{Metadata, Picture, SaveOptions};
use serde_json::Value;

use crate::studio::{Done, QUICK, Studio, content, difference};
use crate::train::save_photos;

#[test]
fn the_result_is_a_picture_of_the_size_asked_for() {
    let studio = Studio::new();
    for (options, size) in [("", (64, 48)), ("--size 40", (40, 30)), ("--size 96 --style-weight 100", (96, 72))] {
        let bytes = studio.stylize("out.png", options);
        assert_eq!(image::guess_format(&bytes).unwrap(), ImageFormat::Png);
        let picture = studio.picture("out.png");
        assert_eq!(picture.dimensions(), size, "{options}");
        assert!(
            picture.as_raw().iter().max().unwrap() - picture.as_raw().iter().min().unwrap() > 50,
            "{options}: flat"
        );
        let changed = difference(&picture, &content(size.0, size.1));
        assert!(changed > 1.0, "{options}: differs from the content by {changed} only");
    }
}

#[test]
fn the_extension_chooses_the_format() {
    let studio = Studio::new();
    let exact = studio.stylize("out.png", "");
    let exact = image::load_from_memory(&exact).unwrap().to_rgb8();
    let cases = [
        ("out.jpg", ImageFormat::Jpeg, 3.0),
        ("out.JPEG", ImageFormat::Jpeg, 3.0),
        ("out.webp", ImageFormat::WebP, 0.0),
        ("out.tif", ImageFormat::Tiff, 0.0),
        ("out.tiff", ImageFormat::Tiff, 0.0),
    ];
    for (name, format, tolerance) in cases {
        let bytes = studio.stylize(name, "");
        assert_eq!(image::guess_format(&bytes).unwrap(), format, "{name}");
        let error = difference(&image::load_from_memory(&bytes).unwrap().to_rgb8(), &exact);
        assert!(error <= tolerance, "{name} differs from the PNG by {error}");
    }
}

/// `content.png` with an alpha that decreases from left to right.
fn translucent() -> RgbaImage {
    let opaque = content(64, 48);
    RgbaImage::from_fn(64, 48, |x, y| {
        let [r, g, b] = opaque.get_pixel(x, y).0;
        Rgba([r, g, b, 255 - 3 * x as u8])
    })
}

#[test]
fn alpha_of_the_photo_is_kept() {
    let studio = Studio::new();
    translucent().save(studio.path("glass.png")).unwrap();
    for name in ["out.png", "out.webp", "out.tif", "out.jpg"] {
        studio.succeed(&format!("stylize glass.png --style style.png {QUICK} -o {name}"));
        let picture = image::open(studio.path(name)).unwrap();
        assert_eq!(picture.color().has_alpha(), name != "out.jpg", "{name}");
        if name != "out.jpg" {
            let got: Vec<_> = picture.to_rgba8().pixels().map(|pixel| pixel[3]).collect();
            let wanted: Vec<_> = translucent().pixels().map(|pixel| pixel[3]).collect();
            assert!(got == wanted, "{name}");
        }
    }
    // JPEG has no alpha: transparent pixels become white.
    let (flat, painted) = (studio.picture("out.jpg"), studio.picture("out.png"));
    let brightness = |x: u32, picture: &image::RgbImage| {
        let column = (0..48).flat_map(|y| picture.get_pixel(x, y).0);
        column.map(f64::from).sum::<f64>() / 144.0
    };
    assert!((brightness(0, &flat) - brightness(0, &painted)).abs() < 10.0);
    assert!(brightness(63, &flat) > brightness(63, &painted) + 30.0);
}

/// A JPEG with an EXIF orientation.
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    // One big-endian directory with one entry: tag 0x0112, a short.
    let tiff = [b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0", &[orientation][..], b"\0\0\0\0\0\0"].concat();
    let segment = [b"Exif\0\0", &tiff[..]].concat();
    let length = (segment.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], b"\xff\xe1", &length, &segment, &jpeg[2..]].concat()
}

#[test]
fn the_exif_orientation_is_applied() {
    let studio = Studio::new();
    content(64, 48).save(studio.path("plain.jpg")).unwrap();
    let plain = std::fs::read(studio.path("plain.jpg")).unwrap();
    let upright = content(64, 48);
    let cases = [
        (1, upright.clone()),
        (3, image::imageops::rotate180(&upright)),
        (6, image::imageops::rotate90(&upright)),
        (8, image::imageops::rotate270(&upright)),
    ];
    for (orientation, wanted) in &cases {
        studio.write("turned.jpg", with_orientation(&plain, *orientation));
        // Without a style, the photo is unchanged.
        let options = "--style-weight 0 --tv-weight 0";
        studio.succeed(&format!("stylize turned.jpg --style style.png {QUICK} {options} -o out.png --overwrite"));
        let picture = studio.picture("out.png");
        assert_eq!(picture.dimensions(), wanted.dimensions(), "orientation {orientation}");
        let error = difference(&picture, wanted);
        assert!(error < 4.0, "orientation {orientation}: {error}");
    }
    assert!(difference(&cases[0].1, &cases[1].1) > 15.0 && difference(&cases[2].1, &cases[3].1) > 15.0);
}

#[test]
fn the_summary_and_the_log_agree() {
    let studio = Studio::new();
    studio.write("log.jsonl", "an older log\n");
    let options = "--vgg random:0.1 --steps 5 --scales 2 --json --log log.jsonl -o out.png --overwrite";
    let summary = studio.succeed(&format!("stylize content.png --style style.png {options}")).json();
    let lines = studio.json_lines("log.jsonl");
    let number = |value: &serde_json::Value| value.as_f64().unwrap();

    let mut evaluations = 0.0;
    for line in &lines {
        assert!(number(&line["evaluations"]) > evaluations, "{lines:?}");
        evaluations = number(&line["evaluations"]);
        let terms: f64 = line["terms"].as_object().unwrap().values().map(number).sum();
        assert!((terms - number(&line["loss"])).abs() <= 1e-6 * terms, "{line}");
        let wanted = [(45, 34), (64, 48)][line["scale"].as_u64().unwrap() as usize];
        assert_eq!((line["width"].clone(), line["height"].clone()), (wanted.0.into(), wanted.1.into()));
    }
    for scale in [0, 1] {
        let losses: Vec<_> =
            lines.iter().filter(|line| line["scale"] == scale).map(|line| number(&line["loss"])).collect();
        assert!(losses.len() >= 2 && losses.last() < losses.first(), "scale {scale}: {losses:?}");
    }
    assert!(lines.windows(2).all(|pair| number(&pair[0]["seconds"]) <= number(&pair[1]["seconds"])));

    let last = lines.last().unwrap();
    assert_eq!(summary["output"], "out.png");
    assert_eq!((&summary["width"], &summary["height"]), (&64.into(), &48.into()));
    assert_eq!(summary["interrupted"], false);
    assert_eq!(summary["evaluations"], last["evaluations"]);
    // The summary's loss is that of the picture after the last step; the log's losses are those of the evaluations.
    let terms: f64 = summary["terms"].as_object().unwrap().values().map(number).sum();
    assert!((terms - number(&summary["last_loss"])).abs() <= 1e-6 * terms, "{summary}");
    assert!(number(&summary["last_loss"]) < number(&summary["first_loss"]));
    assert!(number(&summary["evaluations"]) >= 10.0 && number(&summary["evaluations"]) < 40.0);
    // At least the picture, its gradient and the history.
    assert!(number(&summary["peak_bytes"]) > 64.0 * 48.0 * 12.0 * 10.0);
    assert!(number(&summary["seconds"]) > 0.0);
    for field in ["device", "driver"] {
        assert!(!summary[field].as_str().unwrap().is_empty());
    }
    assert_eq!(studio.new_names(), ["log.jsonl", "out.png"]);
}

#[test]
fn save_every_writes_numbered_pictures_with_alpha_and_colours() {
    let studio = Studio::new();
    translucent().save(studio.path("glass.png")).unwrap();
    let options = "--vgg random:0.1 --scales 1 --steps 4 --optimizer adam --save-every 2 --keep-color luminance";
    studio.succeed(&format!("stylize glass.png --style style.png {options} -o out.png"));
    assert_eq!(studio.new_names(), ["glass.png", "out-00002.png", "out-00004.png", "out.png"]);
    let [early, late, last] =
        ["out-00002.png", "out-00004.png", "out.png"].map(|name| std::fs::read(studio.path(name)).unwrap());
    assert!(late == last, "the last numbered picture is the result, with its alpha and its colours");
    assert!(early != late);
    assert!(image::load_from_memory(&early).unwrap().color().has_alpha());
}

#[test]
fn a_profile_has_time_and_work_of_every_dispatch() {
    let studio = Studio::new();
    let options = format!("--profile profile.json {QUICK}");
    let printed = studio.succeed(&format!("stylize content.png --style style.png {options} -o out.png")).stdout;
    let dispatches = studio.trace("profile.json");
    assert!(dispatches.len() > 50, "{}", dispatches.len());
    // One evaluation with a tenth of VGG-19's width at 64×48 takes 0.01 to 0.1 GFLOP.
    let sum = |value: fn(&Value) -> &Value| dispatches.iter().map(|one| value(one).as_f64().unwrap()).sum::<f64>();
    let seconds = 1e-6 * sum(|one| &one["dur"]);
    let [gflop, gigabytes] = [sum(|one| &one["args"]["gflop"]), sum(|one| &one["args"]["gigabytes"])];
    assert!(seconds > 0.0 && seconds < 60.0, "{seconds} s");
    assert!(gflop > 0.005 && gflop < 0.5, "{gflop} GFLOP");
    assert!(gigabytes > 1e-4 && gigabytes < 1.0, "{gigabytes} GB");
    // One line per dispatch, and a sum per kernel.
    assert!(printed.contains(&format!("evaluation: {} dispatches, ", dispatches.len())), "{printed}");
    for words in ["total variation gradient", "square loss", "x vector:affine", "% of time"] {
        assert!(printed.contains(words), "{words} is not in {printed}");
    }
    assert!(printed.lines().count() > dispatches.len(), "{printed}");
    let done =
        studio.succeed(&format!("stylize content.png --style style.png {options} --json -o out.png --overwrite"));
    assert!(done.json()["evaluations"].is_number(), "nothing but JSON");
}

#[test]
fn pictures_come_from_standard_input_and_go_to_standard_output() {
    use std::process::Stdio;

    let studio = Studio::new();
    for options in ["--model wave".to_string(), format!("--style style.png {QUICK}")] {
        studio.succeed(&format!("stylize content.png {options} -o file.png --overwrite"));
        let mut command = studio.command(&format!("stylize - {options} -o -"));
        command.stdin(std::fs::File::open(studio.path("content.png")).unwrap()).stderr(Stdio::inherit());
        let output = command.output().unwrap();
        assert!(
            output.status.success() && output.stdout == std::fs::read(studio.path("file.png")).unwrap(),
            "{options}"
        );
    }
    let cases = [
        ("stylize - --model wave -o none.png", ["standard input", "the file is empty"]),
        ("stylize - content.png --model wave -o none", ["PHOTO and --output", "got -"]),
        ("stylize content.png style.png --model wave -o -", ["PHOTO and --output", "got -"]),
        ("stylize content.png --model wave -o - --json", ["--json", "-o -"]),
    ];
    for (arguments, words) in cases {
        studio.refused(studio.command(arguments), 1, &words);
    }
}

/// Names that are not UTF-8 are written as they are; in JSON, U+FFFD replaces what is not UTF-8.
#[cfg(unix)]
#[test]
fn names_need_not_be_utf_8() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let studio = Studio::new();
    let run = |arguments: &str, others: &[&[u8]]| {
        let mut command = studio.command(arguments);
        command.args(others.iter().map(|bytes| OsStr::from_bytes(bytes)));
        let done = Done::of(command);
        assert_eq!(done.code, Some(0), "{arguments}: {}", done.stderr);
        done
    };
    let path = |name: &[u8]| studio.path("").join(OsStr::from_bytes(name));
    for name in [b"a\xff.png", b"a\xfe.png"] {
        std::fs::copy(studio.path("content.png"), path(name)).unwrap();
    }
    let gatys = format!("stylize --style style.png {QUICK} --json");
    assert_eq!(run(&gatys, &[b"a\xff.png", b"-o", b"o\xff.png"]).json()["output"], "o\u{fffd}.png");
    assert!(path(b"o\xff.png").exists());

    // Two names that look alike stay two.
    let grid = run("stylize --style style.png --grid --json -o grid", &[b"a\xff.png", b"a\xfe.png"]);
    assert_eq!(grid.stdout.matches("a\u{fffd}-style.png").count(), 2, "{}", grid.stdout);
    assert!(path(b"grid/a\xff-style.png").exists() && path(b"grid/a\xfe-style.png").exists());

    // The net is kept, and its metadata has the command.
    save_photos(&studio, 3);
    let train = "train ulyanov --photos photos --vgg random:0.05 --width 0.0625 --style-size 48 --crop 32 --batch 2 --steps 1 \
                 --sample-every 0 --json --style";
    assert_eq!(run(train, &[b"a\xff.png", b"-o", b"n\xff.safetensors"]).json()["output"], "n\u{fffd}.safetensors");
    let inspected = run("weights inspect --json", &[b"n\xff.safetensors"]).json();
    assert_eq!(inspected["path"], "n\u{fffd}.safetensors");
    assert!(inspected["metadata"]["command"].as_str().unwrap().contains("a\u{fffd}.png"), "{inspected}");
}

#[test]
fn the_photos_metadata_and_depth_are_kept() {
    let studio = Studio::new();
    let exif = [b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".as_slice(), &[1, 0, 0, 0, 0, 0, 0]].concat();
    let profile = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let xmp = "<x:xmpmeta xmlns:x='adobe:ns:meta/'>\u{e9}</x:xmpmeta>".to_string();
    let metadata = Metadata { profile: Some(profile), exif: Some(exif), xmp: Some(xmp), deep: true };
    let photo = Picture::load(&studio.path("content.png")).unwrap();
    let options = SaveOptions { metadata: metadata.clone(), ..SaveOptions::default() };
    photo.save_with(&studio.path("deep.png"), &options).unwrap();
    photo.save_with(&studio.path("photo.jpg"), &options).unwrap();
    let shallow = Metadata { deep: false, ..metadata.clone() };
    for (photo, output, expected) in [
        ("deep.png", "out.png", &metadata),
        ("deep.png", "out.jpg", &shallow),
        ("photo.jpg", "out.webp", &shallow),
        ("photo.jpg", "out.png", &shallow),
    ] {
        studio.succeed(&format!("stylize {photo} --style style.png {QUICK} -o {output} --overwrite"));
        let (_, got) = Picture::load_with_metadata(&studio.path(output)).unwrap();
        assert!(got == *expected, "{photo} to {output}: {got:?}");
    }
    // AdaIN and nets write many photos in another way.
    studio.succeed("stylize deep.png photo.jpg --model wave --size 40 -o painted");
    for (name, expected) in [("deep.png", &metadata), ("photo.jpg", &shallow)] {
        let (picture, got) = Picture::load_with_metadata(&studio.path(&format!("painted/{name}"))).unwrap();
        assert!(got == *expected && picture.width == 40, "{name}: {got:?}");
    }
}

#[test]
fn quality_is_that_of_a_jpeg_or_a_lossy_webp() {
    let studio = Studio::new();
    let length = |name: &str, quality: &str| studio.stylize(name, quality).len();
    let jpeg = ["--quality 40", "", "--quality 100"].map(|quality| length("out.jpg", quality));
    assert!(jpeg.is_sorted_by(|a, b| a < b), "{jpeg:?}");
    if cfg!(feature = "webp-lossy") {
        let webp = ["--quality 40", "--quality 90", ""].map(|quality| length("out.webp", quality));
        assert!(webp.is_sorted_by(|a, b| a < b), "{webp:?}");
    } else {
        let command = studio.command("stylize content.png --style style.png --quality 40 -o out.webp");
        studio.refused(command, 1, &["an output that ends in .jpg", "feature `webp-lossy`", "out.webp"]);
    }
    let command = studio.command("stylize content.png --style style.png --quality 40 -o out.png");
    studio.refused(command, 1, &["an output that ends in .jpg", "out.png"]);
}
