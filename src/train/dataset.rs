//! Training pictures: worker threads find, decode and crop them ahead of the GPU, reproducibly.
//!
//! The order of the pictures and their crops depend only on the seed and the picture number. A checkpoint therefore
//! stores only the number of the next picture, and the number of workers affects only throughput.

use std::{
    collections::HashSet,
    panic,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use web_time::Instant;

use super::pictures::Folder;
use crate::{Error, Result, io::Picture, random::Random};

/// Crops that each worker keeps ready.
const AHEAD: usize = 4;

/// How a training picture is cropped: a random square, resized if necessary, and mirrored with probability ½.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Crops {
    /// Side of the resulting crop in pixels, at least 1. A smaller square is enlarged.
    pub size: usize,
    /// Smallest and largest side of the square as a share of the picture's short side, above 0 and at most 1. `None`: a
    /// square of `size` pixels, which keeps the picture's own pixels; of a smaller picture, the whole short side.
    pub share: Option<[f32; 2]>,
    /// Whether a crop is mirrored left to right with probability ½.
    pub flip: bool,
}

impl Crops {
    fn check(&self) -> Result<()> {
        let refused =
            |argument: &str, expected: &str, got: String| Err(Error::argument("Crops", argument, expected, got));
        if self.size == 0 {
            return refused("size", "at least 1", "0".into());
        }
        match self.share {
            Some(share @ [least, greatest]) if !(0.0 < least && least <= greatest && greatest <= 1.0) => {
                refused("share", "two shares in order, above 0 and at most 1", format!("{share:?}"))
            }
            _ => Ok(()),
        }
    }

    /// Crops a square from `picture`, [filled](Picture::filled): RGB planes `[3, size, size]`, 0..1.
    fn cut(&self, picture: &Picture, random: &mut Random) -> Vec<f32> {
        // All random numbers are drawn, used or not, so that one option does not change the effect of another.
        let chance = random.uniform();
        let (across, down, mirrored) = (random.bits(), random.bits(), random.bits() & 1 == 1);

        let picture = picture.filled();
        let short = picture.width.min(picture.height);
        let side = match self.share {
            Some([least, greatest]) => (short as f32 * (least + (greatest - least) * chance)).round() as usize,
            None => self.size,
        };
        let side = side.clamp(1, short);
        let left = below(across, picture.width - side + 1);
        let top = below(down, picture.height - side + 1);
        // The colours of transparent pixels are part of a training picture.
        let square = Picture { alpha: None, ..picture.cut(top..top + side, left..left + side) };
        let mut cut = square.resize(self.size, self.size).rgb;
        if self.flip && mirrored {
            cut.chunks_exact_mut(self.size).for_each(<[f32]>::reverse);
        }
        cut
    }
}

/// Maps random bits to a number below `count`, which must be at least 1.
pub(super) fn below(bits: u64, count: usize) -> usize {
    ((u128::from(bits) * count as u128) >> 64) as usize
}

/// Purpose of a random stream.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Order = 1,
    Cut = 2,
    Painted = 3,
}

/// The random generator of one purpose and number. The seed is hashed because neighbouring seeds of [`Random`] give
/// related streams.
pub(super) fn generator(seed: u64, purpose: Purpose, number: u64) -> Random {
    [purpose as u64, number].iter().fold(Random::new(seed), |mut random, part| Random::new(random.bits() ^ part))
}

/// The order of `count` pictures in an epoch (Fisher-Yates shuffle).
fn order(seed: u64, epoch: u64, count: usize) -> Vec<usize> {
    let mut random = generator(seed, Purpose::Order, epoch);
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        order.swap(last, below(random.bits(), last + 1));
    }
    order
}

/// A data loader: an endless stream of crops, RGB 0..1 (sRGB-encoded), each `[3, size, size]`. Each epoch has every
/// picture once, in an order of its own.
///
/// A file that cannot be read or decoded is replaced by the next readable one in the epoch's order. The replacement
/// depends only on the files, not on timing or the number of workers.
pub struct Loader {
    shared: Arc<Shared>,
    /// Worker `w` of `W` loads the pictures `first + w`, `first + w + W`, ... into its own channel.
    workers: Vec<Worker>,
    /// The epoch of the next picture and its order, if there are no workers.
    epoch: Epoch,
    first: u64,
    next: u64,
    waited: Duration,
}

struct Worker {
    pictures: Receiver<Result<Vec<f32>>>,
    thread: JoinHandle<()>,
}

