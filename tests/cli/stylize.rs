//! The effect of `stylize`'s options on the picture, and of Ctrl-C on the run.

use std::collections::BTreeMap;

use image::RgbImage;

use crate::studio::{QUICK, Studio, content, difference};

#[test]
fn the_same_seed_gives_the_same_picture() {
    let studio = Studio::new();
    let mut pictures = BTreeMap::new();
    for options in ["--init noise --seed 1", "--init noise --seed 2", "--init content", "--init noise --optimizer adam"]
    {
        let first = studio.stylize("a.png", options);
        assert!(first == studio.stylize("b.png", options), "{options}: not the same twice");
        assert_eq!(pictures.insert(first, options), None, "{options}: the same picture as of other options");
    }
}

#[test]
fn every_option_changes_the_picture() {
    let studio = Studio::new();
    let choices = [
        "",
        "--init style",
        "--init noise",
        "--optimizer adam",
        "--optimizer adam --learning-rate 0.1",
        "--normalization plain",
        "--pool average",
        "--preset first-five",
        "--style-weight 1000",
        "--content-weight 20",
        "--tv-weight 100",
        "--style-scale 0.5",
        "--content-tap relu3_1",
        "--content-tap relu3_1:0.5",
        "--style-tap relu2_1 --style-tap relu1_1",
        "--style-tap relu2_1 --style-tap relu1_1:3",
        "--keep-color luminance",
        "--keep-color match",
    ];
    let mut pictures = BTreeMap::new();
    for options in choices {
        let bytes = studio.stylize("out.png", options);
        if let Some(other) = pictures.insert(bytes, options) {
            panic!("`{options}` changes nothing against `{other}`");
        }
    }
    // These options change the computation, but not (or hardly) the result.
    let plain = studio.picture_of("");
    for options in ["--checked", "--history 3", "--method gatys", "--preset default"] {
        let error = difference(&studio.picture_of(options), &plain);
        assert!(error < 0.5, "{options}: {error}");
    }
}

impl Studio {
    fn picture_of(&self, options: &str) -> RgbImage {
        image::load_from_memory(&self.stylize("out.png", options)).unwrap().to_rgb8()
    }
}

#[test]
fn styles_are_blended_by_their_weights() {
    let studio = Studio::new();
    content(50, 64).save(studio.path("other.png")).unwrap();
    let mut pictures = BTreeMap::new();
    let mut paint = |styles: &str| {
        studio.succeed(&format!("stylize content.png {QUICK} -o out.png --overwrite {styles}"));
        let bytes = std::fs::read(studio.path("out.png")).unwrap();
        *pictures.entry(bytes).or_insert_with(|| styles.to_string()) == styles
    };
    assert!(paint("--style style.png"));
    assert!(paint("--style style.png:2 --style other.png:1"));
    assert!(paint("--style style.png:1 --style other.png:2"));
    // Only the ratio of the weights matters, and the default weight is 1.
    assert!(!paint("--style style.png:4 --style other.png:2"));
    assert!(!paint("--style style.png --style other.png:2"));
    assert!(!paint("--style style.png:7"));
}

#[cfg(unix)]
#[test]
fn a_file_whose_name_looks_like_a_weight_is_still_a_file() {
    let studio = Studio::new();
    std::fs::copy(studio.path("style.png"), studio.path("odd:2")).unwrap();
    let plain = studio.stylize("a.png", "");
    studio.succeed(&format!("stylize content.png --style odd:2 {QUICK} -o b.png --overwrite"));
    assert!(plain == std::fs::read(studio.path("b.png")).unwrap());
}

/// The mean and the largest change of chrominance, in 8-bit steps.
fn chrominance_change(new: &RgbImage, old: &RgbImage) -> (f64, f64) {
    let chrominance = |pixel: &image::Rgb<u8>| {
        let [r, g, b] = pixel.0.map(f64::from);
        let luma = 0.299 * r + 0.587 * g + 0.114 * b;
        [(b - luma) / 1.772, (r - luma) / 1.402]
    };
    let changes = new.pixels().zip(old.pixels()).map(|(new, old)| {
        let (new, old) = (chrominance(new), chrominance(old));
        (new[0] - old[0]).abs().max((new[1] - old[1]).abs())
    });
    let changes: Vec<f64> = changes.collect();
    (changes.iter().sum::<f64>() / changes.len() as f64, changes.iter().copied().fold(0.0, f64::max))
}

#[test]
fn a_picture_may_be_the_start() {
    let studio = Studio::new();
    assert_eq!(studio.stylize("named.png", "--init style"), studio.stylize("file.png", "--init style.png"));
    assert_ne!(studio.stylize("named.png", ""), studio.stylize("file.png", "--init style.png"));
    let command = format!("stylize content.png --style style.png {QUICK} --init nothing -o out.png");
    studio.refused(
        studio.command(&command),
        1,
        &["--init", "content, noise, style or a picture that exists", "nothing"],
    );
}

#[test]
fn luminance_keeps_the_contents_colours() {
    let studio = Studio::new();
    let options = "--style-weight 1000 --init style";
    let (mean, _) = chrominance_change(&studio.picture_of(options), &content(64, 48));
    assert!(mean > 5.0, "without the option the colours hardly change ({mean}): the test would prove nothing");
    let kept = studio.picture_of(&format!("{options} --keep-color luminance"));
    let (_, worst) = chrominance_change(&kept, &content(64, 48));
    // Rounding each channel to 8 bits changes a chrominance by at most half a step.
    assert!(worst <= 0.51, "{worst}");
    let limited = kept.pixels().filter(|pixel| pixel.0.iter().any(|value| *value == 0 || *value == 255)).count();
    assert!(limited > 0, "no colour limits its luminance: the test would prove less");
    let difference = difference(&kept, &content(64, 48));
    assert!(difference > 5.0, "the luminance is the content's too: {difference}");
}

