//! Pictures for training: found, cut and decoded ahead of the GPU by worker threads, and exactly reproducible.
//!
//! Which picture comes when, and how it is cut, depends on the seed and the picture's number alone. So the number of
//! the next picture is all that a checkpoint must keep, and the number of workers changes nothing but the speed.

use std::{
    collections::HashSet,
    io::ErrorKind,
    panic,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use image::{ImageBuffer, Rgb, imageops};
use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

use crate::{Error, Result, io::Picture, random::Random};

/// How many pictures each worker keeps ready.
const AHEAD: usize = 4;

/// Endings of the files that are taken for pictures.
const ENDINGS: [&str; 6] = ["png", "jpg", "jpeg", "webp", "tif", "tiff"];

/// The pictures of some folders, at least one ([`Folder::default`] alone has none).
#[derive(Clone, Debug, Default)]
pub struct Folder {
    files: Vec<PathBuf>,
    /// Whether it was said that a file could not be read: once, however many loaders meet it.
    warned: Arc<AtomicBool>,
}

#[allow(clippy::len_without_is_empty, reason = "it is never empty")]
impl Folder {
    /// Finds every file with a picture's ending (png, jpg, jpeg, webp, tif, tiff; in either case) under `roots`:
    /// folders with all that is in them, or single files. Links are followed.
    ///
    /// The order is that of `roots`, and sorted by path in each, so that every machine sees the same one. A file that
    /// is reached twice by the same path counts once.
    ///
    /// # Errors
    ///
    /// [`Error::File`] naming the root that does not exist or holds no picture, or the folder that cannot be read;
    /// [`Error::Argument`] when `roots` is empty.
    pub fn scan(roots: &[PathBuf]) -> Result<Self> {
        let mut files = Vec::new();
        let mut seen = HashSet::new();
        for root in roots {
            let mut found = pictures_under(root)?;
            if found.is_empty() {
                let reason = format!("it holds no picture ({}); name a folder that does", ENDINGS.join(", "));
                return Err(Error::file("read", root, reason));
            }
            found.sort();
            files.extend(found.into_iter().filter(|path| seen.insert(path.clone())));
        }
        if files.is_empty() {
            return Err(Error::argument("Folder::scan", "roots", "at least one folder of pictures", "none"));
        }
        Ok(Folder { files, warned: Arc::default() })
    }

    /// Keeps (`held_out`) or drops (not `held_out`) the pictures whose number is divisible by `n`: two calls with the
    /// same `n` split a folder into pictures to test with and pictures to train with.
    ///
    /// A picture's number is the last run of digits in its name without the ending: 139 for `000000000139.jpg`. A
    /// picture without a number is not held out.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when `n` is 0 or no picture is left.
    pub fn hold_out(mut self, n: u64, held_out: bool) -> Result<Self> {
        let refused = |expected: &str, got: String| Err(Error::argument("pictures", "--hold-out", expected, got));
        if n == 0 {
            return refused("at least 1", "0".into());
        }
        let before = self.files.len();
        self.files.retain(|path| is_divisible(path, n) == held_out);
        if self.files.is_empty() {
            let side = if held_out { "held out" } else { "to train with" };
            return refused("a number that leaves some pictures", format!("{n}: none of {before} is {side}"));
        }
        Ok(self)
    }

    /// How many pictures there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// The files, in order.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

fn pictures_under(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in WalkDir::new(root).follow_links(true) {
        match entry {
            Ok(entry) if entry.file_type().is_file() && has_pictures_ending(entry.path()) => {
                found.push(entry.into_path());
            }
            Ok(_) => {}
            Err(error) if error.loop_ancestor().is_some() || leads_nowhere(&error) => {
                tracing::debug!("skipped: {error}");
            }
            Err(error) => {
                let path = error.path().unwrap_or(root).to_owned();
                let reason = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                return Err(Error::file("read", &path, format!("{reason}; check the path and its permissions")));
            }
        }
    }
    Ok(found)
}

/// Whether it is about a link inside of a folder that leads to nothing or to itself.
fn leads_nowhere(error: &walkdir::Error) -> bool {
    let is_denied = error.io_error().is_some_and(|error| error.kind() == ErrorKind::PermissionDenied);
    error.depth() > 0 && !is_denied && error.path().is_some_and(Path::is_symlink)
}

fn has_pictures_ending(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

/// Whether the last run of digits in the name, of any length, is divisible by `n`.
fn is_divisible(path: &Path, n: u64) -> bool {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let head = name.trim_end_matches(|character: char| !character.is_ascii_digit());
    let digits = &head[head.trim_end_matches(|character: char| character.is_ascii_digit()).len()..];
    let remainder = digits.bytes().fold(0, |sum, digit| (sum * 10 + u128::from(digit - b'0')) % u128::from(n));
    !digits.is_empty() && remainder == 0
}

/// How a training picture is cut out: a square at a random place, resized, and mirrored half of the time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Crops {
    /// Side of what comes out, in pixels, at least 1. A smaller cut is enlarged.
    pub size: usize,
    /// The least and the greatest share of the picture's short side that the square covers, above 0 and at most 1.
    pub share: [f32; 2],
    /// Whether every other picture, by chance, is mirrored left to right.
    pub flip: bool,
}

impl Crops {
    fn check(&self) -> Result<()> {
        let refused =
            |argument: &str, expected: &str, got: String| Err(Error::argument("Crops", argument, expected, got));
        let [least, greatest] = self.share;
        if self.size == 0 {
            return refused("size", "at least 1", "0".into());
        }
        if !(0.0 < least && least <= greatest && greatest <= 1.0) {
            return refused("share", "two shares in order, above 0 and at most 1", format!("{:?}", self.share));
        }
        Ok(())
    }

    /// Cuts a square out of `picture`: planes `[3, size, size]`. What is transparent lies over white.
    fn cut(&self, picture: &Picture, random: &mut Random) -> Vec<f32> {
        // Every number is drawn, used or not, so that one option doesn't change what another does.
        let [least, greatest] = self.share;
        let share = least + (greatest - least) * random.uniform();
        let (across, down, mirrored) = (random.bits(), random.bits(), random.bits() & 1 == 1);

        let short = picture.width.min(picture.height);
        let side = ((short as f32 * share).round() as usize).clamp(1, short);
        let left = below(across, picture.width - side + 1);
        let top = below(down, picture.height - side + 1);
        let mut square = ImageBuffer::<Rgb<f32>, Vec<f32>>::new(side as u32, side as u32);
        for (index, pixel) in square.pixels_mut().enumerate() {
            let from = (top + index / side) * picture.width + left + index % side;
            let alpha = picture.alpha.as_ref().map_or(1.0, |alpha| alpha[from]);
            pixel.0 = [0, 1, 2].map(|plane| picture.rgb[plane * picture.pixels() + from] * alpha + (1.0 - alpha));
        }
        // Not plane by plane as `Picture::resize` does: all three take the same time here as one of them.
        let size = self.size as u32;
        let resized = imageops::resize(&square, size, size, imageops::FilterType::Lanczos3);
        let plane = |plane: usize| resized.pixels().map(move |pixel: &Rgb<f32>| pixel.0[plane].clamp(0.0, 1.0));
        let mut cut: Vec<f32> = (0..3).flat_map(plane).collect();
        if self.flip && mirrored {
            cut.chunks_exact_mut(self.size).for_each(<[f32]>::reverse);
        }
        cut
    }
}

/// Random bits as a number below `count`, which is at least 1.
pub(super) fn below(bits: u64, count: usize) -> usize {
    ((u128::from(bits) * count as u128) >> 64) as usize
}

/// What the random numbers of a generator are for.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Order = 1,
    Cut = 2,
    Painted = 3,
}

/// The generator of one purpose and number. The seed is hashed: neighbouring seeds of [`Random`] are related streams.
pub(super) fn generator(seed: u64, purpose: Purpose, number: u64) -> Random {
    [purpose as u64, number].iter().fold(Random::new(seed), |mut random, part| Random::new(random.bits() ^ part))
}

/// The order of `count` pictures in an epoch.
fn order(seed: u64, epoch: u64, count: usize) -> Vec<usize> {
    let mut random = generator(seed, Purpose::Order, epoch);
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        order.swap(last, below(random.bits(), last + 1));
    }
    order
}