/// State shared by all workers.
struct Shared {
    folder: Folder,
    crops: Crops,
    seed: u64,
    stop: AtomicBool,
    broken: Mutex<Broken>,
}

/// An epoch and the order of its pictures.
#[derive(Default)]
struct Epoch {
    number: Option<u64>,
    order: Vec<usize>,
}

#[derive(Default)]
struct Broken {
    files: HashSet<usize>,
    /// Why the first of them could not be read.
    reason: String,
}

impl Loader {
    /// Starts `workers` threads that decode ahead, from picture number `first`: 0 for a new run, or the number of
    /// pictures already consumed. Each worker keeps up to four crops ready. Without workers, [`Loader::next`] decodes
    /// and crops.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] if `crops` is out of range; if a thread cannot be started.
    pub fn start(folder: Folder, crops: Crops, seed: u64, first: u64, workers: usize) -> Result<Self> {
        crops.check()?;
        let shared = Shared { folder, crops, seed, stop: AtomicBool::new(false), broken: Mutex::default() };
        // Created before the first thread: if a later thread fails to start, dropping the loader stops the others.
        let (epoch, waited) = (Epoch::default(), Duration::ZERO);
        let mut loader = Loader { shared: Arc::new(shared), workers: Vec::new(), epoch, first, next: first, waited };
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

    /// The next crop, `[3, size, size]`, RGB 0..1; blocks until it is decoded.
    ///
    /// # Errors
    ///
    /// [`Error::Picture`] if none of the files can be read as a picture.
    #[allow(clippy::should_implement_trait, reason = "it is endless and can fail, which an iterator says badly")]
    pub fn next(&mut self) -> Result<Vec<f32>> {
        let started = Instant::now();
        if self.workers.is_empty() {
            let picture = self.shared.picture(self.next, &mut self.epoch);
            self.waited += started.elapsed();
            self.next += 1;
            return picture.expect("a loader that nobody stops");
        }
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

    /// Total time that [`Loader::next`] has blocked.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Number of distinct files that could not be read so far. Workers run ahead, so files not yet due may be counted.
    pub fn broken(&self) -> usize {
        self.shared.broken().files.len()
    }
}

impl Drop for Loader {
    /// Stops the workers and waits for them; each ends after the picture that it is decoding.
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let (pictures, threads): (Vec<_>, Vec<_>) =
            self.workers.drain(..).map(|worker| (worker.pictures, worker.thread)).unzip();
        drop(pictures); // unblocks workers that wait for space in their channel
        threads.into_iter().for_each(|thread| drop(thread.join()));
    }
}

impl Shared {
    /// Main loop of a worker: loads the pictures with these numbers until the loader is dropped.
    fn work(&self, numbers: impl Iterator<Item = u64>, sender: &SyncSender<Result<Vec<f32>>>) {
        let mut epoch = Epoch::default();
        for number in numbers {
            let Some(cut) = self.picture(number, &mut epoch) else { return };
            if sender.send(cut).is_err() {
                return;
            }
        }
    }

    /// The crop with that number; `None` if the loader was stopped meanwhile.
    fn picture(&self, number: u64, epoch: &mut Epoch) -> Option<Result<Vec<f32>>> {
        let count = self.folder.len() as u64;
        if epoch.number != Some(number / count) {
            *epoch = Epoch { number: Some(number / count), order: order(self.seed, number / count, self.folder.len()) };
        }
        let (before, from) = epoch.order.split_at((number % count) as usize);
        let picture = self.load(from.iter().chain(before))?;
        Some(picture.map(|picture| self.crops.cut(&picture, &mut generator(self.seed, Purpose::Cut, number))))
    }

    /// The first of these files that can be read; `None` if the loader was stopped meanwhile.
    fn load<'a>(&self, files: impl Iterator<Item = &'a usize>) -> Option<Result<Picture>> {
        for &file in files {
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
            if self.broken().files.contains(&file) {
                continue;
            }
            match self.folder.load(file) {
                Ok(picture) => return Some(Ok(picture)),
                Err(error) => self.note_broken(file, &error),
            }
        }
        let count = self.folder.len();
        let reason = format!("none of the {count} pictures to train with can be read; {}", self.broken().reason);
        Some(Err(Error::picture(&self.folder.files()[0], reason)))
    }

    fn note_broken(&self, file: usize, error: &Error) {
        let mut broken = self.broken();
        if self.folder.warns_first() {
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
