//! The library's error type. Messages name the object, the expected and the actual value, and a remedy.

use std::path::{Path, PathBuf};

/// Every error of Impasto.
///
/// Whatever a user, a file or a driver can cause is one of these. A panic is a bug.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no adapter, or none matches.
    #[error("no GPU adapter {wanted}; {help}")]
    NoAdapter {
        /// What was wanted, as a phrase: "was found", "matches `radeon`".
        wanted: String,
        /// How to get an adapter.
        help: String,
    },
    /// An argument of an operation has the wrong shape, type or value.
    #[error("{op}: {argument} must be {expected}, got {got}")]
    Argument {
        /// The operation or command.
        op: String,
        /// The name of the argument in the API or on the command line.
        argument: String,
        /// What it must be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// A file cannot be read or written.
    #[error("cannot {action} {}: {reason}", path.display())]
    File {
        /// A verb: "read", "write", "create".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason, and a remedy if there is one.
        reason: String,
    },
    /// A file is not a valid picture, or cannot be used as one.
    #[error("{}: {reason}", path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and a remedy.
        reason: String,
    },
    /// A weight file is malformed, unsafe, or incomplete for the net.
    #[error("{}: {reason}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and a remedy.
        reason: String,
    },
    /// A plan exceeds the limits of the device. Found before anything is allocated.
    #[error("{what} needs {needed}, the device allows {allowed}; {help}")]
    TooLarge {
        /// The program or tensor.
        what: String,
        /// The need, with its unit.
        needed: String,
        /// The limit, with its unit.
        allowed: String,
        /// Long side in pixels of the largest picture that fits, if it is known.
        largest: Option<usize>,
        /// The remedy.
        help: String,
    },
    /// The driver is out of memory.
    #[error("the device is out of memory ({0}); work on a smaller picture or close other programs that use the GPU")]
    OutOfMemory(String),
    /// The device was lost: reset, unplugged, or stopped by a watchdog.
    #[error("the GPU device was lost ({0}); run again, and if it happens again work on a smaller picture")]
    DeviceLost(String),
    /// wgpu or the driver refused a command: a bug of Impasto or of the driver.
    #[error("the GPU driver refused a command (please report this): {0}")]
    Device(String),
    /// A shader does not parse, or has no constant, entry point or binding of that name.
    #[error("shader {shader}: {reason}")]
    Shader {
        /// File name under `shaders/`.
        shader: String,
        /// What is wrong.
        reason: String,
    },
    /// A computation produced NaN or infinity.
    #[error("{what} is not finite: first at {place}; {help}")]
    NonFinite {
        /// What was computed.
        what: String,
        /// The first dispatch and tensor with such a value.
        place: String,
        /// The remedy.
        help: String,
    },
    /// The user interrupted the work. Results so far have been kept.
    #[error("interrupted{0}")]
    Interrupted(String),
}

/// `Result` with the library's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An [`Error::Argument`].
    pub fn argument(
        op: impl Into<String>,
        argument: impl Into<String>,
        expected: impl Into<String>,
        got: impl std::fmt::Display,
    ) -> Self {
        Error::Argument { op: op.into(), argument: argument.into(), expected: expected.into(), got: got.to_string() }
    }

    /// An [`Error::File`] with the system's reason.
    pub fn file(action: &'static str, path: &Path, reason: impl std::fmt::Display) -> Self {
        Error::File { action, path: path.into(), reason: reason.to_string() }
    }

    /// An [`Error::Picture`].
    pub fn picture(path: &Path, reason: impl std::fmt::Display) -> Self {
        Error::Picture { path: path.into(), reason: reason.to_string() }
    }

    /// An [`Error::Weights`].
    pub fn weights(path: &Path, reason: impl std::fmt::Display) -> Self {
        Error::Weights { path: path.into(), reason: reason.to_string() }
    }
}
