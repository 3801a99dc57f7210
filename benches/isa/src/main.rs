//! Compiles the kernels of the tiled class with Mesa's compiler for AMD's GPUs (RADV, ACO) and prints what it makes of
//! them. No such GPU is needed: the environment variable RADV_FORCE_FAMILY names the chip. Nothing is executed.

mod assembly;
mod compiler;
mod nets;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};
use assembly::Parts;
use clap::{Parser, ValueEnum};
use compiler::{Compiled, Job};
use impasto::gpu::{Context, ContextOptions, KernelClass};
use impasto::internal::{Access, CAPABILITIES, Kernel, Listed, Value, interface_of, leave_loops, module_of};
use naga::back::spv;
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{ValidationFlags, Validator};
use nets::Net;
use serde::{Deserialize, Serialize};

/// What Mesa's compiler for AMD's GPUs makes of the kernels that nets run
#[derive(Parser)]
#[command(after_help = "\
Columns: VGPRs: vector registers of a lane. spills: registers that do not fit, in scratch memory. waves: \
subgroups that a SIMD can hold at once. FMA, other, scalar, LDS: multiply-adds, other vector, scalar and \
workgroup-memory instructions of the main loop. loop, kernel: multiply-adds per issue slot of the vector \
unit, in the main loop and in the whole kernel at this size. loops: further loops, of which the model \
counts one turn each, so the share of such a kernel is too high. bytes: machine code. ms: time of the \
compilation.

The model: every vector instruction takes one issue slot, an integer product or a transcendental \
function four; a dual instruction of RDNA3 is one slot with two multiply-adds. Scalar, LDS and memory \
instructions of other subgroups are issued beside them, and memory is assumed to be hidden. So the \
shares are upper bounds.")]
struct Arguments {
    /// Chips, by Mesa's names
    #[arg(long, num_args = 1.., default_values = ["vega10", "navi10", "navi21", "navi31"])]
    chip: Vec<String>,
    /// Nets whose kernels are compiled [default: all]
    #[arg(long, value_enum)]
    net: Vec<Net>,
    /// Side of the picture in pixels
    #[arg(long, default_value_t = 512)]
    size: usize,
    /// Only kernels with TEXT in their names, which are those that `impasto kernels` prints
    #[arg(long, value_name = "TEXT")]
    kernel: Option<String>,
    /// Folder for the machine code of every kernel
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Fail if a kernel spills, or if its share of multiply-adds is more than 0.02 below that in this file
    #[arg(long)]
    check: Option<PathBuf>,
    /// Write this run's shares to that file, for --check
    #[arg(long)]
    record: Option<PathBuf>,
    /// Leave loops over arrays to the driver, to see what unrolling them does
    #[arg(long)]
    leave_loops: bool,
    /// Run the nets on the adapter of this machine instead, with the kernels for it, and print what each kernel takes
    /// longer in the first run than in the second: the time in which a software driver compiles it. Set
    /// MESA_SHADER_CACHE_DISABLE=true
    #[arg(long, conflicts_with_all = ["chip", "kernel", "keep", "check", "record"])]
    here: bool,
}

impl Arguments {
    fn nets(&self) -> &[Net] {
        if self.net.is_empty() { Net::value_variants() } else { &self.net }
    }
}

/// A kernel with the dispatch in which it performs most.
struct Candidate {
    listed: Listed,
    job: Job,
    /// Multiply-adds of a lane.
    fma: f64,
    turns: Turns,
}

/// Turns of the main loop for each turn of the loop around it.
#[derive(Clone, Copy)]
enum Turns {
    /// A constant of the kernel.
    Constant(f64),
    /// All that there are, over this number of turns of the outer loop.
    Over(f64),
}

