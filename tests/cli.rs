//! Proves what a user of the `impasto` command sees, by running the command itself on whatever adapter the machine has:
//! that every mistake is answered by one clear line, an exit code, and no file that was not there before; that Ctrl-C
//! keeps the picture; and that every option does what it says.
//!
//! Each test works in a temporary folder with a home of its own, so that nothing of the user's is read or written.

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
#[path = "cli/eval.rs"]
mod eval;
#[path = "cli/files.rs"]
mod files;
#[path = "cli/model.rs"]
mod model;
#[path = "cli/refusals.rs"]
mod refusals;
#[path = "cli/studio.rs"]
mod studio;
#[path = "cli/stylize.rs"]
mod stylize;
#[path = "cli/train.rs"]
mod train;
#[path = "cli/tune.rs"]
mod tune;
#[path = "cli/weights.rs"]
mod weights;
