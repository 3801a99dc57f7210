//! The handling of Ctrl-C.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit status after Ctrl-C: 128 + SIGINT, as shells report it.
pub const STATUS: u8 = 130;

/// A flag that the first Ctrl-C sets. The second Ctrl-C ends the process at once.
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

/// Makes Ctrl-C end the process at once with a message: for commands that leave no unfinished files.
pub fn end_at_once() {
    handle(|| {
        eprintln!("impasto: interrupted; results that were not written yet are lost");
        exit_at_once();
    });
}

/// Ends the process without running exit handlers: those of a driver that is still loading may crash.
fn exit_at_once() -> ! {
    signal_hook::low_level::exit(STATUS.into())
}

fn handle(handler: impl FnMut() + Send + 'static) {
    if let Err(error) = ctrlc::set_handler(handler) {
        tracing::debug!(%error, "no handler for Ctrl-C: it ends the process without a message");
    }
}