#[cfg(unix)]
pub mod interrupted {
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    /// A child process that does not outlive its test.
    pub struct Kept(pub Child);

    impl Drop for Kept {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    pub fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
        let began = Instant::now();
        while !happened() {
            assert!(began.elapsed() < Duration::from_secs(60), "{what} did not happen in a minute");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends Ctrl-C and returns the exit code of the child process.
    pub fn interrupt(child: &mut Kept) -> Option<i32> {
        assert!(Command::new("kill").args(["-INT", &child.0.id().to_string()]).status().unwrap().success());
        let mut status = None;
        wait_for("the end", || {
            status = child.0.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code()
    }

    /// Starts a run that is never finished, with a log, and waits for its second iteration.
    fn start(studio: &Studio, options: &str) -> Kept {
        let long = format!(
            "stylize content.png --style style.png --vgg random:0.1 --steps 1000000 --optimizer adam --json \
             --log log.jsonl {options}"
        );
        let [stdout, stderr] = ["stdout", "stderr"].map(|name| std::fs::File::create(studio.path(name)).unwrap());
        // A write beyond a limit of the file size is an error, as on a full disk, and not a signal.
        let program = studio.command(&long);
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(program.get_program()).args(program.get_args());
        command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(studio.path(""));
        command.env("TMPDIR", studio.home()).stdout(stdout).stderr(stderr).stdin(Stdio::null());
        let child = Kept(command.spawn().unwrap());
        let lines = || std::fs::read_to_string(studio.path("log.jsonl")).unwrap_or_default().lines().count();
        wait_for("progress", || lines() >= 2);
        child
    }

    /// What the run wrote: the summary, and the last line of stderr.
    fn told(studio: &Studio) -> (serde_json::Value, String) {
        let [stdout, stderr] = ["stdout", "stderr"].map(|name| std::fs::read_to_string(studio.path(name)).unwrap());
        (serde_json::from_str(&stdout).unwrap_or_default(), stderr.lines().last().unwrap_or_default().to_string())
    }

    #[test]
    fn ctrl_c_keeps_the_picture() {
        let studio = Studio::new();
        let mut child = start(&studio, "--scales 1 -o out.png");
        assert!(!studio.path("out.png").exists());
        let status = interrupt(&mut child);
        let (summary, last) = told(&studio);
        assert_eq!(status, Some(130), "{last}");
        assert!(last.starts_with("impasto: interrupted") && last.ends_with("out.png"), "{last}");
        assert_eq!(summary["interrupted"], true);
        assert_eq!(summary["evaluations"], studio.json_lines("log.jsonl").len());
        let picture = studio.picture("out.png");
        assert!(difference(&picture, &content(64, 48)) > 0.5);
        assert_eq!(studio.new_names(), ["log.jsonl", "out.png", "stderr", "stdout"]);
    }

    #[test]
    fn ctrl_c_at_a_coarse_scale_leaves_a_picture_of_the_size_asked_for() {
        let studio = Studio::new();
        let mut child = start(&studio, "--scales 2 -o out.png");
        assert_eq!(interrupt(&mut child), Some(130));
        let (summary, last) = told(&studio);
        assert!(last.ends_with("out.png, enlarged from 45x34"), "{last}");
        assert_eq!((&summary["width"], &summary["height"]), (&64.into(), &48.into()));
        assert_eq!(studio.picture("out.png").dimensions(), (64, 48));
    }

    #[test]
    fn a_picture_that_cannot_be_written_goes_elsewhere() {
        let studio = Studio::new();
        std::fs::create_dir(studio.path("disk")).unwrap();
        let mut child = start(&studio, "--scales 1 -o disk/out.png");
        std::fs::remove_dir(studio.path("disk")).unwrap();
        assert_eq!(interrupt(&mut child), Some(1));
        let (_, last) = told(&studio);
        let (error, place) = last.split_once("; the picture is in ").unwrap_or_else(|| panic!("{last}"));
        assert!(error.contains("cannot write disk/out.png"), "{last}");
        assert_eq!(image::open(place).unwrap().to_rgb8().dimensions(), (64, 48));
    }

    /// A limit of the file size stands for a full disk.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_log_that_cannot_be_written_does_not_cost_the_picture() {
        let studio = Studio::new();
        let mut child = start(&studio, "--scales 1 -o out.png");
        let process = child.0.id().to_string();
        let limited = Command::new("prlimit").args(["--pid", &process, "--fsize=20000"]).status();
        assert!(limited.unwrap().success());
        let stderr = || std::fs::read_to_string(studio.path("stderr")).unwrap();
        wait_for("a warning", || stderr().contains("cannot write log.jsonl"));
        assert_eq!(interrupt(&mut child), Some(130), "{}", stderr());
        assert_eq!(stderr().matches("log.jsonl").count(), 1, "{}", stderr());
        assert_eq!(studio.picture("out.png").dimensions(), (64, 48));
        assert!(studio.json_lines("log.jsonl").len() > 20, "complete lines");
    }
}
