//! Ctrl-C.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// 128 + SIGINT, as a shell reports a process that Ctrl-C ended.
pub const STATUS: u8 = 130;

/// Set by Ctrl-C; the second one ends the process at once.
pub fn flag() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = flag.clone();
    handle(move || {
        if set.swap(true, Ordering::Relaxed) {
            exit_at_once();
        }
    });
    flag
}

/// Lets Ctrl-C end the process at once, in a word: for commands whose files are each written when it is done.
pub fn end_at_once() {
    handle(|| {
        eprintln!("impasto: interrupted; what was not written yet is lost");
        exit_at_once();
    });
}

/// Ends the process and runs nothing more: a driver that is just being loaded would not survive its own clean-up.
fn exit_at_once() -> ! {
    signal_hook::low_level::exit(STATUS.into())
}

fn handle(handler: impl FnMut() + Send + 'static) {
    if let Err(error) = ctrlc::set_handler(handler) {
        tracing::debug!(%error, "Ctrl-C ends the process without a word");
    }
}
