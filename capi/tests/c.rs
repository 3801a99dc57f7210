//! Programs in C and C++ against the shared and the static library.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use impasto::gpu::{Context, ContextOptions};
use impasto::io::{CompactPicture, Picture};
use impasto::methods::adain::{self, AdainSettings, Source};
use impasto::methods::feed_forward::{self, FeedForwardSettings};
use impasto::nets::adain_decoder::AdainDecoderWeights;
use impasto::nets::image_transform_net::{ImageTransformNetWeights, Painter};
use impasto::nets::{AdainDecoder, AdainPainter, ImageTransformNet, Vgg19};
use impasto::ops::pool::Pooling;
use impasto::weights::{self, PAIRS};

/// What a static library of Rust needs of the system (`cargo rustc -- --print native-static-libs`).
const SYSTEM: [&str; 6] = ["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl"];

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of the libraries. Cargo does not build them for tests.
fn libraries() -> &'static Path {
    static LIBRARIES: OnceLock<PathBuf> = OnceLock::new();
    LIBRARIES.get_or_init(|| {
        let built = Command::new(env!("CARGO")).args(["build", "--lib"]).current_dir(package()).status().unwrap();
        assert!(built.success());
        let test = std::env::current_exe().unwrap();
        test.ancestors().nth(2).unwrap().to_path_buf()
    })
}

fn succeeded(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let texts = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{command:?}: {}\n{}{}", output.status, texts[0], texts[1]);
    output
}

#[derive(Clone, Copy, PartialEq)]
enum Link {
    Shared,
    Static,
}

/// Compiles a source file of the package with warnings as errors, and returns the program.
fn compiled(source: &str, compiler: &[&str], link: Link, folder: &Path) -> PathBuf {
    let name = format!("{}-{}", compiler[0], if link == Link::Shared { "shared" } else { "static" });
    let program = folder.join(name);
    let mut command = Command::new(compiler[0]);
    command.args(&compiler[1..]).args(["-Wall", "-Wextra", "-Werror", "-pedantic", "-I"]);
    command.arg(package().join("include")).arg(package().join(source)).args(["-x", "none", "-o"]).arg(&program);
    match link {
        Link::Shared => {
            let path = libraries().display();
            command.args([format!("-L{path}"), "-limpasto".into(), "-pthread".into(), format!("-Wl,-rpath,{path}")])
        }
        Link::Static => command.arg(libraries().join("libimpasto.a")).args(SYSTEM),
    };
    succeeded(&mut command);
    program
}

const C: &[&str] = &["cc", "-std=c99"];

/// Red, green and blue of a picture in binary PPM.
fn pixels(path: &Path) -> (usize, usize, Vec<u8>) {
    let bytes = std::fs::read(path).unwrap();
    let header = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at).nth(2).unwrap();
    let numbers: Vec<usize> = std::str::from_utf8(&bytes[2..header])
        .unwrap()
        .split_whitespace()
        .map(|number| number.parse().unwrap())
        .collect();
    let pixels = bytes[header + 1..].to_vec();
    assert_eq!(pixels.len(), 3 * numbers[0] * numbers[1]);
    (numbers[0], numbers[1], pixels)
}

fn write(path: &Path, [width, height]: [usize; 2], pixel: impl Fn(usize, usize) -> [u8; 3]) -> Picture {
    let rgb: Vec<u8> =
        (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| pixel(x, y)).collect();
    let mut bytes = format!("P6\n{width} {height}\n255\n").into_bytes();
    bytes.extend_from_slice(&rgb);
    std::fs::write(path, bytes).unwrap();
    let plane = |channel: usize| rgb.iter().skip(channel).step_by(3).map(|value| f32::from(*value) / 255.0);
    Picture::from_rgb(width, height, (0..3).flat_map(plane).collect()).unwrap()
}

/// The bytes of the library's own result.
fn bytes(picture: &Picture) -> Vec<u8> {
    let compact = CompactPicture::from_picture(picture, false).unwrap();
    (0..picture.height).flat_map(|row| compact.row_rgba8(row)).flat_map(|[r, g, b, _]| [r, g, b]).collect()
}

#[test]
fn programs_paint_the_pictures_of_the_library() {
    let folder = tempfile::tempdir().unwrap();
    let [photo_file, style_file, out] = ["photo.ppm", "style.ppm", "out.ppm"].map(|name| folder.path().join(name));
    let photo = write(&photo_file, [72, 48], |x, y| [(x * 3) as u8, (y * 5) as u8, ((x * y) % 251) as u8]);
    let style = write(&style_file, [64, 64], |x, y| [if (x + y) / 5 % 2 == 0 { 240 } else { 20 }, (x * 4) as u8, 90]);

    let context = Context::new(&ContextOptions::default()).unwrap();
    let wave = weights::models().find(|(name, _)| *name == "wave").unwrap().1.unwrap();
    let wave = ImageTransformNetWeights::of(&wave).unwrap();
    let mut painter = Painter::new(ImageTransformNet::new(&context, wave).unwrap());
    let waves = feed_forward::stylize(&mut painter, &photo, &FeedForwardSettings::default()).unwrap();

    let encoder = Vgg19::load(&context, &weights::encoder(PAIRS[1].encoder).unwrap(), Pooling::Max).unwrap();
    let decoder = AdainDecoderWeights::of(&PAIRS[1].decoder().unwrap()).unwrap();
    let mut painter = AdainPainter::new(&encoder, AdainDecoder::new(&context, decoder).unwrap()).unwrap();
    let styles = [Source::Picture(style).into()];
    let stripes = adain::stylize(&mut painter, &photo, &styles, &AdainSettings::default()).unwrap();

    for (source, compiler, link) in [
        ("examples/stylize.c", C, Link::Shared),
        ("examples/stylize.c", C, Link::Static),
        ("examples/stylize.c", &["c++", "-std=c++11", "-x", "c++"][..], Link::Shared),
    ] {
        let program = compiled(source, compiler, link, folder.path());
        for (net, expected) in [("wave", &waves), ("adain-fast", &stripes)] {
            succeeded(Command::new(&program).arg(&out).arg(net).args([&photo_file, &style_file]));
            let (width, height, got) = pixels(&out);
            assert_eq!((width, height), (72, 48));
            assert!(got == bytes(expected), "{net} by {compiler:?}");
        }
    }
}

#[test]
fn the_example_says_what_it_can_do_and_what_went_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let program = compiled("examples/stylize.c", C, Link::Shared, folder.path());
    let listed = succeeded(Command::new(&program).arg("--list"));
    let listed = String::from_utf8(listed.stdout).unwrap();
    for name in ["adain", "adain-fast", "wave", "impressions:night-cafe"] {
        assert!(listed.lines().any(|line| line == name), "{name} in {listed}");
    }
    let out = folder.path().join("out.ppm");
    let output = Command::new(&program).arg(&out).arg("no-such-net").output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && message.contains("no-such-net"), "{message}");
    assert!(!out.exists());
}

#[test]
fn wrong_use_gets_a_status_and_a_text() {
    let folder = tempfile::tempdir().unwrap();
    let program = compiled("tests/c/wrong_use.c", C, Link::Shared, folder.path());
    let pixel = |x: usize, y: usize| [0, 1, 2].map(|channel| (x * 7 + y * (channel + 1) * 3) as u8);
    write(&folder.path().join("style.ppm"), [64, 64], pixel).save(&folder.path().join("style.png")).unwrap();
    succeeded(Command::new(program).arg(folder.path()));
}
