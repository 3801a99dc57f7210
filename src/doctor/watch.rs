//! Work with a time limit.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::{Error, Result};

/// The result of `work`, or [`Error::DeviceLost`] if it takes longer than `limit` or panics. Work that does not end
/// keeps its thread, because a driver cannot be stopped.
pub fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let (sender, receiver) = mpsc::channel();
    let spawned = thread::Builder::new().name("doctor".into()).spawn(move || {
        // Nobody listens any more after a timeout.
        let _ = sender.send(work());
    });
    spawned.map_err(|error| Error::Device(error.into()))?;
    match receiver.recv_timeout(limit) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => {
            Err(Error::DeviceLost(format!("it did not finish within {} s", limit.as_secs()).into()))
        }
        Err(RecvTimeoutError::Disconnected) => Err(Error::DeviceLost("the driver's or wgpu's code panicked".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_hangs_or_panics_is_an_error() {
        let long = Duration::from_secs(600);
        assert_eq!(within(long, || Ok(7)).unwrap(), 7);
        let (_sender, never) = mpsc::channel::<()>();
        let hung = within(Duration::from_millis(1), move || Ok(never.recv().is_ok()));
        assert!(hung.unwrap_err().to_string().contains("did not finish within"));
        let panicked = within::<()>(long, || panic!("as a driver would"));
        assert!(matches!(panicked, Err(Error::DeviceLost(_))));
    }
}