/// An endless stream of crops, RGB 0..1 (sRGB-encoded), each `[3, size, size]` planes; epoch after epoch, in each every
/// picture once in an order of its own.
///
/// A file that cannot be read or decoded is replaced by the one that follows in the epoch's order: which that is
/// depends on the files alone, not on time or workers.
pub struct Loader {
    shared: Arc<Shared>,
    /// Worker `w` of `W` makes the pictures `first + w`, `first + w + W`, and so on, into a channel of its own.
    workers: Vec<Worker>,
    first: u64,
    next: u64,
    waited: Duration,
}

struct Worker {
    pictures: Receiver<Result<Vec<f32>>>,
    thread: JoinHandle<()>,
}

/// What the workers see together.
struct Shared {
    folder: Folder,
    crops: Crops,
    seed: u64,
    stop: AtomicBool,
    broken: Mutex<Broken>,
}

#[derive(Default)]
struct Broken {
    files: HashSet<usize>,
    /// Why the first of them could not be read.
    reason: String,
}

impl Loader {
    /// Starts `workers` threads that decode ahead, from picture number `first` (0 for a new run, how many it took for one
    /// that goes on). Each keeps up to four crops ready.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when `workers` is 0 or `crops` is out of its range.
    pub fn start(folder: Folder, crops: Crops, seed: u64, first: u64, workers: usize) -> Result<Self> {
        crops.check()?;
        if workers == 0 {
            return Err(Error::argument("Loader::start", "workers", "at least 1", 0));
        }
        let shared = Shared { folder, crops, seed, stop: AtomicBool::new(false), broken: Mutex::default() };
        // Made before the first thread starts: should a later one not start, dropping it stops the others.
        let mut loader =
            Loader { shared: Arc::new(shared), workers: Vec::new(), first, next: first, waited: Duration::ZERO };
        for worker in 0..workers {
            let (sender, receiver) = sync_channel(AHEAD);
            let shared = Arc::clone(&loader.shared);
            let numbers = (first + worker as u64..).step_by(workers);
            let thread = thread::Builder::new()
                .name(format!("pictures-{worker}"))
                .spawn(move || shared.work(numbers, &sender))
                .map_err(|error| {
                    Error::argument("Loader::start", "workers", "as many threads as the system allows", error)
                })?;
            loader.workers.push(Worker { pictures: receiver, thread });
        }
        Ok(loader)
    }

