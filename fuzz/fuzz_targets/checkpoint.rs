//! Checkpoints of a training: a header and a file of tensors that fits it, or does not.

#![no_main]

use std::fs;
use std::path::Path;

use impasto::train::Checkpoint;
use sha2::{Digest, Sha256};

libfuzzer_sys::fuzz_target!(|parts: (&str, &[u8])| {
    let (header, tensors) = parts;
    // Memory, where the system has a disk in it.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let step = folder.path().join("step-00000001");
    fs::create_dir(&step).unwrap();
    // A header cannot guess the digest of the tensors, so it may name it `DIGEST`.
    let digest: String = Sha256::digest(tensors).iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(step.join("header.json"), header.replace("DIGEST", &digest)).unwrap();
    fs::write(step.join("part-000.safetensors"), tensors).unwrap();
    let _ = Checkpoint::latest(folder.path());
});
