//! `[augment]`: how training images are changed at random. Each is cropped, resized to the phase's
//! size and flipped with probability ½.

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, ensure};

/// Lower bound of the random crop's share of the area where nobody says otherwise, the original's.
pub const DEFAULT_MIN_SCALE: f64 = 0.08;

/// Augmentation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Lower bound of the random crop's share of the image's area, above 0 and up to 1, in phases
    /// without 'min_scale'.
    pub min_scale: f64,
}

impl Default for Augment {
    fn default() -> Self {
        Augment { min_scale: DEFAULT_MIN_SCALE }
    }
}

impl Augment {
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let is_share = self.min_scale > 0.0 && self.min_scale <= 1.0;
        ensure(is_share, "augment.min_scale", "a share of the area above 0 and up to 1", self.min_scale)
    }
}
