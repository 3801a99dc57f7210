//! Tests of the `impasto` command, run as a process on the machine's adapter: every mistake gives one clear line, an
//! exit code and no new file; Ctrl-C keeps the picture; every option has its effect.
//!
//! Each test works in a temporary folder with its own home directory, so that the user's files are neither read nor
//! written.

#[path = "cli/adain.rs"]
mod adain;
#[path = "cli/bench.rs"]
mod bench;
#[path = "cli/body.rs"]
mod body;
#[path = "cli/commands.rs"]
mod commands;
#[path = "cli/compare.rs"]
mod compare;
#[path = "cli/doctor.rs"]
mod doctor;
#[path = "cli/enlarge.rs"]
mod enlarge;
#[path = "cli/eval.rs"]
mod eval;
#[path = "cli/files.rs"]
mod files;
#[path = "cli/gpu_day.rs"]
mod gpu_day;
#[path = "cli/masks.rs"]
mod masks;
#[path = "cli/model.rs"]
mod model;
#[path = "cli/outputs.rs"]
mod outputs;
#[path = "cli/refusals.rs"]
mod refusals;
#[path = "cli/studio.rs"]
mod studio;
#[path = "cli/stylize.rs"]
mod stylize;
#[path = "cli/train.rs"]
mod train;
#[path = "cli/transparency.rs"]
mod transparency;
#[path = "cli/tune.rs"]
mod tune;
#[path = "cli/weights.rs"]
mod weights;
#[path = "cli/windows.rs"]
mod windows;
