//! No command replaces a file unless it is told to; folders of photos are painted photo by photo, and continued.

use serde_json::Value;

use crate::model::save_net;
use crate::studio::{Done, QUICK, Studio, content, difference};
use crate::train::save_photos;

#[test]
fn no_command_replaces_a_file_unless_told() {
    let studio = Studio::new();
    save_net(&studio, "net.safetensors", 1);
    save_photos(&studio, 2);
    for name in ["sv-00002.png", "old.style", "old.safetensors"] {
        studio.write(name, "made by somebody");
    }
    std::fs::create_dir(studio.path("painted")).unwrap();
    studio.write("painted/grid.png", "made by somebody");
    let gatys = format!("stylize content.png --style style.png {QUICK}");
    let adain = "stylize content.png --style style.png";
    let net = "stylize photos --model net.safetensors";
    let training =
        "train ulyanov --style style.png --photos photos --vgg random:0.05 --width 0.0625 --crop 32 --steps 1";
    let cases = [
        (format!("{gatys} -o content.png"), "content.png"),
        (format!("{gatys} -o ./style.png"), "style.png"),
        (format!("{gatys} --log content.png -o out.png"), "content.png"),
        (format!("{gatys} --profile style.png -o out.png"), "style.png"),
        (format!("{gatys} --save-every 2 -o sv.png"), "sv-00002.png"),
        (format!("{adain} -o content.png"), "content.png"),
        (format!("{adain} --mask photos/001.png=style.png -o photos/001.png"), "photos/001.png"),
        (format!("{adain} --grid -o painted"), "painted/grid.png"),
        ("stylize photos/000.png --model net.safetensors -o photos/".into(), "photos/000.png"),
        ("style save style.png -o old.style".into(), "old.style"),
        ("models --thumbnails content.png -o content.png".into(), "content.png"),
        ("compare content.png style.png -o .".into(), "folder is not empty"),
        ("bench --plot content.png".into(), "content.png"),
        ("bench --profile content.png".into(), "content.png"),
        ("eval encoder --teacher net.safetensors --encoder compact --photos photos --pictures .".into(), "not empty"),
        (format!("{training} -o old.safetensors"), "old.safetensors"),
    ];
    for (arguments, name) in cases {
        studio.refused(studio.command(&arguments), 1, &[name, "--overwrite"]);
    }
    studio.refused(
        studio.command(&format!("{net} -o photos")),
        1,
        &["--output", "a folder other than that of the photos"],
    );
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(studio.path("photos"), studio.path("link")).unwrap();
        studio.refused(studio.command(&format!("{net} -o link")), 1, &["a folder other than that of the photos"]);
    }
    // The command can be told to do each of these.
    studio.succeed(&format!("{gatys} -o content.png --overwrite"));
    let changed = difference(&studio.picture("content.png"), &content(64, 48));
    assert!(changed > 1.0, "{changed}");
    studio.succeed(&format!("{net} -o photos --overwrite"));
    studio.succeed("style save style.png -o old.style --overwrite");
}

#[test]
fn saved_styles_keep_names_of_their_own() {
    let studio = Studio::new();
    std::fs::create_dir(studio.path("b")).unwrap();
    for name in ["monet.1.png", "monet.2.png", "b/monet.1.jpg"] {
        content(40, 32).save(studio.path(name)).unwrap();
    }
    studio.succeed("style save monet.1.png --vgg fast");
    studio.succeed("style save monet.2.png --vgg fast");
    let list = studio.succeed("style list").stdout;
    assert!(list.starts_with("monet.1: ") && list.contains("\nmonet.2: "), "{list}");
    studio.refused(studio.command("style save b/monet.1.jpg --vgg fast"), 1, &["monet.1.style", "--overwrite"]);
}

/// The results that a run with `--json` reports, and the photos that failed.
fn reported(done: &Done) -> (Vec<String>, Vec<String>) {
    let lines: Vec<Value> = done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |wanted: &str, without: &str| {
        let lines = lines.iter().filter(|line| line.get(without).is_none());
        lines.filter_map(|line| Some(line.get(wanted)?.as_str()?.replace('\\', "/"))).collect()
    };
    let failed = lines.iter().filter(|line| line.get("error").is_some());
    (of("output", "skipped"), failed.map(|line| line["photo"].as_str().unwrap().to_string()).collect())
}

