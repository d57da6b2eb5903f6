//! `[augment]`: how training images are changed at random. Each is cropped, resized to the phase's
//! size, and flipped in half of the cases.

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
    /// Its upper bound, up to 1.
    pub max_scale: f64,
    /// Bounds of the crop's width / height.
    pub ratio: [f64; 2],
    /// Which images are mirrored left to right.
    pub flip: Flip,
}

/// Which images are mirrored left to right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flip {
    /// None.
    None,
    /// Each with probability ½ in each epoch, the original's.
    #[default]
    Random,
    /// Each in every other epoch, so that two epochs show both sides of it. A coin decides which
    /// epochs (Jordan, *94% on CIFAR-10 in 3.29 Seconds on a Single GPU*, 2024, section 3.6).
    Alternating,
}

impl Default for Augment {
    fn default() -> Self {
        let (min_scale, max_scale, ratio) = (DEFAULT_MIN_SCALE, 1.0, [3.0 / 4.0, 4.0 / 3.0]);
        Augment { min_scale, max_scale, ratio, flip: Flip::Random }
    }
}

impl Augment {
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let is_share = self.min_scale > 0.0 && self.min_scale <= 1.0;
        ensure(is_share, "augment.min_scale", "a share of the area above 0 and up to 1", self.min_scale)?;
        let is_share = self.max_scale > 0.0 && self.max_scale <= 1.0;
        ensure(is_share, "augment.max_scale", "a share of the area above 0 and up to 1", self.max_scale)?;
        let [low, high] = self.ratio;
        let are_bounds = 0.0 < low && low <= high && high.is_finite();
        ensure(are_bounds, "augment.ratio", "two numbers above 0, the lower first", format!("{:?}", self.ratio))
    }
}
