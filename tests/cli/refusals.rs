//! Impossible requests give one clear error line before work begins, and leave every file unchanged.

use std::path::Path;
use std::process::Command;

use image::{GrayImage, Luma, RgbImage};

use crate::studio::{Done, QUICK, Studio, content, style};

/// A studio with an older result and an older log at the output paths.
fn studio_with_older_results() -> Studio {
    let studio = Studio::new();
    studio.write("out.png", "an older result");
    studio.write("log.jsonl", "an older log\n");
    studio
}

/// `impasto stylize CONTENT --style STYLE` with random weights, a log, and further options.
fn stylize(studio: &Studio, content: &str, style: &str, options: &str) -> Command {
    let fixed = "--vgg random:0.1 --log log.jsonl -o out.png --overwrite";
    studio.command(&format!("stylize {content} --style {style} {fixed} {options}"))
}

#[test]
fn files_that_are_not_pictures() {
    let studio = studio_with_older_results();
    studio.write("text.png", "Dear diary, today I renamed a text.\n");
    studio.write("page.png", "<!DOCTYPE html><title>404</title>");
    studio.write("empty.png", "");
    content(200, 150).save(studio.path("whole.jpg")).unwrap();
    for (whole, cut) in [("whole.jpg", "cut.jpg"), ("content.png", "cut.png")] {
        let bytes = std::fs::read(studio.path(whole)).unwrap();
        studio.write(cut, &bytes[..bytes.len() / 2]);
    }
    std::fs::create_dir(studio.path("folder")).unwrap();
    let cases = [
        ("none.png", ["cannot read none.png: ", "none.png", "check the path"]),
        ("folder", ["cannot read folder", "directory", "name a file in it"]),
        ("text.png", ["text.png", "text, not a picture", "Dear diary"]),
        ("page.png", ["page.png", "a web page, not a picture", "DOCTYPE"]),
        ("empty.png", ["empty.png", "the file is empty", "fetch or export it again"]),
        ("cut.jpg", ["cut.jpg", "truncated", "fetch or export it again"]),
        ("cut.png", ["cut.png", "truncated", "fetch or export it again"]),
    ];
    for (name, words) in cases {
        studio.refused(stylize(&studio, name, "style.png", ""), 1, &words);
        studio.refused(stylize(&studio, "content.png", name, ""), 1, &words);
        studio.refused(stylize(&studio, "content.png", "style.png:2", &format!("--style {name}:0.5")), 1, &words);
    }
}

#[test]
fn pictures_too_small_for_the_net() {
    let studio = studio_with_older_results();
    RgbImage::new(1, 1).save(studio.path("dot.png")).unwrap();
    style(640, 4).save(studio.path("ribbon.png")).unwrap();
    let words = ["at least 8 px on its short side", "relu4_1", "choose a larger size"];
    let cases = [
        (stylize(&studio, "dot.png", "style.png", ""), ["content must", "got 1x1"]),
        (stylize(&studio, "ribbon.png", "style.png", "--scales 1"), ["content must", "got 512x3"]),
        (stylize(&studio, "content.png", "style.png", "--style ribbon.png"), ["style 2 must", "got 64x1"]),
        // Only the smallest scale is too small, which is detected before the first one is started.
        (stylize(&studio, "content.png", "style.png", "--scales 8"), ["content must", "fewer scales"]),
    ];
    for (command, own) in cases {
        studio.refused(command, 1, &[&words[..], &own[..]].concat());
    }
    // A picture of one pixel is valid: it is one colour at any size.
    studio.succeed(&format!("stylize dot.png --style dot.png --size 32 {QUICK} -o large.png"));
    assert_eq!(studio.picture("large.png").dimensions(), (32, 32));
}

#[test]
fn sizes_too_large_for_the_device() {
    let studio = studio_with_older_results();
    // The vectors of the optimiser have the size of the picture, 1.2 GiB each.
    let sized = |content: &str, options: &str| {
        studio.command(&format!(
            "stylize {content} --style style.png --vgg random:0.25 --log log.jsonl -o out.png --overwrite {options}"
        ))
    };
    let words = ["the device allows", "choose a --size of at most "];
    let advised = |line: String| -> usize { line.rsplit(' ').next().unwrap().parse().unwrap() };
    let largest = advised(studio.refused(sized("content.png", "--size 12000"), 1, &words));
    assert!((64..12000).contains(&largest), "{largest}");
    let again = studio.refused(sized("content.png", &format!("--size {}", largest + 1)), 1, &words);
    assert_eq!(advised(again), largest, "one pixel more than advised is too much");
    // The picture fits, but the style picture does not.
    let half = format!("--size {} --style-scale 8", largest / 2);
    assert!(advised(studio.refused(sized("content.png", &half), 1, &words)) < largest / 2);

    GrayImage::from_pixel(12000, 9000, Luma([90])).save(studio.path("wall.png")).unwrap();
    studio.refused(sized("wall.png", "--size 12000"), 1, &words);
    // At the default size, the picture is no problem.
    studio.succeed(&format!("stylize wall.png --style style.png {QUICK} --optimizer adam -o small.png"));
    assert_eq!(studio.picture("small.png").dimensions(), (512, 384));
}

