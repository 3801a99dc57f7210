//! The `impasto` command.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("impasto: {error}");
            // 128 + SIGINT, as a shell reports a process that Ctrl-C ended.
            ExitCode::from(if matches!(error, impasto::Error::Interrupted(_)) { 130 } else { 1 })
        }
    }
}
