//! Compares Impasto with other libraries: the same nets with the same weights on the same adapter. Outputs are compared
//! first, then the libraries are timed in turn.

mod burn_peer;
mod ours;
mod peer;
mod python;
mod report;
mod works;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use burn::tensor::{Device, DeviceKind, wgpu::WgpuBackend};
use clap::Parser;
use impasto::gpu::{Adapter, Context, ContextOptions, Precision, adapters};

use burn_peer::Burn;
use ours::Ours;
use peer::{Outputs, Peer, Ready};
use python::{Python, Started};
use report::{Outcome, Report, Row};
use works::{Kind, Material, Work};

/// Runs the same nets in Impasto and in its peers.
#[derive(Parser)]
struct Arguments {
    /// Side of the pictures, for every work. Default: 256 and 512 for VGG-19, 512 to paint, 256 to train; on a software
    /// adapter half of that
    #[arg(long)]
    size: Vec<usize>,
    /// Works, all by default
    #[arg(long, value_delimiter = ',')]
    only: Vec<Kind>,
    /// Peers, all by default
    #[arg(long, value_delimiter = ',', value_parser = ["impasto-f16", "impasto-f16-matrix", "burn", "torch", "torch-f16", "onnxruntime", "ncnn", "ncnn-f16"])]
    peer: Vec<String>,
    /// Times that it is every peer's turn
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Seconds after which a peer that has been timed once gets no more turns at a work
    #[arg(long, default_value_t = 5.0)]
    budget: f64,
    /// Pictures of 128² (64² to train), three rounds, a second for each peer
    #[arg(long)]
    quick: bool,
    /// The adapter: its number or a part of its name, as `impasto devices` lists it
    #[arg(long)]
    device: Option<String>,
    /// The Python that has the other peers
    #[arg(long, default_value = "python3")]
    python: String,
    /// File for the results as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

impl Arguments {
    fn works(&self, software: bool) -> Result<Vec<Work>> {
        let kinds = if self.only.is_empty() { &Kind::ALL[..] } else { &self.only };
        let sizes = |kind: Kind| match self.size.is_empty() {
            false => self.size.clone(),
            true => kind.default_sizes(software, self.quick),
        };
        let works: Vec<_> =
            kinds.iter().flat_map(|&kind| sizes(kind).into_iter().map(move |size| Work { kind, size })).collect();
        match works.iter().find(|work| work.size < 32 || work.size % 8 != 0) {
            Some(work) => bail!("--size must be a multiple of 8 from 32 up, got {}", work.size),
            None => Ok(works),
        }
    }

    fn wants(&self, peer: &str) -> bool {
        self.peer.is_empty() || self.peer.iter().any(|wanted| wanted == peer)
    }
}

fn choose(wanted: Option<&str>) -> Result<(Adapter, DeviceKind, WgpuBackend)> {
    let all = adapters();
    let position = match wanted {
        None => (!all.is_empty()).then_some(0),
        Some(wanted) => match wanted.parse::<usize>() {
            Ok(index) => (index < all.len()).then_some(index),
            Err(_) => all.iter().position(|a| a.name.to_lowercase().contains(&wanted.to_lowercase())),
        },
    };
    let Some(position) = position else {
        bail!("there is no adapter {}: `impasto devices` lists them", wanted.unwrap_or("at all"));
    };
    let chosen = all[position].clone();
    // Burn numbers the adapters of one kind and one API.
    let same = |a: &&Adapter| a.kind == chosen.kind && a.backend == chosen.backend;
    let number = all[..position].iter().filter(same).count();
    let kind = match chosen.kind {
        "discrete GPU" => DeviceKind::DiscreteGpu(number),
        "integrated GPU" => DeviceKind::IntegratedGpu(number),
        "virtual GPU" => DeviceKind::VirtualGpu(number),
        "software" => DeviceKind::Cpu,
        _ => DeviceKind::DefaultDevice,
    };
    let backend = match chosen.backend.as_str() {
        "vulkan" => WgpuBackend::Vulkan,
        "metal" => WgpuBackend::Metal,
        "dx12" => WgpuBackend::Dx12,
        _ => WgpuBackend::Auto,
    };
    Ok((chosen, kind, backend))
}

/// Outputs smaller than this share of the largest output are compared relative to that share. Some gradients, such as
/// that of a bias before a norm, are zero except for rounding.
const NOISE: f64 = 1e-3;

/// The output with the largest relative error: its name and error. Infinite if an output is missing or not finite.
fn worst(kind: Kind, ours: &Outputs, theirs: &Outputs) -> (String, f64) {
    let least = NOISE * ours.iter().map(|(_, values)| kind.size(values)).fold(0.0, f64::max);
    let error = |(name, reference): &(String, Vec<f32>)| {
        let found = theirs.iter().find(|(known, values)| known == name && values.len() == reference.len());
        let Some((_, values)) = found.filter(|(_, values)| values.iter().all(|value| value.is_finite())) else {
            return (name.clone(), f64::INFINITY);
        };
        let differences: Vec<f32> = reference.iter().zip(values).map(|(a, b)| a - b).collect();
        (name.clone(), kind.size(&differences) / kind.size(reference).max(least))
    };
    let errors = ours.iter().map(error);
    errors.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or(("nothing".into(), f64::INFINITY))
}

/// Seconds of a peer's turn: several runs, or one if a run is long.
const TURN: f64 = 0.2;

/// A peer and its results for a work.
struct Entry<'a> {
    peer: &'a mut dyn Peer,
    error: Option<f64>,
    times: Vec<f64>,
    /// Why the peer is not timed.
    out: Option<Outcome>,
}