#[test]
fn a_folder_is_painted_without_hidden_files_and_continued() {
    let studio = Studio::new();
    save_net(&studio, "net.safetensors", 1);
    std::fs::create_dir_all(studio.path("album/.thumbs")).unwrap();
    for name in ["a.png", "b.jpg", "c.png", ".thumbs/a.png"] {
        content(40, 31).save(studio.path(&format!("album/{name}"))).unwrap();
    }
    for name in ["._a.png", "d.heic", "e.heic", "f.gif", "c.png"] {
        studio.write(&format!("album/{name}"), "no picture");
    }
    // Results within the folder of the photos are not photos.
    let paint = "stylize album --model net.safetensors -o album/painted";
    let done = studio.run(&format!("{paint} --json"));
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    assert!(done.stderr.contains("album: passed over 1 .gif, 2 .heic; convert them"), "{}", done.stderr);
    assert!(done.stderr.contains("album/c.png") && done.stderr.contains("1 that failed"), "{}", done.stderr);
    let (painted, failed) = reported(&done);
    assert_eq!(
        (painted, failed),
        (vec!["album/painted/a.png".into(), "album/painted/b.jpg".into()], vec!["album/c.png".into()])
    );
    // The same command is refused, and its name says how to go on.
    content(40, 31).save(studio.path("album/c.png")).unwrap();
    studio.refused(
        studio.command(paint),
        1,
        &["album/painted/a.png", "2 of 3 results exist", "--skip-existing", "--overwrite"],
    );
    let first = studio.files();
    let done = studio.succeed(&format!("{paint} --skip-existing --json"));
    assert_eq!(reported(&done), (vec!["album/painted/c.png".into()], vec![]));
    assert_eq!(done.stdout.matches("\"skipped\":true").count(), 2, "{}", done.stdout);
    let after = studio.files();
    assert!(first.iter().all(|(path, bytes)| after[path] == *bytes), "earlier results are kept as they are");
    let done = studio.succeed(&format!("{paint} --skip-existing"));
    assert_eq!(done.stdout.lines().filter(|line| line.ends_with(": kept")).count(), 3, "{}", done.stdout);
    let done = studio.succeed(&format!("{paint} --overwrite"));
    assert_eq!(done.stdout.lines().count(), 3, "{}", done.stdout);
}

#[test]
fn one_photo_may_go_into_a_folder() {
    let studio = Studio::new();
    save_net(&studio, "net.safetensors", 1);
    std::fs::create_dir(studio.path("here")).unwrap();
    std::fs::rename(studio.path("content.png"), studio.path("photo.jfif")).unwrap();
    studio.succeed("stylize photo.jfif --model net.safetensors -o here");
    studio.succeed("stylize photo.jfif --model net.safetensors -o new/");
    studio.succeed(&format!("stylize photo.jfif --style style.png {QUICK} -o other/"));
    assert_eq!(
        studio.new_names(),
        ["here/photo.png", "net.safetensors", "new/photo.png", "other/photo.png", "photo.jfif"]
    );
    // A photo that is missing is the first thing said.
    studio.refused(
        studio.command("stylize holidya/ --model net.safetensors -o none"),
        1,
        &["holidya/", "check the path"],
    );
}

/// A sub-folder without permission is reported, and the other photos are painted.
#[cfg(unix)]
#[test]
fn an_unreadable_folder_does_not_stop_the_others() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    let studio = Studio::new();
    save_net(&studio, "net.safetensors", 1);
    std::fs::create_dir_all(studio.path("album/secret")).unwrap();
    content(40, 31).save(studio.path("album/a.png")).unwrap();
    let allow =
        |path: std::path::PathBuf, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    allow(studio.path("album/secret"), 0o000);
    let mut command = studio.command("stylize album --model net.safetensors -o painted --json");
    if std::fs::read_dir(studio.path("album/secret")).is_ok() {
        // The superuser may read everything, so the command runs as somebody else.
        for folder in [studio.path(""), studio.path("").join(".."), studio.home()] {
            allow(folder, 0o777);
        }
        command.uid(65534).gid(65534);
    }
    let done = Done::of(command);
    allow(studio.path("album/secret"), 0o755);
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    assert!(done.stderr.contains("album/secret"), "{}", done.stderr);
    assert_eq!(reported(&done), (vec!["painted/a.png".into()], vec!["album/secret".into()]));
}
