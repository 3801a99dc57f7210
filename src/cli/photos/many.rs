//! Makes a picture of each of many photos. Decoding, work on the device and encoding overlap.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Instant;

use impasto::gpu::Context;
use impasto::io::picture::scaled_size;
use impasto::io::{CompactPicture, Interpolation, PixelSource, Resized, SaveOptions, check_size, check_space};
use impasto::nets::tiles::{Progress, Watch};
use impasto::{Error, Result};
use indicatif::{HumanDuration, ProgressBar};

use super::PhotoArgs;
use super::jobs::Jobs;
use crate::cli::outputs::Overwrite;
use crate::cli::progress::bar;
use crate::cli::standard::{self, is_standard};
use crate::cli::{interrupt, print_line};

/// Capacity of the queue of decoded photos, and of the queue of results to be written.
const AHEAD: usize = 1;

/// A photo and the number of a look.
pub struct Look<'a> {
    pub photo: &'a Path,
    pub number: usize,
}

/// One result.
struct Attempt {
    photo: PathBuf,
    output: PathBuf,
    options: Arc<SaveOptions>,
    /// Time of painting in seconds.
    seconds: f64,
}

fn write(attempt: &Attempt, painted: &CompactPicture, overwrite: Overwrite) -> Result<()> {
    let output = &attempt.output;
    if is_standard(output) {
        return standard::save(painted, output, &attempt.options);
    }
    if let Some(folder) = output.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| Error::file("create", folder, error))?;
    }
    overwrite.check_absent(output)?;
    painted.save_with(output, &attempt.options)
}

/// What a command does with photos.
pub struct Work<'a> {
    /// Name of the command, for messages.
    pub command: &'static str,
    /// What happens to a photo: `painted`, `enlarged`.
    pub done: &'static str,
    /// The model's name in the summary.
    pub by: &'a str,
    /// Long side to which photos are resized before the work, if they are; decoding may reduce them.
    pub size: Option<usize>,
    /// Factor of the result's sides after that.
    pub factor: usize,
    /// How alpha is resized.
    pub interpolation: Interpolation,
    /// An error in terms of the command's options.
    pub in_options: fn(Error) -> Error,
}

impl Work<'_> {
    /// The picture to make, with the size and the alpha of the result. It has 16 bits if the file will have them, or
    /// colours that are converted.
    fn blank(&self, photo: &CompactPicture, output: &Path, options: &SaveOptions) -> Result<CompactPicture> {
        let (width, height) = (photo.width(), photo.height());
        let (width, height) = self.size.map_or((width, height), |size| scaled_size(width, height, size));
        let [width, height] = [width, height].map(|side| side.saturating_mul(self.factor));
        if !is_standard(output) {
            check_size(output, width, height)?;
            check_space(output, [width, height], photo.has_alpha(), &options.metadata)?;
        }
        let is_deep = options.metadata.deep || options.metadata.profile.is_some();
        CompactPicture::like(&Resized::with(self.interpolation, photo, width, height), is_deep)
    }
}

/// Prints what becomes of each photo, as it is known: lines of text, or of JSON.
struct Report<'a> {
    args: &'a PhotoArgs,
    context: &'a Context,
    work: &'a Work<'a>,
    bar: &'a ProgressBar,
    painted: usize,
    failed: usize,
    /// The error of a command with one result is that of the command.
    single: Option<Error>,
}

impl Report<'_> {
    /// Prints a line above the progress bar.
    fn line(&self, text: impl FnOnce() -> String, json: impl FnOnce() -> serde_json::Value) -> Result<()> {
        self.bar.suspend(|| if self.args.json { print_line(json()) } else { print_line(text()) })
    }

    fn skipped(&self, photo: &Path, output: &Path) -> Result<()> {
        let [photo, output] = [photo, output].map(|path| path.display().to_string());
        self.line(
            || format!("{output}: kept"),
            || serde_json::json!({ "photo": photo, "output": output, "skipped": true }),
        )
    }

    fn painted(&mut self, attempt: &Attempt, picture: &CompactPicture) -> Result<()> {
        self.painted += 1;
        if is_standard(&attempt.output) {
            return Ok(());
        }
        let Attempt { photo, output, seconds, .. } = attempt;
        let (width, height) = (picture.width(), picture.height());
        let [photo, output] = [photo, output].map(|path| path.display().to_string());
        self.line(
            || format!("{output}: {width}x{height} in {seconds:.2} s"),
            || {
                serde_json::json!({
                    "photo": photo, "output": output, "width": width, "height": height, "seconds": seconds,
                    "model": self.work.by, "device": self.context.name(), "driver": self.context.driver(),
                })
            },
        )
    }

    /// Reports the failure of a photo or a folder of photos.
    fn failed(&mut self, photo: &Path, error: Error, is_single: bool) -> Result<()> {
        self.failed += 1;
        if is_single {
            self.single = Some(error);
            return Ok(());
        }
        let text = match (self.work.in_options)(error) {
            error @ (Error::File { .. } | Error::Picture { .. }) => error.to_string(),
            error => format!("{}: {error}", photo.display()),
        };
        self.bar.suspend(|| tracing::error!("{text}"));
        if self.args.json {
            let json = serde_json::json!({ "photo": photo.display().to_string(), "error": text });
            self.bar.suspend(|| print_line(json))?;
        }
        Ok(())
    }
}