impl Entry<'_> {
    /// A further warm-up run. It counts as a measurement if it uses up the budget.
    fn warm(&mut self, budget: f64) {
        self.turn(0.0);
        if self.spent() < budget {
            self.times.clear();
        }
    }

    fn turn(&mut self, budget: f64) {
        let began = Instant::now();
        while self.out.is_none() {
            match self.peer.time() {
                Ok(seconds) => self.times.push(seconds),
                Err(error) => self.out = Some(Outcome::Failed(format!("{error:#}"))),
            }
            if began.elapsed().as_secs_f64() > TURN || self.spent() > budget {
                break;
            }
        }
    }

    fn spent(&self) -> f64 {
        self.times.iter().sum()
    }

    /// The median time; `None` if the peer was not timed or failed.
    fn median(&mut self) -> Option<f64> {
        self.times.sort_by(f64::total_cmp);
        self.times.get(self.times.len() / 2).copied().filter(|_| self.out.is_none())
    }
}

/// Runs one work with all peers.
fn measure(work: Work, ours: &mut Ours, peers: &mut [Box<dyn Peer>], rounds: usize, budget: f64) -> Result<Vec<Row>> {
    let material = Material::of(work)?;
    eprintln!("{}: impasto", work.name());
    let Ready::Outputs(reference) = ours.prepare(work, &material)? else { bail!("impasto skips {}", work.name()) };
    let gflop = ours.flops() as f64 * 1e-9;
    let mut entries = vec![Entry { peer: ours, error: None, times: Vec::new(), out: None }];
    for peer in peers.iter_mut() {
        eprintln!("{}: {}", work.name(), peer.name());
        let (began, tolerance) = (Instant::now(), work.kind.tolerance(peer.is_half()));
        let ready = peer.prepare(work, &material);
        let seconds = began.elapsed().as_secs_f64();
        let mut entry = Entry { peer: peer.as_mut(), error: None, times: Vec::new(), out: None };
        match ready {
            Ok(Ready::Outputs(outputs)) => {
                let (name, error) = worst(work.kind, &reference, &outputs);
                entry.error = Some(error);
                if !(error <= tolerance) {
                    entry.out = Some(Outcome::Differs { of: format!("{name} by {error:.1e}") });
                }
            }
            Ok(Ready::Skipped(reason)) => entry.out = Some(Outcome::Skipped(reason)),
            Err(error) => entry.out = Some(Outcome::Failed(format!("{error:#}"))),
        }
        eprintln!("{}: {} ready after {seconds:.1} s", work.name(), entry.peer.name());
        entries.push(entry);
    }
    entries.iter_mut().for_each(|entry| entry.warm(budget));
    for _ in 0..rounds {
        entries.iter_mut().filter(|entry| entry.spent() < budget).for_each(|entry| entry.turn(budget));
    }
    let ours_median = entries[0].median();
    let mut rows = Vec::new();
    for (index, entry) in entries.iter_mut().enumerate() {
        let median = entry.median();
        let outcome = match (entry.out.take(), median) {
            (Some(out), _) => out,
            (None, Some(median)) => Outcome::Timed {
                median_ms: 1e3 * median,
                best_ms: 1e3 * entry.times[0],
                runs: entry.times.len(),
                gflop_per_second: gflop / median,
            },
            (None, None) => Outcome::Failed("it was never run".into()),
        };
        let ours_over_peer = ours_median.zip(median).map(|(ours, theirs)| ours / theirs).filter(|_| index > 0);
        entry.peer.clear();
        rows.push(Row { work, peer: entry.peer.name(), error: entry.error, ours_over_peer, outcome });
    }
    Ok(rows)
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let (rounds, budget) = if arguments.quick { (3, 1.0) } else { (arguments.rounds.max(1), arguments.budget) };
    let wanted = arguments.device.clone().or_else(|| std::env::var("IMPASTO_DEVICE").ok().filter(|d| !d.is_empty()));
    let (adapter, kind, backend) = choose(wanted.as_deref())?;
    let works = arguments.works(adapter.kind == "software")?;

    // Burn opens the device with all features that its kernels can use. Impasto uses the same device.
    let opened = Device::wgpu_options().device_kind(kind).graphics_api(backend).init_with_setup();
    let (device, setup) = opened.with_context(|| format!("burn cannot open {}", adapter.name))?;
    let found = setup.adapter.get_info().name;
    if found != adapter.name {
        bail!("burn opened {found}, not {}: choose another --device", adapter.name);
    }
    let guest = |precision| {
        let options = ContextOptions { precision, ..Default::default() };
        Context::from_host(setup.device.clone(), setup.queue.clone(), &options)
    };
    let context = guest(Precision::F32)?;
    eprintln!("{} ({}, {})", adapter.name, adapter.backend, adapter.driver);

    let folder = tempfile::tempdir()?;
    let mut ours = Ours::new(context);
    let mut peers: Vec<Box<dyn Peer>> = Vec::new();
    let mut absent = Vec::new();
    if arguments.wants("impasto-f16") {
        match guest(Precision::F16) {
            Ok(context) => peers.push(Box::new(Ours::new(context))),
            Err(error) => absent.push(("impasto-f16".to_string(), error.to_string())),
        }
    }
    if arguments.wants("impasto-f16-matrix") {
        // On its own device, because burn's is opened without wgpu's experimental features.
        let options = ContextOptions { device: Some(adapter.name.clone()), ..Default::default() };
        match options.in_precision("f16-matrix").and_then(|options| Context::new(&options)) {
            Ok(context) => peers.push(Box::new(Ours::new(context))),
            Err(error) => absent.push(("impasto-f16-matrix".to_string(), error.to_string())),
        }
    }
    if arguments.wants("burn") && cfg!(feature = "tuned") && adapter.kind == "software" {
        let reason =
            "its SPIR-V crashes Mesa's software driver; build without the feature tuned (make bench-peers BURN=)";
        absent.push(("burn".to_string(), reason.to_string()));
    } else if arguments.wants("burn") {
        peers.push(Box::new(Burn::new(device)));
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers.py");
    for name in python::PEERS.into_iter().filter(|name| arguments.wants(name)) {
        match Python::start(&arguments.python, &script, name, &adapter.name, folder.path())? {
            Started::Peer(python) => peers.push(python),
            Started::Skipped(reason) => absent.push((name.to_string(), reason)),
        }
    }

    let mut rows = Vec::new();
    for work in works {
        match measure(work, &mut ours, &mut peers, rounds, budget) {
            Ok(measured) => rows.extend(measured),
            Err(error) => {
                let outcome = Outcome::Failed(format!("{error:#}"));
                rows.push(Row { work, peer: ours.name(), error: None, ours_over_peer: None, outcome });
            }
        }
        ours.clear();
    }

    let mut versions = vec![(ours.name(), ours.version())];
    versions.extend(peers.iter().map(|peer| (peer.name(), peer.version())));
    let report = Report { adapter, wgpu: env!("WGPU_VERSION"), peers: versions, absent, results: rows };
    report.lines().iter().for_each(|line| println!("{line}"));
    match &arguments.json {
        Some(path) => report.save(path),
        None => Ok(()),
    }
}
