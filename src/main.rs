//! The `impasto` command.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Mesa's device-select layer prints a warning on stderr if there is no Wayland display. Impasto opens no window and
    // orders the adapters itself, so it does not need this layer.
    // SAFETY: no other thread has been started yet.
    unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    // A decoder's panic becomes an error that names the picture.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !impasto::internal::is_decoding() {
            report(panic);
        }
    }));
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("impasto: {error}");
            ExitCode::from(if matches!(error, impasto::Error::Interrupted(_)) { cli::interrupt::STATUS } else { 1 })
        }
    }
}
