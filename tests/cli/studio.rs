//! A temporary folder with pictures, in which the command is run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use image::{Rgb, RgbImage};
use serde_json::Value;
use tempfile::TempDir;

/// Options for a short run.
pub const QUICK: &str = "--vgg random:0.1 --scales 1 --steps 4";

/// A working folder with `content.png` (64x48) and `style.png` (60x64), and a home directory.
pub struct Studio {
    folder: TempDir,
}

/// Result of a run of the command.
pub struct Done {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A picture like a photo: smooth, in mid-range colours, and different in every corner.
pub fn content(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let (u, v) = (x as f32 / width as f32, y as f32 / height as f32);
        let wave = 20.0 * (9.0 * u + 5.0 * v).sin();
        Rgb([95.0 + 60.0 * u + wave, 95.0 + 60.0 * v, 150.0 - 50.0 * u * v - wave].map(|value: f32| value as u8))
    })
}

/// A picture like a painting: hard edges and strong colours.
pub fn style(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| match (x / 5 + y / 7) % 3 {
        0 => Rgb([220, 60, 30]),
        1 => Rgb([30, 40, 160]),
        _ => Rgb([240, 210, 90]),
    })
}

impl Studio {
    pub fn new() -> Self {
        let studio = Studio { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(studio.path("")).unwrap();
        std::fs::create_dir(studio.home()).unwrap();
        content(64, 48).save(studio.path("content.png")).unwrap();
        style(60, 64).save(studio.path("style.png")).unwrap();
        studio
    }

    /// The path of a file in the working folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("work").join(name)
    }

    /// The user's home directory for the command.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// The command with these arguments, separated by spaces, in the working folder.
    pub fn command(&self, arguments: &str) -> Command {
        // Only compiled kernels are shared by all tests and kept between runs, in Cargo's folder for temporary files of
        // tests.
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli-cache");
        std::fs::create_dir_all(&cache).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_impasto"));
        command.args(arguments.split_whitespace()).current_dir(self.path("")).stdin(Stdio::null());
        for name in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "APPDATA", "LOCALAPPDATA"] {
            command.env(name, self.home());
        }
        command.env("XDG_CACHE_HOME", cache).env_remove("NO_COLOR");
        command
    }

    /// Runs the command and waits for its end.
    pub fn run(&self, arguments: &str) -> Done {
        Done::of(self.command(arguments))
    }

    /// Runs the command and asserts that it succeeds.
    pub fn succeed(&self, arguments: &str) -> Done {
        let done = self.run(arguments);
        assert_eq!(done.code, Some(0), "impasto {arguments}\n{}", done.stderr);
        done
    }

    /// Repaints `content.png` in the style of `style.png` as `output`, with short-run settings and further options. An
    /// earlier result is replaced.
    /// Returns the file's bytes.
    pub fn stylize(&self, output: &str, options: &str) -> Vec<u8> {
        self.succeed(&format!("stylize content.png --style style.png {QUICK} -o {output} --overwrite {options}"));
        std::fs::read(self.path(output)).unwrap()
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// The picture with this name as 8-bit RGB.
    pub fn picture(&self, name: &str) -> RgbImage {
        image::open(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}")).to_rgb8()
    }

    /// The values of a JSON-lines file.
    pub fn json_lines(&self, name: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The dispatches of a profile, ordered by process and time.
    pub fn trace(&self, name: &str) -> Vec<Value> {
        let text = std::fs::read(self.path(name)).unwrap();
        let trace: Value = serde_json::from_slice(&text).unwrap();
        let events = trace["traceEvents"].as_array().unwrap().iter();
        let (about, dispatches): (Vec<_>, Vec<_>) = events.cloned().partition(|event| event["ph"] == "M");
        for event in about {
            let args = event["args"].as_object().unwrap();
            assert!(args.values().all(|value| !value.as_str().unwrap().is_empty()), "{event}");
        }
        let of = |event: &Value, field: &str| event[field].as_f64().unwrap_or_else(|| panic!("{field} in {event}"));
        for event in &dispatches {
            assert!(event["ph"] == "X" && of(event, "dur") > 0.0 && of(event, "ts") >= 0.0, "{event}");
            for field in ["gflop", "gigabytes", "gflop_per_second", "gigabyte_per_second"] {
                assert!(of(&event["args"], field) >= 0.0, "{event}");
            }
            for text in [&event["name"], &event["cat"], &event["args"]["kernel"]] {
                assert!(!text.as_str().unwrap().is_empty(), "{event}");
            }
        }
        for pair in dispatches.windows(2).filter(|pair| pair[0]["pid"] == pair[1]["pid"]) {
            assert!(of(&pair[1], "ts") >= of(&pair[0], "ts"), "{pair:?}");
        }
        dispatches
    }

    /// Names and contents of all files in the working folder and the home directory, including hidden ones.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.folder.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(self.folder.path()).unwrap().to_path_buf();
                    found.insert(name, std::fs::read(&path).unwrap());
                }
            }
        }
        found
    }

    /// Names of the files in the working folder that did not exist initially, sorted.
    pub fn new_names(&self) -> Vec<String> {
        let names =
            self.files().into_keys().filter_map(|path| Some(path.strip_prefix("work").ok()?.display().to_string()));
        names.filter(|name| name != "content.png" && name != "style.png").collect()
    }

    /// Runs a command and asserts that it fails: with this exit code, nothing on stdout, exactly one line of Impasto on
    /// stderr that contains every one of `words`, and all files unchanged. Returns the line.
    pub fn refused(&self, command: Command, code: i32, words: &[&str]) -> String {
        let what = format!("{:?}", command.get_args().collect::<Vec<_>>());
        let before = self.files();
        let done = Done::of(command);
        let stderr = &done.stderr;
        assert_eq!(done.code, Some(code), "{what}\n{stderr}");
        assert_eq!(done.stdout, "", "{what}");
        let lines: Vec<_> = stderr.lines().filter(|line| line.starts_with("impasto: ")).collect();
        assert!(lines.len() == 1 && !stderr.contains("panicked"), "{what}\n{stderr}");
        let line = lines[0].to_string();
        assert_eq!(stderr.lines().last(), Some(lines[0]), "{what}: more lines follow");
        assert!(line.len() < 400, "{what}: a long line\n{line}");
        for word in words {
            assert!(line.contains(word), "{what}: `{word}` is not in\n{line}");
        }
        let after = self.files();
        assert!(before == after, "{what} changed files: {:?} to {:?}", before.keys(), after.keys());
        line
    }
}