fn main() -> Result<()> {
    if std::env::args().nth(1).as_deref() == Some("compile") {
        return compiler::serve();
    }
    let arguments = Arguments::parse();
    if arguments.leave_loops {
        leave_loops();
    }
    if arguments.here {
        return first_runs(&arguments);
    }
    let folder = tempfile::tempdir()?;
    let candidates = candidates(&arguments, folder.path())?;
    let mut shares: Shares = BTreeMap::new();
    for chip in &arguments.chip {
        println!("{chip}: {} kernels", candidates.len());
        println!(
            "{:>5} {:>6} {:>5} {:>6} {:>6} {:>6} {:>5} {:>6} {:>6} {:>6} {:>6} {:>5}  name",
            "VGPRs", "spills", "waves", "FMA", "other", "scalar", "LDS", "loop", "loops", "kernel", "bytes", "ms"
        );
        let mut compiler = Worker::new(chip)?;
        for (number, candidate) in candidates.iter().enumerate() {
            let name = candidate.listed.kernel.to_string();
            let compiled = match compiler.compile(&candidate.job) {
                Ok(compiled) => compiled,
                Err(reason) => {
                    // It sometimes crashes on a kernel that it compiles the next time.
                    compiler = Worker::new(chip)?;
                    match compiler.compile(&candidate.job) {
                        Ok(compiled) => compiled,
                        Err(_) => {
                            println!("{:>79}  {name}: {reason}", "");
                            compiler = Worker::new(chip)?;
                            continue;
                        }
                    }
                }
            };
            if let Some(keep) = &arguments.keep {
                std::fs::create_dir_all(keep)?;
                let shader = candidate.listed.kernel.shader.trim_end_matches(".wgsl");
                let path = keep.join(format!("{chip}-{number:02}-{shader}-{}.s", candidate.listed.kernel.entry));
                std::fs::write(path, format!("; {name}\n{}", compiled.assembly))?;
            }
            let row = Row::of(candidate, &compiled);
            row.print(&name);
            shares.entry(chip.clone()).or_default().insert(name, row.recorded());
        }
        println!();
    }
    if let Some(path) = &arguments.record {
        std::fs::write(path, serde_json::to_string_pretty(&shares)? + "\n")?;
    }
    match &arguments.check {
        Some(path) => check(&shares, path),
        None => Ok(()),
    }
}

type Shares = BTreeMap<String, BTreeMap<String, Recorded>>;

/// What must not get worse.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Recorded {
    spills: u64,
    kernel: f64,
}

fn check(shares: &Shares, path: &Path) -> Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let known: Shares = serde_json::from_str(&text).with_context(|| format!("{} is not a record", path.display()))?;
    let mut worse = Vec::new();
    for (chip, kernels) in shares {
        for (name, now) in kernels {
            let before = known.get(chip).and_then(|kernels| kernels.get(name));
            if now.spills > before.map_or(0, |before| before.spills) {
                worse.push(format!("{chip}: {name} spills {} registers", now.spills));
            }
            if let Some(before) = before
                && now.kernel < before.kernel - 0.02
            {
                worse.push(format!("{chip}: {name} has a share of {:.2}, was {:.2}", now.kernel, before.kernel));
            }
        }
    }
    match worse.is_empty() {
        true => Ok(()),
        false => bail!("worse than {}:\n{}", path.display(), worse.join("\n")),
    }
}

struct Row {
    registers: u64,
    spills: u64,
    waves: u64,
    parts: Parts,
    kernel: f64,
    bytes: u64,
    milliseconds: f64,
}

impl Row {
    fn of(candidate: &Candidate, compiled: &Compiled) -> Row {
        let parts = Parts::of(&compiled.assembly);
        let turns = match candidate.turns {
            Turns::Constant(turns) => turns,
            Turns::Over(outer) => candidate.fma / outer / parts.main.fma.max(1.0),
        };
        let get = |name: &str| compiled.statistic(name).unwrap_or(0);
        Row {
            registers: get("VGPRs"),
            spills: get("Spilled VGPRs") + get("Spilled SGPRs"),
            waves: get("Subgroups per SIMD"),
            parts,
            kernel: parts.share(candidate.fma, turns),
            bytes: get("Code size"),
            milliseconds: compiled.milliseconds,
        }
    }

    fn print(&self, name: &str) {
        let Row { registers, spills, waves, parts: Parts { main, others, .. }, kernel, bytes, milliseconds } = self;
        let other = main.vector - main.fma;
        println!(
            "{registers:>5} {spills:>6} {waves:>5} {:>6} {other:>6} {:>6} {:>5} {:>6.2} {others:>6} {kernel:>6.2} \
             {bytes:>6} {milliseconds:>5.0}  {name}",
            main.fma,
            main.scalar,
            main.shared,
            main.share()
        );
    }

    fn recorded(&self) -> Recorded {
        Recorded { spills: self.spills, kernel: (self.kernel * 1000.0).round() / 1000.0 }
    }
}

/// Prints what each kernel takes longer in the first run than in the second.
fn first_runs(arguments: &Arguments) -> Result<()> {
    let context = Context::new(&ContextOptions::default())?;
    println!("{:>7}  name", "ms");
    for net in arguments.nets() {
        let program = net.recorded(&context, arguments.size)?.finish()?;
        let [first, second] = [program.profile()?, program.profile()?];
        let mut longer: BTreeMap<&str, f64> = BTreeMap::new();
        for (first, second) in first.dispatches.iter().zip(&second.dispatches) {
            *longer.entry(&first.kernel).or_default() += (first.seconds - second.seconds) * 1e3;
        }
        longer.iter().for_each(|(kernel, milliseconds)| println!("{milliseconds:>7.0}  {kernel}"));
    }
    Ok(())
}

