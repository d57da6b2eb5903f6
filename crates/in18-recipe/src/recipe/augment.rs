//! `[augment]`: how training images are changed at random. Each is cropped, resized to the phase's
//! size, and flipped in half of the cases. Its colours may change, a part of it may be erased, and
//! two of a batch may be mixed.

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, ensure};

/// Lower bound of the random crop's share of the area where nobody says otherwise, the original's.
pub const DEFAULT_MIN_SCALE: f64 = 0.08;

/// Bounds of α. Shares of a smaller one are 0 or 1, and of a larger one ½, in all batches of a run.
const LEAST_ALPHA: f64 = 0.001;
const MOST_ALPHA: f64 = 1000.0;

/// Factors of colours go up to one more than this.
const MOST_JITTER: f64 = 10.0;

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
    /// Mixup: α of the shares, Beta(α, α), by which a batch's images are blended; 0 switches it off
    /// (Zhang et al., *mixup: Beyond Empirical Risk Minimization*, 2018).
    pub mixup: f64,
    /// Cutmix: α of the shares, Beta(α, α), of images that keep their area; 0 switches it off (Yun
    /// et al., *CutMix*, 2019). With both on, each batch takes one of them by a fair coin.
    pub cutmix: f64,
    /// The probability that a rectangle of an image is painted over, from 0 to 1 (Zhong et al.,
    /// *Random Erasing Data Augmentation*, 2020).
    pub erase: f64,
    /// How far colours change.
    pub jitter: Jitter,
}

/// How far colours change: by factors from 1 − j, or 0 if that is more, to 1 + j. 0 leaves them.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Jitter {
    /// From black.
    pub brightness: f64,
    /// From the image's mean grey.
    pub contrast: f64,
    /// From the grey image.
    pub saturation: f64,
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
        Augment {
            min_scale,
            max_scale,
            ratio,
            flip: Flip::Random,
            mixup: 0.0,
            cutmix: 0.0,
            erase: 0.0,
            jitter: Jitter::default(),
        }
    }
}

impl Augment {
    /// Whether the images of a batch are mixed.
    pub fn mixes(&self) -> bool {
        self.mixing_field().is_some()
    }

    /// What is done to images beside cropping and flipping, in words; `None` if nothing is.
    pub fn describe(&self) -> Option<String> {
        let of = |fields: &[(&str, f64)], between: &str| {
            let on = fields.iter().filter(|(_, value)| *value > 0.0);
            let on: Vec<String> = on.map(|(name, value)| format!("{name} {value}")).collect();
            (!on.is_empty()).then(|| on.join(between))
        };
        let Jitter { brightness, contrast, saturation } = self.jitter;
        let colours = [("brightness", brightness), ("contrast", contrast), ("saturation", saturation)];
        let changes = [
            of(&colours, ", "),
            of(&[("erase", self.erase)], ", "),
            of(&[("mixup", self.mixup), ("cutmix", self.cutmix)], " or "),
        ];
        let changes: Vec<String> = changes.into_iter().flatten().collect();
        (!changes.is_empty()).then(|| changes.join(", "))
    }

    /// The field that mixes the images of a batch.
    pub(crate) fn mixing_field(&self) -> Option<&'static str> {
        let fields = [("augment.mixup", self.mixup), ("augment.cutmix", self.cutmix)];
        fields.into_iter().find(|(_, alpha)| *alpha > 0.0).map(|(field, _)| field)
    }

    pub(crate) fn check(&self) -> Result<(), Fault> {
        let is_share = self.min_scale > 0.0 && self.min_scale <= 1.0;
        ensure(is_share, "augment.min_scale", "a share of the area above 0 and up to 1", self.min_scale)?;
        let is_share = self.max_scale > 0.0 && self.max_scale <= 1.0;
        ensure(is_share, "augment.max_scale", "a share of the area above 0 and up to 1", self.max_scale)?;
        let [low, high] = self.ratio;
        let are_bounds = 0.0 < low && low <= high && high.is_finite();
        ensure(are_bounds, "augment.ratio", "two numbers above 0, the lower first", format!("{:?}", self.ratio))?;
        for (field, alpha) in [("augment.mixup", self.mixup), ("augment.cutmix", self.cutmix)] {
            let is_alpha = alpha == 0.0 || (LEAST_ALPHA..=MOST_ALPHA).contains(&alpha);
            let expected = format!("0 (off), or a number from {LEAST_ALPHA} to {MOST_ALPHA}");
            ensure(is_alpha, field, &expected, alpha)?;
        }
        let is_probability = (0.0..=1.0).contains(&self.erase);
        ensure(is_probability, "augment.erase", "a probability from 0 to 1", self.erase)?;
        let Jitter { brightness, contrast, saturation } = self.jitter;
        for (field, most) in [
            ("augment.jitter.brightness", brightness),
            ("augment.jitter.contrast", contrast),
            ("augment.jitter.saturation", saturation),
        ] {
            let is_amount = (0.0..=MOST_JITTER).contains(&most);
            ensure(is_amount, field, &format!("a number from 0 to {MOST_JITTER}"), most)?;
        }
        Ok(())
    }
}
