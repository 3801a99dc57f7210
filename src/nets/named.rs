//! The tensors of a weight file by the names that a net gives them.

use std::cell::RefCell;
use std::collections::HashSet;

use crate::io::{HostTensor, WeightFile};
use crate::{Error, Result};

/// What PyTorch and training scripts put before every name when they wrap a net: `DataParallel`, `torch.compile`,
/// Lightning, and modules that hold the net as `model` or `net`.
const PREFIXES: [&str; 4] = ["module.", "_orig_mod.", "model.", "net."];

/// Last parts of the names of counters that training and profiling leave in a file. They are no weights.
const COUNTERS: [&str; 4] = ["num_batches_tracked", "n_averaged", "total_ops", "total_params"];

/// The tensors of a file under the names that a net gives them: without the wrappers' prefixes that all of them share.
/// It records which tensors the net reads, because a net with further layers is another net.
pub(super) struct Named<'f> {
    file: &'f WeightFile,
    prefix: String,
    /// The remedy for a file that is not the expected net.
    help: &'static str,
    read: RefCell<HashSet<String>>,
}

fn is_counter(name: &str) -> bool {
    COUNTERS.contains(&name.rsplit('.').next().unwrap_or(name))
}

impl<'f> Named<'f> {
    pub fn new(file: &'f WeightFile, help: &'static str) -> Self {
        let mut names: Vec<&str> =
            file.tensors.iter().map(|(name, _)| name.as_str()).filter(|name| !is_counter(name)).collect();
        let mut prefix = String::new();
        while let Some(shared) =
            PREFIXES.iter().find(|prefix| !names.is_empty() && names.iter().all(|name| name.starts_with(**prefix)))
        {
            prefix.push_str(shared);
            names.iter_mut().for_each(|name| *name = &name[shared.len()..]);
        }
        Named { file, prefix, help, read: RefCell::default() }
    }

    /// An error about the file.
    pub fn wrong(&self, reason: impl Into<String>) -> Error {
        Error::weights(&self.file.path, reason.into()).with_help(self.help)
    }

    /// All tensors with their names in the net.
    pub fn all(&self) -> impl Iterator<Item = (&'f str, &'f HostTensor)> {
        self.file.tensors.iter().filter_map(|(name, tensor)| Some((name.strip_prefix(&self.prefix)?, tensor)))
    }

    /// The tensor, without recording that it is read.
    pub fn peek(&self, name: &str) -> Option<&'f HostTensor> {
        self.file.get(&format!("{}{name}", self.prefix))
    }

    /// The tensor, which the net reads.
    ///
    /// # Errors
    /// A file without it.
    pub fn read(&self, name: &str) -> Result<&'f HostTensor> {
        let found = self.peek(name).ok_or_else(|| self.wrong(format!("lacks the tensor {}{name}", self.prefix)))?;
        self.read.borrow_mut().insert(name.into());
        Ok(found)
    }

    /// Refuses a file with tensors that the net has not read: without them it would compute something else. Counters
    /// are ignored, and names for which `is_extra` holds.
    pub fn check_all_read(&self, net: &str, is_extra: impl Fn(&str) -> bool) -> Result<()> {
        let read = self.read.borrow();
        let unread = |name: &&str| !read.contains(*name) && !is_counter(name) && !is_extra(name);
        let names: Vec<_> = self.all().map(|(name, _)| name).filter(unread).collect();
        let Some(first) = names.first() else { return Ok(()) };
        let others = match names.len() - 1 {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        let reason = format!("{net} has no place for the tensor {}{first}{others}: this is another net", self.prefix);
        Err(self.wrong(reason))
    }
}
