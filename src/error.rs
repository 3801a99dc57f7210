//! The library's error type. Messages name the object, the expected and the actual value, and a remedy.

use std::path::{Path, PathBuf};

/// The cause of an error: another error, or a text.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Every error of Impasto.
///
/// Every failure that a user, a file or a driver can cause is one of these. A panic is a bug.
///
/// `Display` gives one complete message for a person: the object, the reason and the remedy. The reason contains the
/// message of [`source`](std::error::Error::source), so a report that prints the error does not print its sources too.
/// A program can inspect the source: `source()` of an [`Error::File`] can be downcast to [`std::io::Error`] if the
/// system refused the file.
///
/// No message names a command or an option. With [`Error::with_help`], a program replaces the remedy with its own.
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
        /// Why the chosen adapter cannot be opened.
        source: Option<Cause>,
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
    #[error("cannot {action} {}: {source}{}", path.display(), after(help))]
    File {
        /// A verb: "read", "write", "create".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason: the system's error if there is one.
        source: Cause,
        /// The remedy.
        help: Option<String>,
    },
    /// A file is not a valid picture, or cannot be used as one.
    #[error("{}: {source}{}", path.display(), after(help))]
    Picture {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Cause,
        /// The remedy.
        help: Option<String>,
    },
    /// A weight file is malformed, unsafe, or incomplete for the net.
    #[error("{}: {source}{}", path.display(), after(help))]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Cause,
        /// The remedy.
        help: Option<String>,
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
    OutOfMemory(#[source] Cause),
    /// The device was lost: reset, unplugged, or stopped by a watchdog.
    #[error("the GPU device was lost ({0}); run again, and if it happens again work on a smaller picture")]
    DeviceLost(#[source] Cause),
    /// wgpu or the driver refused a command: a bug of Impasto or of the driver.
    #[error("the GPU driver refused a command (please report this): {0}")]
    Device(#[source] Cause),
    /// A shader does not parse, or has no constant, entry point or binding of that name.
    #[error("shader {shader}: {source}")]
    Shader {
        /// File name under `shaders/` and entry point.
        shader: String,
        /// What is wrong.
        source: Cause,
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
    /// The adapter gives wrong results.
    #[error("{adapter} {fault}; {help}")]
    Adapter {
        /// The adapter's name.
        adapter: String,
        /// What it does wrong, as a phrase: "painted every pixel alike".
        fault: String,
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

    /// An [`Error::File`] without a remedy. `source` is an error or a text.
    pub fn file(action: &'static str, path: &Path, source: impl Into<Cause>) -> Self {
        Error::File { action, path: path.into(), source: source.into(), help: None }
    }

    /// An [`Error::Picture`] without a remedy. `source` is an error or a text.
    pub fn picture(path: &Path, source: impl Into<Cause>) -> Self {
        Error::Picture { path: path.into(), source: source.into(), help: None }
    }

    /// An [`Error::Weights`] without a remedy. `source` is an error or a text.
    pub fn weights(path: &Path, source: impl Into<Cause>) -> Self {
        Error::Weights { path: path.into(), source: source.into(), help: None }
    }

    /// The error with this remedy instead of its own. A variant without the field `help` is returned as it is.
    #[must_use]
    pub fn with_help(mut self, remedy: impl Into<String>) -> Self {
        match &mut self {
            Error::File { help, .. } | Error::Picture { help, .. } | Error::Weights { help, .. } => {
                *help = Some(remedy.into());
            }
            Error::NoAdapter { help, .. }
            | Error::TooLarge { help, .. }
            | Error::NonFinite { help, .. }
            | Error::Adapter { help, .. } => {
                *help = remedy.into();
            }
            _ => {}
        }
        self
    }
}

/// The end of a message: the remedy, if there is one.
fn after(help: &Option<String>) -> String {
    help.as_ref().map(|help| format!("; {help}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::io;

    use super::*;

    #[test]
    fn a_message_is_complete_and_its_source_is_the_cause() {
        let error = Error::file("read", Path::new("a.png"), io::Error::from(io::ErrorKind::TimedOut));
        let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        assert_eq!(source.map(io::Error::kind), Some(io::ErrorKind::TimedOut));
        assert_eq!(error.to_string(), "cannot read a.png: timed out");
        assert_eq!(error.with_help("try again").to_string(), "cannot read a.png: timed out; try again");

        let error = Error::weights(Path::new("net.pth"), "no tensors").with_help("use another");
        assert_eq!(error.to_string(), "net.pth: no tensors; use another");
        assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("no tensors"));
        let lost = Error::DeviceLost("unplugged".into());
        assert!(lost.to_string().contains("(unplugged)") && lost.source().is_some(), "{lost}");
    }

    #[test]
    fn a_remedy_in_other_words_replaces_the_first() {
        let needs = |help: &str| Error::TooLarge {
            what: "a tensor".into(),
            needed: "2 MiB".into(),
            allowed: "1 MiB".into(),
            largest: Some(9),
            help: help.into(),
        };
        assert_eq!(needs("a").with_help("b").to_string(), needs("b").to_string());
        let argument = || Error::argument("pool", "x", "even", 3);
        assert_eq!(argument().with_help("b").to_string(), argument().to_string());
    }
}
