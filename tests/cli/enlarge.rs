//! `train super-resolution`, `enlarge`, `stylize --enlarge` and `eval super-resolution`.

use impasto::io::{DType, WeightFile};
use impasto::nets::super_resolution_net::SuperResolutionWeights;

use crate::studio::{Studio, content};
use crate::train::save_photos;

/// A narrow net of random weights.
fn save_net(studio: &Studio, name: &str, scale: usize) {
    let weights = SuperResolutionWeights::random(scale, 1.0 / 16.0, 1);
    WeightFile::save(&studio.path(name), DType::F32, &weights.tensors, &weights.metadata()).unwrap();
}

#[test]
fn a_trained_net_enlarges_and_is_measured() {
    let studio = Studio::new();
    save_photos(&studio, 4);
    let options = "--photos photos --width 0.0625 --crop 40 --batch 2 --sample-every 2 --hold-out 2";
    studio.succeed(&format!("train super-resolution --loss pixel {options} --steps 3 -o pixel.safetensors"));
    studio.succeed(&format!(
        "train super-resolution {options} --vgg random:0.1 --init pixel.safetensors --steps 2 -o x4.safetensors"
    ));
    let metadata = WeightFile::load(&studio.path("x4.safetensors")).unwrap().metadata;
    assert_eq!((metadata["scale"].as_str(), metadata["trained_on"].as_str()), ("4", "2 photos"));
    assert!(studio.path("x4.safetensors.training/samples/step-00000002.png").exists());
    let inspected = studio.succeed("weights inspect x4.safetensors").stdout;
    assert!(inspected.contains("impasto enlarge PHOTO --model x4.safetensors"), "{inspected}");

    // The sizes of the photo in content.png are 64x48.
    for (scale, size) in [(2, (128, 96)), (4, (256, 192)), (8, (512, 384))] {
        let done =
            studio.succeed(&format!("enlarge content.png --model x4.safetensors --scale {scale} -o {scale}.png"));
        assert_eq!(studio.picture(&format!("{scale}.png")).dimensions(), size, "{}", done.stdout);
    }
    let figures = studio
        .succeed("eval super-resolution --model x4.safetensors --photos photos --hold-out 2 --vgg random:0.1 --json")
        .json();
    assert_eq!(figures["photos"].as_array().unwrap().len(), 2);
    let [bicubic, net] = ["bicubic", "x4"].map(|name| figures["mean"][name]["psnr"].as_f64().unwrap());
    // A net that has hardly been trained is close to bicubic interpolation, but not equal.
    assert!((bicubic - net).abs() < 3.0 && bicubic != net, "{bicubic} {net}");
    let table = studio.succeed(
        "eval super-resolution --model x4.safetensors --photos photos --limit 1 --vgg random:0.1 --pictures sheets",
    );
    assert!(table.stdout.contains("Lanczos") && studio.path("sheets/000-000.png").exists(), "{}", table.stdout);
}

#[test]
fn photos_keep_what_their_files_say_and_folders_their_names() {
    let studio = Studio::new();
    save_net(&studio, "net.safetensors", 4);
    std::fs::create_dir(studio.path("in")).unwrap();
    // 16 bits and alpha.
    let deep = image::ImageBuffer::<image::Rgba<u16>, _>::from_fn(24, 20, |x, y| {
        image::Rgba([2700 * x as u16, 3200 * y as u16, 30_000, if x < 12 { 0 } else { 65_535 }])
    });
    image::DynamicImage::ImageRgba16(deep).save(studio.path("in/deep.png")).unwrap();
    content(30, 20).save(studio.path("in/plain.jpg")).unwrap();
    studio.succeed("enlarge in --model net.safetensors -o out");
    let deep = image::open(studio.path("out/deep.png")).unwrap();
    assert_eq!((deep.color(), deep.width(), deep.height()), (image::ColorType::Rgba16, 96, 80));
    let alpha = |x| deep.to_rgba16().get_pixel(x, 40)[3];
    assert!(alpha(20) == 0 && alpha(80) == 65_535 && (1..65_535).contains(&alpha(47)), "{}", alpha(47));
    assert_eq!(image::open(studio.path("out/plain.jpg")).unwrap().width(), 120);
    studio.refused(studio.command("enlarge in --model net.safetensors -o out"), 1, &["exist", "--overwrite"]);
    let kept = studio.succeed("enlarge in --model net.safetensors -o out --skip-existing").stdout;
    assert!(kept.contains("deep.png: kept") && kept.contains("plain.jpg: kept"), "{kept}");
}

#[test]
fn little_memory_gives_the_same_picture_in_windows() {
    let studio = Studio::new();
    save_net(&studio, "net.safetensors", 4);
    content(150, 110).save(studio.path("photo.png")).unwrap();
    studio.succeed("enlarge photo.png --model net.safetensors -o whole.png");
    let done = studio.succeed("enlarge photo.png --model net.safetensors --memory 6 -o windows.png");
    assert!(done.stderr.contains("windows of"), "{}", done.stderr);
    let [whole, windows] = ["whole.png", "windows.png"].map(|name| studio.picture(name));
    let differences = whole.as_raw().iter().zip(windows.as_raw()).map(|(a, b)| a.abs_diff(*b));
    assert!(differences.max() <= Some(1));
}

#[test]
fn painted_pictures_are_enlarged() {
    let studio = Studio::new();
    studio.succeed("stylize content.png --style style.png --model adain-fast --enlarge 2 -o adain.png");
    assert_eq!(studio.picture("adain.png").dimensions(), (128, 96));
    let gatys = "--method gatys --vgg random:0.1 --scales 1 --steps 2";
    studio.succeed(&format!("stylize content.png --style style.png {gatys} --size 32 --enlarge 4 -o gatys.png"));
    assert_eq!(studio.picture("gatys.png").dimensions(), (128, 96));
}

#[test]
fn bad_requests_are_refused() {
    let studio = Studio::new();
    save_photos(&studio, 2);
    save_net(&studio, "net.safetensors", 4);
    let train = "train super-resolution --photos photos --width 0.0625 -o new.safetensors";
    for (arguments, parts) in [
        ("enlarge content.png --scale 3 -o a.png".to_string(), &["--scale", "2, 4 or 8", "3"][..]),
        ("enlarge content.png --model nothing -o a.png".into(), &["--model", "super-resolution-x4-pixel", "nothing"]),
        ("enlarge content.png --model wave -o a.png".into(), &["--model", "wave"]),
        ("stylize content.png --model net.safetensors -o a.png".into(), &["enlarges photos", "impasto enlarge"]),
        ("stylize content.png --style style.png --enlarge 5 -o a.png".into(), &["--enlarge", "2, 4 or 8"]),
        ("enlarge missing.png -o a.png".into(), &["missing.png"]),
        (format!("{train} --scale 6"), &["--scale", "4 or 8"]),
        (format!("{train} --loss pixel --crop 50"), &["--crop", "multiple of 4"]),
        (format!("{train} --loss pixel --init net.safetensors --scale 8"), &["--init", "scale 8", "scale 4"]),
        (format!("{train} --tap relu9_1"), &["relu9_1"]),
        (format!("{train} --loss pixel --pixel-weight 0"), &["--pixel-weight", "above 0"]),
    ] {
        studio.refused(studio.command(&arguments), 1, parts);
    }
}
