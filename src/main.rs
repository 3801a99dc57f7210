//! The `impasto` command.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Mesa's device-select layer looks for a Wayland display and complains on stderr where there is none. No window is ever
    // opened here, and adapters are put in order by `impasto` itself.
    // SAFETY: no other thread has been started yet.
    unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("impasto: {error}");
            ExitCode::from(if matches!(error, impasto::Error::Interrupted(_)) { cli::interrupt::STATUS } else { 1 })
        }
    }
}
