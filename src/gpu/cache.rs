//! Where a context keeps compiled pipelines between runs.

use std::fmt::Debug;

use crate::Result;

/// A store of byte strings by name, for [`ContextOptions::cache`](super::ContextOptions::cache). What it loses costs time only:
/// pipelines are compiled again.
///
/// `impasto::UserCache` (feature `cache`) keeps files in the user's cache directory.
pub trait Cache: Debug + Send + Sync {
    /// The bytes last stored as `name`; `None` where there are none or they cannot be read.
    fn load(&self, name: &str) -> Option<Vec<u8>>;

    /// Stores `bytes` as `name`, in place of what was stored before.
    ///
    /// # Errors
    /// The store's own, such as a full disk. A context logs them and goes on.
    fn store(&self, name: &str, bytes: &[u8]) -> Result<()>;
}