#[test]
fn numbers_out_of_range() {
    let studio = studio_with_older_results();
    let cases = [
        ("--style-weight nan", ["style-weight", "a number from 0 up", "got NaN"]),
        ("--style-weight -1", ["style-weight", "a number from 0 up", "got -1"]),
        ("--content-weight inf", ["content-weight", "a number from 0 up", "got inf"]),
        ("--tv-weight -0.5", ["tv-weight", "a number from 0 up", "got -0.5"]),
        ("--style-tap relu1_1:-2", ["style-tap", "a number from 0 up", "got -2"]),
        ("--style-scale 0", ["style-scale", "above 0, at most 8", "got 0"]),
        ("--learning-rate -1", ["learning-rate", "above 0", "got -1"]),
        ("--steps 0", ["steps", "at least 1", "got 0"]),
        ("--history 0", ["history", "at least 1", "got 0"]),
        ("--save-every 0", ["--save-every", "at least 1", "got 0"]),
        ("--size 0", ["size", "from 1 to 30000", "got 0"]),
        ("--size 18446744073709551615", ["size", "from 1 to 30000", "got 18446744073709551615"]),
        ("--scales 0", ["scales", "from 1 to 20", "got 0"]),
        ("--scales 4000000000", ["scales", "from 1 to 20", "got 4000000000"]),
        ("--style style.png:0", ["style", "a weight above 0", "0.0"]),
        ("--style style.png:nan", ["style", "a weight above 0", "NaN"]),
    ];
    for (options, words) in cases {
        studio.refused(stylize(&studio, "content.png", "style.png", options), 1, &words);
    }
}

#[test]
fn unknown_taps() {
    let studio = studio_with_older_results();
    let cases = [
        ("--content-tap relu5_1", ["tap", "at most relu4_1", "got relu5_1"]),
        ("--style-tap relu5_4:0.5", ["tap", "at most relu4_1", "got relu5_4"]),
        ("--preset neural-style", ["tap", "at most relu4_1", "got relu"]),
        ("--content-tap relu9_1", ["tap", "one of relu1_1", "got relu9_1"]),
        ("--style-tap conv1_1:2", ["tap", "one of relu1_1", "got conv1_1"]),
    ];
    for (options, words) in cases {
        studio.refused(stylize(&studio, "content.png", "style.png", options), 1, &words);
    }
}

#[test]
fn unwritable_output_paths() {
    let studio = studio_with_older_results();
    std::fs::create_dir(studio.path("folder.png")).unwrap();
    studio.write("text.png", "no picture");
    let mut cases = vec![
        ("-o none/out.png", ["none/out.png", "directory none does not exist", "create it"]),
        ("-o content.png/out.png", ["content.png/out.png", "not a directory", "choose another"]),
        ("-o folder", ["ends in .png", ".webp", "got folder"]),
        ("-o out.gif", ["ends in .png", ".webp", "got out.gif"]),
        ("-o new.png --log none/log.jsonl", ["none/log.jsonl", "directory none does not exist", "create it"]),
        ("-o new.png --profile folder.png", ["folder.png", "is a directory", "name a file in it"]),
        ("-o new.png --log new.png", ["--output, --log and --profile", "different", "got new.png"]),
        ("-o new.png --log a --profile a", ["--output, --log and --profile", "different", "got a"]),
    ];
    if cfg!(target_os = "linux") {
        cases.push(("-o new.png --log /dev/full", ["cannot write /dev/full", "not an ordinary file", "another name"]));
        cases.push((
            "-o new.png --profile /dev/full",
            ["cannot write /dev/full", "not an ordinary file", "another name"],
        ));
        // No user, including root, can create files there.
        cases.push(("-o /sys/new.png", ["cannot write /sys/new.png", " in /sys", "choose another directory"]));
    }
    for (options, words) in cases {
        // Detected before the content is read.
        let command = studio.command(&format!("stylize text.png --style style.png --vgg random:0.1 {options}"));
        studio.refused(command, 1, &words);
    }
}

