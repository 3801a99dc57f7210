//! Paints many photos with a net, one pass each. Decoding, painting and encoding overlap.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Instant;

use impasto::gpu::Context;
use impasto::io::{self, Picture, SaveOptions};
use impasto::train::Folder;
use impasto::{Error, Result};

use super::{Args, suffixed};
use crate::cli::progress::bar;
use crate::cli::{in_options_of, interrupt, print_line};

/// Capacity of the queue of decoded photos, and of the queue of results to be written.
const AHEAD: usize = 2;

/// A photo and its output files, one for each look.
pub struct Job {
    photo: PathBuf,
    outputs: Vec<PathBuf>,
}

fn refuse<T>(argument: &str, expected: &str, got: &Path) -> Result<T> {
    Err(Error::argument("stylize", argument, expected, got.display()))
}

/// The jobs of a command: one photo with one output file, or several photos (a folder counts as several) with an output
/// folder. With `looks`, each photo has one result per look in a folder, named after the photo and the look.
pub fn jobs(args: &Args, looks: Option<&[String]>) -> Result<Vec<Job>> {
    if let ([photo], None) = (&args.photos[..], looks)
        && !photo.is_dir()
    {
        io::check_output(&args.output)?;
        return Ok(vec![Job { photo: photo.clone(), outputs: vec![args.output.clone()] }]);
    }
    let is_file = args.output.exists() || io::can_be_written(&args.output);
    if is_file && !args.output.is_dir() {
        return refuse("--output", "a folder for several pictures", &args.output);
    }
    let mut jobs: Vec<Job> = Vec::new();
    for root in &args.photos {
        let photos =
            if root.is_dir() { Folder::scan(std::slice::from_ref(root))?.files().to_vec() } else { vec![root.clone()] };
        for photo in photos {
            // Results keep the subfolders of the photos, so that equal names do not collide.
            let inside = photo.strip_prefix(root).ok().filter(|inside| inside.file_name().is_some());
            let name = inside.map_or_else(|| photo.file_name().unwrap_or_default().into(), Path::to_path_buf);
            let mut output = args.output.join(name);
            if !io::can_be_written(&output) {
                output.set_extension("png");
            }
            let outputs = match looks {
                None => vec![output],
                Some(looks) => looks.iter().map(|look| suffixed(&output, look)).collect(),
            };
            if let Some(other) = jobs.iter().find(|job| job.outputs.iter().any(|output| outputs.contains(output))) {
                let other = other.photo.display();
                let expected = format!("photos of different names, because the result of {other} would be overwritten");
                return refuse("PHOTO", &expected, &photo);
            }
            jobs.push(Job { photo, outputs });
        }
    }
    Ok(jobs)
}

/// A photo and the number of a look.
pub struct Look<'a> {
    pub photo: &'a Path,
    pub number: usize,
}

/// A painted photo.
struct Done {
    photo: PathBuf,
    output: PathBuf,
    options: Arc<SaveOptions>,
    size: [usize; 2],
    /// Time of painting in seconds.
    seconds: f64,
}

fn write(output: &Path, painted: &Picture, options: &SaveOptions) -> Result<()> {
    if let Some(folder) = output.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| Error::file("create", folder, error))?;
    }
    painted.save_with(output, options)
}

/// Runs the jobs. `paint` receives a photo and a look; `by` is the model's name in the summary.
pub fn run(
    args: &Args,
    context: &Context,
    jobs: Vec<Job>,
    by: &str,
    mut paint: impl FnMut(&Picture, Look) -> Result<Picture>,
) -> Result<()> {
    let interrupted = interrupt::flag();
    let count: usize = jobs.iter().map(|job| job.outputs.len()).sum();
    let bar = bar(count as u64);
    let (mut failed, mut done) = (Vec::new(), Vec::new());
    thread::scope(|scope| {
        let (decoder, decoded) = sync_channel(AHEAD);
        let (painted, finished) = sync_channel::<(Result<Picture>, Done)>(AHEAD);
        scope.spawn(move || {
            for job in jobs {
                let picture = match args.size {
                    Some(size) => Picture::load_for_size(&job.photo, size),
                    None => Picture::load_with_metadata(&job.photo),
                };
                // After Ctrl-C the receiver is gone.
                if decoder.send((job, picture)).is_err() {
                    return;
                }
            }
        });
        let writer = scope.spawn(|| {
            let (mut done, mut failed) = (Vec::new(), Vec::new());
            for (picture, how) in finished {
                bar.set_message(how.output.display().to_string());
                match picture.and_then(|picture| write(&how.output, &picture, &how.options)) {
                    Ok(()) => done.push(how),
                    Err(error) => failed.push((how.photo, error)),
                }
                bar.inc(1);
            }
            (done, failed)
        });
        'jobs: for (job, photo) in decoded {
            let (mut photo, options) = match photo {
                Ok((photo, metadata)) => (Ok(photo), Arc::new(args.save_options(metadata))),
                Err(error) => (Err(Some(error)), Arc::default()),
            };
            for (look, output) in job.outputs.into_iter().enumerate() {
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
                let size = picture.as_ref().map_or([0; 2], |picture| [picture.width, picture.height]);
                let seconds = began.elapsed().as_secs_f64();
                let how = Done { photo: job.photo.clone(), output, options: options.clone(), size, seconds };
                if painted.send((picture, how)).is_err() {
                    break 'jobs;
                }
            }
        }
        drop(painted);
        match writer.join() {
            Ok(results) => (done, failed) = results,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    });
    bar.finish_and_clear();
    for Done { photo, output, size: [width, height], seconds, .. } in &done {
        if args.json {
            print_line(serde_json::json!({
                "photo": photo.display().to_string(), "output": output.display().to_string(), "width": width, "height": height, "seconds": seconds,
                "model": by, "device": context.name(), "driver": context.driver(),
            }))?;
        } else {
            print_line(format_args!("{}: {width}x{height} in {seconds:.2} s", output.display()))?;
        }
    }
    if interrupted.load(Ordering::Relaxed) {
        return Err(Error::Interrupted(format!("; {} of {count} pictures are painted", done.len())));
    }
    if failed.is_empty() {
        return Ok(());
    }
    if count == 1 {
        return Err(failed.swap_remove(0).1);
    }
    let what = format!("{} of {count} that failed, as reported above; the others are painted", failed.len());
    for (photo, error) in failed {
        match in_options_of::<Args>(error) {
            error @ (Error::File { .. } | Error::Picture { .. }) => tracing::error!("{error}"),
            error => tracing::error!("{}: {error}", photo.display()),
        }
    }
    Err(Error::argument("stylize", "PHOTO", "pictures that can be read and painted", what))
}
