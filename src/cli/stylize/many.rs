//! Paints many photos with a net, one pass each. Decoding, painting and encoding overlap.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Instant;

use impasto::gpu::Context;
use impasto::io::{Picture, SaveOptions};
use impasto::{Error, Result};
use indicatif::ProgressBar;

use super::Args;
use super::jobs::Jobs;
use crate::cli::outputs::Overwrite;
use crate::cli::progress::bar;
use crate::cli::standard::{self, is_standard};
use crate::cli::{in_options_of, interrupt, print_line};

/// Capacity of the queue of decoded photos, and of the queue of results to be written.
const AHEAD: usize = 2;

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

fn write(attempt: &Attempt, painted: &Picture, overwrite: Overwrite) -> Result<()> {
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

/// Prints what becomes of each photo, as it is known: lines of text, or of JSON.
struct Report<'a> {
    args: &'a Args,
    context: &'a Context,
    /// The model's name.
    by: &'a str,
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

    fn painted(&mut self, attempt: &Attempt, picture: &Picture) -> Result<()> {
        self.painted += 1;
        if is_standard(&attempt.output) {
            return Ok(());
        }
        let (Attempt { photo, output, seconds, .. }, Picture { width, height, .. }) = (attempt, picture);
        let [photo, output] = [photo, output].map(|path| path.display().to_string());
        self.line(
            || format!("{output}: {width}x{height} in {seconds:.2} s"),
            || {
                serde_json::json!({
                    "photo": photo, "output": output, "width": width, "height": height, "seconds": seconds,
                    "model": self.by, "device": self.context.name(), "driver": self.context.driver(),
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
        let text = match in_options_of::<Args>(error) {
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

/// Runs the jobs. `paint` receives a photo and a look; `by` is the model's name in the summary.
pub fn run(
    args: &Args,
    context: &Context,
    jobs: Jobs,
    by: &str,
    mut paint: impl FnMut(&Picture, Look) -> Result<Picture>,
) -> Result<()> {
    let interrupted = interrupt::flag();
    let count = jobs.count();
    let bar = bar(count as u64);
    let mut report = Report { args, context, by, bar: &bar, painted: 0, failed: 0, single: None };
    let is_single = count == 1 && jobs.skipped.is_empty() && jobs.unreadable.is_empty();
    for (photo, output) in &jobs.skipped {
        report.skipped(photo, output)?;
    }
    for (folder, error) in jobs.unreadable {
        report.failed(&folder, error, false)?;
    }
    let jobs = jobs.jobs;
    let report = thread::scope(|scope| {
        let (decoder, decoded) = sync_channel(AHEAD);
        let (painted, finished) = sync_channel::<(Result<Picture>, Attempt)>(AHEAD);
        let threads = |error: std::io::Error| {
            Error::argument("stylize", "PHOTO", "painted with two more threads, which the system allows", error)
        };
        let decode = move || {
            for job in jobs {
                let picture = standard::load(&job.photo, args.size);
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
                    Ok(photo) => paint(photo, Look { photo: &job.photo, number: look }),
                    // An unreadable photo is reported once, not once per look.
                    Err(error) => match error.take() {
                        Some(error) => Err(error),
                        None => continue,
                    },
                };
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
        return Err(Error::Interrupted(format!("; {painted} of {count} pictures are painted")));
    }
    match (single, failed) {
        (Some(error), _) => Err(error),
        (None, 0) => Ok(()),
        (None, failed) => {
            let what = format!("{failed} that failed, as reported above; {painted} of {count} are painted");
            Err(Error::argument("stylize", "PHOTO", "pictures that can be read and painted", what))
        }
    }
}