#[cfg(unix)]
#[test]
fn read_only_folders_and_files() {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;
    let studio = studio_with_older_results();
    set_permissions(studio.path("out.png"), Permissions::from_mode(0o444)).unwrap();
    let command = stylize(&studio, "content.png", "style.png", "");
    studio.refused(command, 1, &["out.png", "read-only", "choose another name"]);

    let folder = studio.path("folder");
    std::fs::create_dir(&folder).unwrap();
    set_permissions(&folder, Permissions::from_mode(0o555)).unwrap();
    if std::fs::write(folder.join("probe"), "").is_ok() {
        return; // root may write there; `unwritable_output_paths` has a place where root may not
    }
    let command = studio.command("stylize content.png --style style.png --vgg random:0.1 -o folder/out.png");
    studio.refused(command, 1, &["folder/out.png", "no permission", "choose another directory"]);
}

#[test]
fn an_unknown_adapter() {
    let studio = studio_with_older_results();
    let devices = studio.succeed("devices --json").json();
    let name = devices[0]["name"].as_str().unwrap();
    for device in ["no-such-card", "1000"] {
        let command = stylize(&studio, "content.png", "style.png", &format!("--device {device}"));
        studio.refused(command, 1, &[&format!("matches `{device}`"), &format!("choose one of 0: {name}")]);
        let mut command = stylize(&studio, "content.png", "style.png", "");
        command.env("IMPASTO_DEVICE", device);
        studio.refused(command, 1, &[&format!("matches `{device}`"), &format!("0: {name}")]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_machine_without_an_adapter() {
    let studio = studio_with_older_results();
    let blind = |mut command: Command| {
        for drivers in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "__EGL_VENDOR_LIBRARY_FILENAMES"] {
            command.env(drivers, "/nonexistent.json");
        }
        command
    };
    let words = ["no GPU adapter was found", "install a Vulkan driver", "mesa-vulkan-drivers"];
    studio.refused(blind(stylize(&studio, "content.png", "style.png", "")), 1, &words);
    studio.refused(blind(studio.command("devices")), 1, &words);
    // For programs, an empty list is a valid answer.
    let listed = Done::of(blind(studio.command("devices --json")));
    assert_eq!((listed.code, listed.json()), (Some(0), serde_json::json!([])));
}

#[test]
fn unusable_weights() {
    let studio = studio_with_older_results();
    studio.write("page.pth", "<!DOCTYPE html>\n<html><head>");
    studio.write("pointer.pth", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n");
    studio.write("candy.t7", b"\x04\0\0\0\x01\0\0\0\x03\0\0\0V 1\x0d\0\0\0nn.Sequential");
    for (choice, words) in [
        ("random:7", ["--vgg random:WIDTH", "0.05 to 1", "got 7"]),
        ("random:x", ["--vgg random:WIDTH", "0.05 to 1", "got x"]),
        ("none.pth", ["cannot read none.pth: ", "none.pth", "check the path"]),
        ("style.png", ["style.png", "it is a PNG picture, not a weight file", "name a weight file"]),
        ("page.pth", ["page.pth", "it is a web page, not a weight file", "download the file"]),
        ("pointer.pth", ["pointer.pth", "it is a Git LFS pointer", "git lfs pull"]),
        ("candy.t7", ["candy.t7", "a file of Lua Torch7", "torchfile"]),
    ] {
        let command =
            studio.command(&format!("stylize content.png --style style.png --vgg {choice} -o out.png --overwrite"));
        studio.refused(command, 1, &words);
    }
}

#[test]
fn invalid_command_lines() {
    let studio = studio_with_older_results();
    let cases = [
        ("stylize content.png --style style.png -o out.png --preset none", "possible values: default, neural-style"),
        ("stylize content.png --style style.png -o out.png --steps many", "invalid value 'many' for '--steps <N>'"),
        ("stylize content.png --style style.png -o out.png --steps -1", "invalid value '-1' for '--steps <N>'"),
        ("stylize content.png --style style.png -o out.png --colour no", "unexpected argument '--colour'"),
        ("stylize content.png --style style.png", "--output <OUT>"),
        ("stylize content.png -o out.png", "--style <STYLE[:WEIGHT]>"),
        ("stylise content.png", "some similar subcommands exist: 'stylize', 'style'"),
        ("weights import", "<FILE>"),
        ("weights import a.pth --precision f8", "possible values: f16, f32"),
        ("", "Usage: impasto"),
    ];
    let before = studio.files();
    for (arguments, words) in cases {
        let done = studio.run(arguments);
        assert_eq!(done.code, Some(2), "impasto {arguments}\n{}", done.stderr);
        assert!(done.stdout.is_empty() && done.stderr.contains(words), "impasto {arguments}\n{}", done.stderr);
    }
    assert!(before == studio.files());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_output() {
    let studio = Studio::new();
    let full = std::fs::OpenOptions::new().write(true).open(Path::new("/dev/full")).unwrap();
    let output = studio.command("devices").stdout(full).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("impasto: cannot write standard output"), "{stderr}");
}
