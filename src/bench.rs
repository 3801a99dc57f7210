//! The pieces of work that `impasto bench` and the benches measure, ready to run.

mod roof;
pub mod roofline;
mod workloads;

pub use roof::Roof;
pub use workloads::{all, training};

use std::time::Instant;

use crate::Result;
use crate::gpu::{Context, Program, Recorder};

/// Work that is made when it is its turn: all of it would not fit the device together, and what is not chosen costs nothing.
pub struct Plan {
    /// What it is, with its shape.
    pub name: String,
    make: Box<Make>,
}

type Make = dyn FnOnce(&Context) -> Result<Workload>;

impl Plan {
    fn new(name: String, make: impl FnOnce(&Context) -> Result<Workload> + 'static) -> Self {
        Plan { name, make: Box::new(make) }
    }

    /// Work that is what one program does.
    fn recorded(name: String, record: impl FnOnce(&mut Recorder) -> Result<()> + 'static) -> Self {
        Self::new(name, |context| {
            let mut rec = Recorder::new(context);
            record(&mut rec)?;
            Ok(Workload::of(rec.finish()?))
        })
    }

    /// Makes all that a run needs.
    ///
    /// # Errors
    /// [`Error::TooLarge`](crate::Error::TooLarge) where the device has no room for it.
    pub fn make(self, context: &Context) -> Result<Workload> {
        (self.make)(context)
    }
}

/// Something that can be run again and again.
pub struct Workload {
    /// Floating-point operations of one run, as the mathematics needs them.
    pub flops: u64,
    /// Bytes of the tensors that its dispatches touch, each counted once a dispatch.
    pub bytes: u64,
    work: Box<dyn Work>,
}

/// What a workload runs.
trait Work {
    /// One run, waited for.
    fn run(&mut self) -> Result<()>;

    /// The program that a run is, where it is one.
    fn program(&self) -> Option<&Program> {
        None
    }
}

impl<F: FnMut() -> Result<()>> Work for F {
    fn run(&mut self) -> Result<()> {
        self()
    }
}

impl Work for Program {
    fn run(&mut self) -> Result<()> {
        Program::run(self)
    }

    fn program(&self) -> Option<&Program> {
        Some(self)
    }
}

/// Times of a workload.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Measured {
    /// Shortest run in seconds.
    pub best: f64,
    /// Median run in seconds.
    pub median: f64,
}

impl Workload {
    fn new([flops, bytes]: [u64; 2], work: impl Work + 'static) -> Self {
        Workload { flops, bytes, work: Box::new(work) }
    }

    /// Work that has a program.
    fn of(work: impl Work + 'static) -> Self {
        let program = work.program().expect("a program");
        Self::new([program.flops(), program.bytes()], work)
    }

    /// The program that a run of it is, for looking at its dispatches; `None` if it is more than one program, or none.
    pub fn program(&self) -> Option<&Program> {
        self.work.program()
    }

    /// One run, waited for.
    pub fn run(&mut self) -> Result<()> {
        self.work.run()
    }

    /// Runs once to warm up, then for at least `seconds` and three times.
    pub fn measure(&mut self, seconds: f64) -> Result<Measured> {
        self.run()?;
        let (began, mut times) = (Instant::now(), Vec::new());
        while times.len() < 3 || (began.elapsed().as_secs_f64() < seconds && times.len() < 1000) {
            let start = Instant::now();
            self.run()?;
            times.push(start.elapsed().as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        Ok(Measured { best: times[0], median: times[times.len() / 2] })
    }
}