/// Each kernel of the nets once, as SPIR-V in `folder`.
fn candidates(arguments: &Arguments, folder: &Path) -> Result<Vec<Candidate>> {
    let options = ContextOptions { class: Some(KernelClass::Tiled), ..ContextOptions::default() };
    let context = Context::new(&options)?;
    let mut kernels: Vec<Listed> = Vec::new();
    for net in arguments.nets() {
        for listed in net.dispatches(&context, arguments.size)? {
            match kernels.iter_mut().find(|known| known.kernel == listed.kernel) {
                Some(known) if known.performed < listed.performed => *known = listed,
                Some(_) => {}
                None => kernels.push(listed),
            }
        }
    }
    kernels.retain(|listed| arguments.kernel.as_ref().is_none_or(|text| listed.kernel.to_string().contains(text)));
    if let (true, Some(text)) = (kernels.is_empty(), &arguments.kernel) {
        bail!("--kernel must be part of a kernel's name, got {text}: `impasto kernels --class tiled` lists them");
    }
    kernels.sort_by_key(|listed| (listed.kernel.shader, std::cmp::Reverse(listed.performed)));
    kernels.into_iter().enumerate().map(|(number, listed)| candidate(listed, folder, number)).collect()
}

fn candidate(listed: Listed, folder: &Path, number: usize) -> Result<Candidate> {
    let interface = interface_of(&listed.kernel)?;
    let file = folder.join(format!("{number}.spv"));
    std::fs::write(&file, spir_v(&listed.kernel)?)?;
    let uniform = interface.bindings.iter().map(|binding| binding.access == Access::Uniform).collect();
    let job = Job { file, entry: listed.kernel.entry.to_string(), uniform };
    let lanes: u64 = interface.workgroup_size.iter().chain(&listed.groups).map(|&n| u64::from(n)).product();
    let constant = |name: &str| {
        listed.kernel.constants.iter().find_map(|(known, value)| match value {
            Value::U32(value) if *known == name => Some(f64::from(*value)),
            _ => None,
        })
    };
    let turns = match (listed.kernel.entry, constant("ROWS")) {
        ("direct", Some(rows)) => Turns::Over(rows),
        _ => Turns::Constant(constant("TILE_K").or(constant("DEPTH")).unwrap_or(1.0)),
    };
    Ok(Candidate { fma: listed.performed as f64 / 2.0 / lanes as f64, turns, listed, job })
}

/// As wgpu writes it for a kernel without bounds checks.
fn spir_v(kernel: &Kernel) -> Result<Vec<u8>> {
    let module = module_of(kernel)?;
    let info = Validator::new(ValidationFlags::all(), CAPABILITIES).validate(module)?;
    let unchecked = BoundsCheckPolicy::Unchecked;
    let options = spv::Options {
        lang_version: (1, 3),
        bounds_check_policies: BoundsCheckPolicies {
            index: unchecked,
            buffer: unchecked,
            image_load: unchecked,
            binding_array: unchecked,
        },
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        force_loop_bounding: false,
        ..spv::Options::default()
    };
    let entry = spv::PipelineOptions { shader_stage: naga::ShaderStage::Compute, entry_point: kernel.entry.into() };
    let words = spv::write_vec(module, &info, &options, Some(&entry))?;
    Ok(words.into_iter().flat_map(u32::to_le_bytes).collect())
}

/// A process with the compiler for one chip.
struct Worker {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Worker {
    fn new(chip: &str) -> Result<Worker> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("compile")
            .env("RADV_FORCE_FAMILY", chip)
            .env("AMD_FORCE_FAMILY", chip)
            .env("VK_DRIVER_FILES", compiler::driver()?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let input = child.stdin.take().context("the compiler has no input")?;
        let output = BufReader::new(child.stdout.take().context("the compiler has no output")?);
        Ok(Worker { child, input, output })
    }

    fn compile(&mut self, job: &Job) -> Result<Compiled> {
        let line = serde_json::to_string(job)?;
        let mut answer = String::new();
        let asked = writeln!(self.input, "{line}").and_then(|()| self.input.flush());
        if asked.is_err() || self.output.read_line(&mut answer)? == 0 {
            bail!("the compiler ended: {}", self.child.wait()?);
        }
        let outcome: Result<Compiled, String> = serde_json::from_str(&answer)?;
        outcome.map_err(|reason| anyhow!(reason))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
