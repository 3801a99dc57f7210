//! How a call ended: the status, and a text for each thread. No panic crosses the border to C.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, MutexGuard};

use impasto::Error;

/// How a call ended. `impasto_last_error` has the details in words. Later versions may add further values.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImpastoStatus {
    /// The call succeeded.
    Ok = 0,
    /// An argument is NULL, out of range or does not fit the others. Nothing was changed.
    InvalidArgument = 1,
    /// There is no GPU adapter, or none matches, or it cannot be opened.
    NoAdapter = 2,
    /// A file cannot be read.
    File = 3,
    /// A file is not a picture that can be read.
    Picture = 4,
    /// A file is not a net or a style that can be used, or the net is not part of this build.
    Weights = 5,
    /// The picture needs more than the memory or the limits of the device allow.
    TooLarge = 6,
    /// The driver is out of memory.
    OutOfMemory = 7,
    /// The device was reset, unplugged or stopped by a watchdog. Free the models and the context, and open a new one.
    DeviceLost = 8,
    /// The driver refused a command or a shader: a bug of Impasto or of the driver.
    Device = 9,
    /// The result has values that are not finite.
    NotFinite = 10,
    /// The adapter gives wrong results.
    Adapter = 11,
    /// A bug of Impasto. A handle that was in use refuses all further calls with this status; free it.
    Internal = 12,
}

/// Why a call failed.
#[derive(Debug)]
pub struct Failure {
    pub status: ImpastoStatus,
    pub message: String,
}

impl Failure {
    pub fn argument(message: impl Into<String>) -> Self {
        Failure { status: ImpastoStatus::InvalidArgument, message: message.into() }
    }

    fn internal(message: impl Into<String>) -> Self {
        Failure { status: ImpastoStatus::Internal, message: message.into() }
    }

    pub fn null(argument: &str) -> Self {
        Self::argument(format!("{argument} must not be NULL"))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::Argument { .. } => ImpastoStatus::InvalidArgument,
            Error::NoAdapter { .. } => ImpastoStatus::NoAdapter,
            Error::File { .. } => ImpastoStatus::File,
            Error::Picture { .. } => ImpastoStatus::Picture,
            Error::Weights { .. } => ImpastoStatus::Weights,
            Error::TooLarge { .. } => ImpastoStatus::TooLarge,
            Error::OutOfMemory(_) => ImpastoStatus::OutOfMemory,
            Error::DeviceLost(_) => ImpastoStatus::DeviceLost,
            Error::Device(_) | Error::Shader { .. } => ImpastoStatus::Device,
            Error::NonFinite { .. } => ImpastoStatus::NotFinite,
            Error::Adapter { .. } => ImpastoStatus::Adapter,
            _ => ImpastoStatus::Internal,
        };
        Failure { status, message: error.to_string() }
    }
}

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

/// What a panic says.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic")
}

/// Runs the body of a function of the interface: turns an error or a panic into a status, and keeps its text.
pub fn guard(work: impl FnOnce() -> Result<(), Failure>) -> ImpastoStatus {
    let outcome = panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        Err(Failure::internal(format!("a bug of Impasto, please report it: {}", words(&*panic))))
    });
    let (status, message) = match outcome {
        Ok(()) => (ImpastoStatus::Ok, String::new()),
        Err(Failure { status, message }) => (status, message.replace('\0', "\u{fffd}")),
    };
    // A thread that is ending has no text any more.
    let _ = LAST.try_with(|last| *last.borrow_mut() = CString::new(message).unwrap_or_default());
    status
}

/// Why the last call on this thread that returned a status failed: a sentence in English, UTF-8, that names the cause
/// and the way out. It is empty after a call that succeeded, and never NULL. The text is valid until the next such call
/// on this thread; copy it if you need it longer.
#[unsafe(no_mangle)]
pub extern "C" fn impasto_last_error() -> *const c_char {
    const NOTHING: &CStr = c"";
    LAST.try_with(|last| last.borrow().as_ptr()).unwrap_or(NOTHING.as_ptr())
}

/// The contents of a handle, for one thread at a time.
///
/// # Errors
/// A panic while the handle was in use, after which its contents may be half changed.
pub fn lock<'a, T>(handle: &'a Mutex<T>, name: &str) -> Result<MutexGuard<'a, T>, Failure> {
    handle.lock().map_err(|_| Failure::internal(format!("the {name} is unusable since a call ended in a bug; free it")))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use super::*;

    fn last() -> String {
        // SAFETY: the text is valid until the next call of `guard` on this thread.
        unsafe { CStr::from_ptr(impasto_last_error()) }.to_string_lossy().into_owned()
    }

    #[test]
    fn a_panic_becomes_a_status_and_its_handle_refuses_further_calls() {
        let handle = Mutex::new(1);
        let work = |panics: bool| {
            guard(|| {
                let mut value = lock(&handle, "model")?;
                *value += 1;
                assert!(!panics, "seven is not even");
                Ok(())
            })
        };
        assert_eq!((work(false), last().as_str()), (ImpastoStatus::Ok, ""));
        assert_eq!(work(true), ImpastoStatus::Internal);
        assert!(last().contains("seven is not even"), "{}", last());
        assert_eq!(work(false), ImpastoStatus::Internal);
        assert!(last().contains("free it"), "{}", last());
    }

    #[test]
    fn texts_belong_to_their_thread() {
        guard(|| Err(Failure::argument("mine\0")));
        let other = std::thread::spawn(|| {
            guard(|| Err(Failure::null("pixels")));
            last()
        });
        assert_eq!(other.join().unwrap(), "pixels must not be NULL");
        assert_eq!(last(), "mine\u{fffd}");
    }

    #[test]
    fn every_error_has_its_status() {
        let path = Path::new("a");
        let text = String::new;
        for (error, status) in [
            (Error::argument("a", "b", "c", "d"), ImpastoStatus::InvalidArgument),
            (Error::NoAdapter { wanted: text(), help: text(), source: None }, ImpastoStatus::NoAdapter),
            (Error::file("read", path, io::Error::from(io::ErrorKind::NotFound)), ImpastoStatus::File),
            (Error::picture(path, "no"), ImpastoStatus::Picture),
            (Error::weights(path, "no"), ImpastoStatus::Weights),
            (
                Error::TooLarge { what: text(), needed: text(), allowed: text(), largest: None, help: text() },
                ImpastoStatus::TooLarge,
            ),
            (Error::OutOfMemory("no".into()), ImpastoStatus::OutOfMemory),
            (Error::DeviceLost("no".into()), ImpastoStatus::DeviceLost),
            (Error::Device("no".into()), ImpastoStatus::Device),
            (Error::Shader { shader: text(), source: "no".into() }, ImpastoStatus::Device),
            (Error::NonFinite { what: text(), place: text(), help: text() }, ImpastoStatus::NotFinite),
            (Error::Adapter { adapter: text(), fault: text(), help: text() }, ImpastoStatus::Adapter),
        ] {
            let message = error.to_string();
            let failure = Failure::from(error);
            assert_eq!((failure.status, failure.message), (status, message));
        }
    }
}