impl Done {
    pub fn of(mut command: Command) -> Self {
        let output = command.output().unwrap();
        let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        Done { code: output.status.code(), stdout, stderr }
    }

    /// The last line of the standard output, which is nothing but lines of JSON.
    pub fn json(&self) -> Value {
        let of = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}"));
        self.stdout.lines().map(of).reduce(|_, last| last).expect("a line")
    }
}

/// The cell of a contact sheet of 32 px squares with captions in every row.
pub fn cell(sheet: &RgbImage, column: u32, row: u32) -> RgbImage {
    image::imageops::crop_imm(sheet, 6 + 35 * column, 6 + 48 * row, 32, 32).to_image()
}

/// The size of a contact sheet with this number of columns and rows.
pub fn sheet_size(columns: u32, rows: u32) -> (u32, u32) {
    (9 + 35 * columns, 9 + 48 * rows)
}

/// The position of the picture in the sheet, pixel by pixel identical.
pub fn place(sheet: &RgbImage, picture: &RgbImage) -> (u32, u32) {
    let (width, height) = picture.dimensions();
    let places = (0..=sheet.height() - height).flat_map(|y| (0..=sheet.width() - width).map(move |x| (x, y)));
    let is_there =
        |(x, y): &(u32, u32)| picture.enumerate_pixels().all(|(i, j, pixel)| sheet.get_pixel(x + i, y + j) == pixel);
    places.into_iter().find(is_there).expect("the sheet shows the picture")
}

/// Mean difference of two pictures of the same size, in 8-bit steps.
pub fn difference(a: &RgbImage, b: &RgbImage) -> f64 {
    assert_eq!(a.dimensions(), b.dimensions());
    let sum: u32 = a.as_raw().iter().zip(b.as_raw()).map(|(&x, &y)| u32::from(x.abs_diff(y))).sum();
    f64::from(sum) / a.as_raw().len() as f64
}
