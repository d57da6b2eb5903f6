//! `[reached]`: what a recipe is known to reach.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A published result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reached {
    /// What was reached, such as `93.018 % top-5`.
    pub accuracy: String,
    /// In which time, on what.
    pub time: String,
    /// Who says so.
    pub source: String,
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.accuracy, self.time)
    }
}
