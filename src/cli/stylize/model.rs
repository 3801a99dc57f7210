//! `impasto stylize --model`: many photos, each in one pass. Decoding, painting and encoding overlap.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Instant;

use impasto::io::{Picture, picture};
use impasto::methods::feed_forward::{self, Settings};
use impasto::nets::ImageTransformNet;
use impasto::nets::image_transform_net::Painter;
use impasto::train::Folder;
use impasto::{Error, Result};

use super::Args;
use crate::cli::progress::bar;
use crate::cli::{interrupt, models, print_line};

/// Pictures that wait decoded, and painted ones that wait to be written.
const AHEAD: usize = 2;

/// A photo and where its result goes.
struct Job {
    photo: PathBuf,
    output: PathBuf,
}

/// What was asked for: one photo into a file, or several (a folder counts as several) into a folder.
fn jobs(args: &Args) -> Result<Vec<Job>> {
    let refuse =
        |argument, expected: &str, got: &Path| Err(Error::argument("stylize", argument, expected, got.display()));
    if let [photo] = &args.photos[..]
        && !photo.is_dir()
    {
        picture::check_output(&args.output)?;
        return Ok(vec![Job { photo: photo.clone(), output: args.output.clone() }]);
    }
    if args.output.exists() && !args.output.is_dir() {
        return refuse("--output", "a folder for several photos", &args.output);
    }
    let mut jobs: Vec<Job> = Vec::new();
    for root in &args.photos {
        let photos =
            if root.is_dir() { Folder::scan(std::slice::from_ref(root))?.files().to_vec() } else { vec![root.clone()] };
        for photo in photos {
            // Folders keep their shape, so that equal names in two of them stay apart.
            let inside = photo.strip_prefix(root).ok().filter(|inside| inside.file_name().is_some());
            let name = inside.map_or_else(|| photo.file_name().unwrap_or_default().into(), Path::to_path_buf);
            let mut output = args.output.join(name);
            if !picture::can_be_written(&output) {
                output.set_extension("png");
            }
            if let Some(other) = jobs.iter().find(|job| job.output == output) {
                let expected = format!("photos of different names; {} would be overwritten", other.photo.display());
                return refuse("PHOTO", &expected, &photo);
            }
            jobs.push(Job { photo, output });
        }
    }
    Ok(jobs)
}

/// How one photo went.
struct Done {
    job: Job,
    size: [usize; 2],
    /// Seconds of painting.
    seconds: f64,
}

fn write(job: &Job, painted: &Picture) -> Result<()> {
    if let Some(folder) = job.output.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| Error::file("create", folder, error))?;
    }
    painted.save(&job.output)
}

pub fn run(args: &Args, model: &str) -> Result<()> {
    let settings = Settings { size: args.size, keep_color: args.keep_color.into() };
    let jobs = jobs(args)?;
    let several = jobs.len() > 1;
    let weights = models::find(model)?;
    let context = args.device.open()?;
    let mut painter = Painter::new(ImageTransformNet::new(&context, weights)?);
    let interrupted = interrupt::flag();
    let count = jobs.len();
    let bar = bar(count as u64);
    let (mut failed, mut done) = (Vec::new(), Vec::new());
    thread::scope(|scope| {
        let (photos, decoded) = sync_channel(AHEAD);
        let (painted, finished) = sync_channel::<(Result<Picture>, Done)>(AHEAD);
        scope.spawn(move || {
            for job in jobs {
                let picture = Picture::load(&job.photo);
                // Nobody listens any more after Ctrl-C.
                if photos.send((job, picture)).is_err() {
                    return;
                }
            }
        });
        let writer = scope.spawn(|| {
            let (mut done, mut failed) = (Vec::new(), Vec::new());
            for (picture, how) in finished {
                bar.set_message(how.job.output.display().to_string());
                match picture.and_then(|picture| write(&how.job, &picture)) {
                    Ok(()) => done.push(how),
                    Err(error) => failed.push(error),
                }
                bar.inc(1);
            }
            (done, failed)
        });
        for (job, photo) in decoded {
            if interrupted.load(Ordering::Relaxed) {
                break;
            }
            let began = Instant::now();
            let picture = photo.and_then(|photo| feed_forward::stylize(&mut painter, &photo, &settings));
            let size = picture.as_ref().map_or([0; 2], |picture| [picture.width, picture.height]);
            let how = Done { job, size, seconds: began.elapsed().as_secs_f64() };
            if painted.send((picture, how)).is_err() {
                break;
            }
        }
        drop(painted);
        match writer.join() {
            Ok(results) => (done, failed) = results,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    });
    bar.finish_and_clear();
    for Done { job, size: [width, height], seconds } in &done {
        if args.json {
            print_line(serde_json::json!({
                "photo": job.photo, "output": job.output, "width": width, "height": height, "seconds": seconds,
                "model": model, "device": context.name(), "driver": context.driver(),
            }))?;
        } else {
            print_line(format_args!("{}: {width}x{height} in {seconds:.2} s", job.output.display()))?;
        }
    }
    if interrupted.load(Ordering::Relaxed) {
        return Err(Error::Interrupted(format!("; {} of {count} photos are painted", done.len())));
    }
    if failed.is_empty() {
        return Ok(());
    }
    if !several {
        return Err(failed.swap_remove(0));
    }
    for error in &failed {
        tracing::error!("{error}");
    }
    let what = format!("{} of {count} photos; the others are painted", failed.len());
    Err(Error::argument("stylize", "PHOTO", "pictures that can be read and painted", what))
}
