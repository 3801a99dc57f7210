//! The one error of the library. Every message names the thing, what was expected, what came, and the way out.

use std::path::{Path, PathBuf};

/// Everything that can go wrong in Impasto.
///
/// Panics are bugs of ours; whatever a user, a file or a driver can cause comes back as one of these.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No adapter, or none that matches what was asked for.
    #[error("no GPU adapter {wanted}; {help}")]
    NoAdapter {
        /// What was looked for, as a phrase: "was found", "matches `radeon`".
        wanted: String,
        /// How to get one.
        help: String,
    },
    /// An argument of an operation has the wrong shape, type or value.
    #[error("{op}: {argument} must be {expected}, got {got}")]
    Argument {
        /// The operation or command that refuses.
        op: String,
        /// The argument, by its name in the API or on the command line.
        argument: String,
        /// What it must be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// A file cannot be read or written.
    #[error("cannot {action} {}: {reason}", path.display())]
    File {
        /// "read", "write", "create".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason, and the way out where there is one.
        reason: String,
    },
    /// A file is not the picture it is said to be, or cannot be used as one.
    #[error("{}: {reason}", path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and the way out.
        reason: String,
    },
    /// A weight file is malformed, unsafe, or lacks what the net needs.
    #[error("{}: {reason}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and the way out.
        reason: String,
    },
    /// A plan needs more than the device can give; found before anything was allocated.
    #[error("{what} needs {needed}, the device allows {allowed}; {help}")]
    TooLarge {
        /// The program or tensor.
        what: String,
        /// How much it needs, with its unit.
        needed: String,
        /// How much there is, with its unit.
        allowed: String,
        /// The way out.
        help: String,
    },
    /// The driver had no memory left.
    #[error("the device is out of memory ({0}); choose a smaller --size or close other programs that use the GPU")]
    OutOfMemory(String),
    /// The device was lost: reset, unplugged, or stopped by a watchdog.
    #[error("the GPU device was lost ({0}); run again, and if it happens again choose a smaller --size")]
    DeviceLost(String),
    /// wgpu or the driver refused a command: a bug of Impasto or of the driver.
    #[error("the GPU driver refused a command (please report this): {0}")]
    Device(String),
    /// A shader does not parse, or lacks a constant, an entry point or a binding by that name.
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
        /// The first dispatch and tensor that hold such a value.
        place: String,
        /// The way out.
        help: String,
    },
    /// The user stopped the work; what was reached has been kept.
    #[error("interrupted{0}")]
    Interrupted(String),
}

/// The library's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An argument that an operation refuses.
    pub fn argument(
        op: impl Into<String>,
        argument: impl Into<String>,
        expected: impl Into<String>,
        got: impl std::fmt::Display,
    ) -> Self {
        Error::Argument { op: op.into(), argument: argument.into(), expected: expected.into(), got: got.to_string() }
    }

    /// A failed file operation, with the system's words.
    pub fn file(action: &'static str, path: &Path, reason: impl std::fmt::Display) -> Self {
        Error::File { action, path: path.into(), reason: reason.to_string() }
    }

    /// A file that is no usable picture.
    pub fn picture(path: &Path, reason: impl std::fmt::Display) -> Self {
        Error::Picture { path: path.into(), reason: reason.to_string() }
    }

    /// A file that is no usable set of weights.
    pub fn weights(path: &Path, reason: impl std::fmt::Display) -> Self {
        Error::Weights { path: path.into(), reason: reason.to_string() }
    }
}
