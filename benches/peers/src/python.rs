//! Peers in Python: one process each, which answers requests in JSON, one per line (peers.py).

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};
use impasto::io::WeightFile;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::peer::{Outputs, Peer, Ready};
use crate::works::{Material, Work};

/// Names of the peers in peers.py.
pub const PEERS: [&str; 5] = ["torch", "torch-f16", "onnxruntime", "ncnn", "ncnn-f16"];

pub struct Python {
    name: &'static str,
    version: String,
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    folder: PathBuf,
}

/// An answer from peers.py.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    version: String,
    seconds: f64,
    skipped: Option<String>,
    failed: Option<String>,
}

/// A started peer, or the reason why it is not available.
pub enum Started {
    Peer(Box<Python>),
    Skipped(String),
}

impl Python {
    /// Starts `python script name` for the adapter called `adapter`.
    pub fn start(python: &str, script: &Path, name: &'static str, adapter: &str, folder: &Path) -> Result<Started> {
        let log = folder.join(format!("{name}.log"));
        let log = std::fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let process = Command::new(python)
            .args([script.as_os_str(), name.as_ref(), adapter.as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn();
        let mut process = match process {
            Ok(process) => process,
            Err(error) => return Ok(Started::Skipped(format!("{python} cannot be started: {error}"))),
        };
        let (Some(requests), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            bail!("{python} was started without pipes");
        };
        let folder = folder.to_path_buf();
        let (answers, version) = (BufReader::new(answers), String::new());
        let mut peer = Python { name, version, process, requests, answers, folder };
        Ok(match peer.answer() {
            Ok(Answer { skipped: Some(reason), .. }) => Started::Skipped(reason),
            Ok(answer) => {
                peer.version = answer.version;
                Started::Peer(Box::new(peer))
            }
            Err(error) => Started::Skipped(format!("{error:#}")),
        })
    }

    fn answer(&mut self) -> Result<Answer> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            let status = self.process.wait()?;
            let log = std::fs::read_to_string(self.folder.join(format!("{}.log", self.name))).unwrap_or_default();
            let last = log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
            bail!("its process ended ({status}): {last}");
        }
        let answer: Answer = serde_json::from_str(&line).with_context(|| format!("it answered {line:?}"))?;
        match answer.failed {
            Some(reason) => Err(anyhow!(reason)),
            None => Ok(answer),
        }
    }

    fn ask(&mut self, request: Value) -> Result<Answer> {
        // If the process has ended, reading its answer reports the reason.
        let _ = writeln!(self.requests, "{request}").and_then(|()| self.requests.flush());
        self.answer()
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Peer for Python {
    fn name(&self) -> String {
        self.name.into()
    }

    fn version(&self) -> String {
        self.version.clone()
    }

    fn is_half(&self) -> bool {
        self.name.ends_with("-f16")
    }

    fn prepare(&mut self, work: Work, material: &Material) -> Result<Ready> {
        let path = self.folder.join(format!("{}-{}.safetensors", work.kind.key(), work.size));
        if !path.exists() {
            material.save(&path)?;
        }
        let outputs = self.folder.join(format!("{}.safetensors", self.name));
        let answer = self.ask(json!({
            "do": "prepare", "work": work.kind.key(), "size": work.size, "material": path, "outputs": outputs,
        }))?;
        if let Some(reason) = answer.skipped {
            return Ok(Ready::Skipped(reason));
        }
        let file = WeightFile::load(&outputs)?;
        let outputs: Outputs = file.tensors.into_iter().map(|(name, tensor)| (name, tensor.data)).collect();
        Ok(Ready::Outputs(outputs))
    }

    fn run(&mut self) -> Result<()> {
        self.time().map(drop)
    }

    /// Measured by the process itself.
    fn time(&mut self) -> Result<f64> {
        Ok(self.ask(json!({ "do": "run" }))?.seconds)
    }

    fn clear(&mut self) {
        // A process that does not answer holds no resources.
        let _ = self.ask(json!({ "do": "clear" }));
    }
}