/// Follows the windows of a picture: says what they are, moves the bar, and ends the work at Ctrl-C.
struct Windows<'a> {
    bar: &'a ProgressBar,
    photo: &'a Path,
    interrupted: &'a AtomicBool,
    /// Whether the bar counts the windows of the only picture.
    is_single: bool,
    /// When the first window began.
    began: Instant,
}

impl Windows<'_> {
    fn watch(&mut self, progress: &Progress) -> Result<()> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(Error::Interrupted(String::new()));
        }
        let Progress { size: [height, width], window, at, windows, passes, bytes } = progress;
        if *windows == 1 {
            return Ok(());
        }
        let say = |text: String| self.bar.suspend(|| eprintln!("impasto: {}: {text}", self.photo.display()));
        match at {
            0 => {
                self.began = Instant::now();
                say(format!(
                    "{width}x{height} px in {windows} windows of {}x{} px ({passes} {}), {} MiB of device memory",
                    window[1],
                    window[0],
                    if *passes == 1 { "pass" } else { "passes" },
                    bytes.div_ceil(1 << 20)
                ));
            }
            1 => {
                let left = self.began.elapsed().mul_f64((windows - 1) as f64);
                say(format!("about {} at this size", HumanDuration(left)));
            }
            _ => {}
        }
        if self.is_single {
            self.bar.set_length(*windows as u64);
            self.bar.set_position(*at as u64);
        }
        self.bar.set_message(format!("{}  window {}/{windows}", self.photo.display(), at + 1));
        Ok(())
    }
}

/// Runs the jobs. `paint` receives a photo, a look, what follows its windows, and the picture to paint, which has the
/// photo's alpha.
pub fn run(
    args: &PhotoArgs,
    context: &Context,
    jobs: Jobs,
    work: &Work<'_>,
    mut paint: impl FnMut(&CompactPicture, Look, &mut Watch<'_>, &mut CompactPicture) -> Result<()>,
) -> Result<()> {
    let interrupted = interrupt::flag();
    let count = jobs.count();
    let bar = bar(count as u64);
    let mut report = Report { args, context, work, bar: &bar, painted: 0, failed: 0, single: None };
    let is_single = count == 1 && jobs.skipped.is_empty() && jobs.unreadable.is_empty();
    for (photo, output) in &jobs.skipped {
        report.skipped(photo, output)?;
    }
    for (folder, error) in jobs.unreadable {
        report.failed(&folder, error, false)?;
    }
    let (jobs, report_bar) = (jobs.jobs, report.bar);
    let report = thread::scope(|scope| {
        let (decoder, decoded) = sync_channel(AHEAD);
        let (painted, finished) = sync_channel::<(Result<CompactPicture>, Attempt)>(AHEAD);
        let threads = |error: std::io::Error| {
            Error::argument(work.command, "PHOTO", "painted with two more threads, which the system allows", error)
        };
        let decode = move || {
            for job in jobs {
                let picture = standard::load(&job.photo, work.size);
                // After Ctrl-C the receiver is gone.
                if decoder.send((job, picture)).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().spawn_scoped(scope, decode).map_err(threads)?;
        let write_all = move || {
            for (picture, attempt) in finished {
                report.bar.set_message(attempt.output.display().to_string());
                let written = picture.and_then(|picture| {
                    write(&attempt, &picture, args.overwrite)?;
                    Ok(picture)
                });
                match written {
                    Ok(picture) => report.painted(&attempt, &picture)?,
                    Err(error) => report.failed(&attempt.photo, error, is_single)?,
                }
                report.bar.inc(1);
            }
            Ok(report)
        };
        let writer = thread::Builder::new().spawn_scoped(scope, write_all).map_err(threads)?;
        'jobs: for (job, photo) in decoded {
            let (mut photo, options) = match photo {
                Ok((photo, metadata)) => (Ok(photo), Arc::new(args.save_options(metadata))),
                Err(error) => (Err(Some(error)), Arc::default()),
            };
            for (look, output) in job.outputs {
                if interrupted.load(Ordering::Relaxed) {
                    break 'jobs;
                }
                let began = Instant::now();
                let picture = match &mut photo {
                    Ok(photo) => work.blank(photo, &output, &options).and_then(|mut painted| {
                        let bar = report_bar;
                        let mut windows =
                            Windows { bar, photo: &job.photo, interrupted: &interrupted, is_single, began };
                        let look = Look { photo: &job.photo, number: look };
                        paint(photo, look, &mut |progress| windows.watch(progress), &mut painted)?;
                        Ok(painted)
                    }),
                    // An unreadable photo is reported once, not once per look.
                    Err(error) => match error.take() {
                        Some(error) => Err(error),
                        None => continue,
                    },
                };
                if matches!(picture, Err(Error::Interrupted(_))) {
                    break 'jobs;
                }
                let seconds = began.elapsed().as_secs_f64();
                let attempt = Attempt { photo: job.photo.clone(), output, options: options.clone(), seconds };
                if painted.send((picture, attempt)).is_err() {
                    break 'jobs;
                }
            }
        }
        drop(painted);
        writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    bar.finish_and_clear();
    let Report { painted, failed, single, .. } = report?;
    if interrupted.load(Ordering::Relaxed) {
        return Err(Error::Interrupted(format!("; {painted} of {count} pictures are {}", work.done)));
    }
    match (single, failed) {
        (Some(error), _) => Err(error),
        (None, 0) => Ok(()),
        (None, failed) => {
            let done = work.done;
            let what = format!("{failed} that failed, as reported above; {painted} of {count} are {done}");
            Err(Error::argument(work.command, "PHOTO", format!("pictures that can be read and {done}"), what))
        }
    }
}
