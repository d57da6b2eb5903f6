//! `[made_for]`: the machine that a recipe's batches and rates suit.

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, ensure};

/// How many devices a recipe was made for: its global batch is `bs` times as many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MadeFor {
    /// The number of devices.
    pub devices: usize,
    /// What they were.
    pub device: Option<String>,
}

impl MadeFor {
    pub(crate) fn check(&self) -> Result<(), Fault> {
        ensure(self.devices > 0, "made_for.devices", "a number from 1 on", self.devices)
    }
}
