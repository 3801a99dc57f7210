//! Work to be measured: built on demand, run repeatedly.

use std::time::Instant;

use crate::Result;
use crate::gpu::{Context, Program, Recorder};

/// A workload that is built on demand. All workloads together would not fit the device, and one that is not selected
/// costs nothing.
pub struct PlannedWorkload {
    /// Name of the workload, with its shape.
    pub name: String,
    make: Box<Make>,
}

type Make = dyn FnOnce(&Context) -> Result<Workload>;

impl PlannedWorkload {
    pub(super) fn new(name: String, make: impl FnOnce(&Context) -> Result<Workload> + 'static) -> Self {
        PlannedWorkload { name, make: Box::new(make) }
    }

    /// A workload that consists of one program.
    pub(super) fn recorded(name: String, record: impl FnOnce(&mut Recorder) -> Result<()> + 'static) -> Self {
        Self::new(name, |context| {
            let mut rec = Recorder::new(context);
            record(&mut rec)?;
            Ok(Workload::of(rec.finish()?))
        })
    }

    /// Builds the workload.
    ///
    /// # Errors
    /// [`Error::TooLarge`](crate::Error::TooLarge) if it does not fit the device; other errors of the device.
    pub fn make(self, context: &Context) -> Result<Workload> {
        (self.make)(context)
    }
}

/// Work that can be run repeatedly.
pub struct Workload {
    /// Floating-point operations of one run, by the mathematical definition.
    pub flops: u64,
    /// Bytes of all tensors that the dispatches of one run access, each counted once per dispatch.
    pub bytes: u64,
    pub(super) work: Box<dyn Work>,
}

/// The work of a workload.
pub(super) trait Work {
    /// Runs once and waits for completion.
    fn run(&mut self) -> Result<()>;

    /// The program of a run, if a run consists of exactly one program.
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

/// Run times of a workload.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Measured {
    /// Shortest run in seconds.
    pub best: f64,
    /// Median run in seconds.
    pub median: f64,
}

impl Workload {
    pub(super) fn new([flops, bytes]: [u64; 2], work: impl Work + 'static) -> Self {
        Workload { flops, bytes, work: Box::new(work) }
    }

    /// A workload with a program, which gives its operations and bytes.
    pub(super) fn of(work: impl Work + 'static) -> Self {
        let program = work.program().expect("a program");
        Self::new([program.flops(), program.bytes()], work)
    }

    /// The program of a run, for example to profile its dispatches; `None` if a run is not exactly one program.
    pub fn program(&self) -> Option<&Program> {
        self.work.program()
    }

    /// Runs once and waits for completion.
    pub fn run(&mut self) -> Result<()> {
        self.work.run()
    }

    /// Runs once as a warm-up, then repeatedly: at least three times and, up to 1000 runs, for at least `seconds`.
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