    /// The next crop, planes `[3, size, size]` of RGB 0..1; waits until it is there.
    ///
    /// # Errors
    ///
    /// [`Error::Picture`] when none of the files can be read as a picture.
    #[allow(clippy::should_implement_trait, reason = "it is endless and can fail, which an iterator says badly")]
    pub fn next(&mut self) -> Result<Vec<f32>> {
        let started = Instant::now();
        let worker = ((self.next - self.first) % self.workers.len() as u64) as usize;
        let picture = self.workers[worker].pictures.recv();
        self.waited += started.elapsed();
        self.next += 1;
        picture.unwrap_or_else(|_| match self.workers.swap_remove(worker).thread.join() {
            Err(panic) => panic::resume_unwind(panic),
            Ok(()) => unreachable!("a worker ends when its channel does"),
        })
    }

    /// The number of the next crop.
    pub(super) fn number(&self) -> u64 {
        self.next
    }

    /// The time spent waiting in [`Loader::next`] so far: the loader's share of a run.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// How many files could not be read so far, each counted once. The workers are ahead, and count what they meet.
    pub fn broken(&self) -> usize {
        self.shared.broken().files.len()
    }
}

impl Drop for Loader {
    /// Stops the workers and waits for them: each ends after the picture it is decoding.
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let (pictures, threads): (Vec<_>, Vec<_>) =
            self.workers.drain(..).map(|worker| (worker.pictures, worker.thread)).unzip();
        drop(pictures); // wakes whoever waits for room
        threads.into_iter().for_each(|thread| drop(thread.join()));
    }
}

impl Shared {
    /// A worker's life: makes the pictures of these numbers until nobody takes them.
    fn work(&self, numbers: impl Iterator<Item = u64>, sender: &SyncSender<Result<Vec<f32>>>) {
        let count = self.folder.len() as u64;
        let (mut epoch, mut files) = (None, Vec::new());
        for number in numbers {
            if epoch != Some(number / count) {
                epoch = Some(number / count);
                files = order(self.seed, number / count, self.folder.len());
            }
            let place = (number % count) as usize;
            let Some(picture) = self.load(files[place..].iter().chain(&files[..place])) else { return };
            let cut = picture.map(|picture| self.crops.cut(&picture, &mut generator(self.seed, Purpose::Cut, number)));
            if sender.send(cut).is_err() {
                return;
            }
        }
    }

    /// The first of these files that is a picture; `None` when the loader stops meanwhile.
    fn load<'a>(&self, files: impl Iterator<Item = &'a usize>) -> Option<Result<Picture>> {
        for &file in files {
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
            if self.broken().files.contains(&file) {
                continue;
            }
            match Picture::load(&self.folder.files[file]) {
                Ok(picture) => return Some(Ok(picture)),
                Err(error) => self.note_broken(file, &error),
            }
        }
        let count = self.folder.len();
        let reason = format!("none of the {count} pictures to train with can be read; {}", self.broken().reason);
        Some(Err(Error::picture(&self.folder.files[0], reason)))
    }

    fn note_broken(&self, file: usize, error: &Error) {
        let mut broken = self.broken();
        if !self.folder.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!("skipped an unreadable picture, and will skip others without a warning: {error}");
        } else if !broken.files.contains(&file) {
            tracing::debug!("skipped: {error}");
        }
        if broken.files.is_empty() {
            broken.reason = format!("the first error: {error}");
        }
        broken.files.insert(file);
    }

    fn broken(&self) -> MutexGuard<'_, Broken> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "dataset_tests.rs"]
mod tests;
