//! How long the logs of a run were, so that a continued run can continue them right there.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The length, in bytes, of each log that a checkpoint vouches for, by the name of its file in the
/// run's folder.
///
/// A run that was killed has written lines after its last checkpoint. A run that continues from
/// that checkpoint cuts every log back to its mark first, so that no line comes twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Marks(BTreeMap<String, u64>);

impl Marks {
    /// Notes a file's length.
    pub fn set(&mut self, name: impl Into<String>, bytes: u64) {
        self.0.insert(name.into(), bytes);
    }

    /// The length of a file; `None` if the checkpoint does not vouch for it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<u64> {
        self.0.get(name).copied()
    }

    /// All names and lengths, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, &bytes)| (name.as_str(), bytes))
    }
}

/// How a log starts.
#[derive(Clone, Copy, Debug)]
pub enum Opening<'a> {
    /// Empty: a file that is there is emptied.
    New,
    /// With what was written up to the mark. A file without a mark, because its log had failed
    /// before, continues at its end. A file that is gone, or shorter than its mark, is taken as it
    /// is: hours of training are worth more than a log.
    Continue(&'a Marks),
}
