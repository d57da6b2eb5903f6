//! `[evaluate]`: which views of an image validation sees. Training does not depend on any of it.
//!
//! Some fields hold either a word or a value, such as `"training"` or 256.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::fault::{Fault, ensure};
use crate::phases::MAX_SIZE;

/// Validation.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Evaluate {
    /// Test-time augmentation.
    pub tta: Tta,
    /// The side of the images.
    pub size: EvaluationSize,
    /// How much of an image is seen.
    pub crop: CentreCrop,
    /// Whether batches keep the mean aspect ratio of their images. Else the square centre of each
    /// image is seen.
    pub rectangular: Rectangular,
}

/// Test-time augmentation: the views of an image, and how the network's answers become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Tta {
    /// The image alone.
    #[default]
    None,
    /// The image and its mirror image: the mean of their probabilities.
    Flip,
    /// The image and its mirror image: the mean of their logits, as in FFCV.
    FlipLogits,
}

/// The side of validation images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EvaluationSize {
    /// That of the epoch's last training step.
    #[default]
    Training,
    /// So many pixels in every validation.
    Pixels(usize),
}

/// How large a part of the image the centre crop is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum CentreCrop {
    /// The original's: the short side is resized to `int(size * 1.14)` pixels.
    #[default]
    Original,
    /// This share of the short side, which is resized to `floor(size / share)` pixels (timm's
    /// `crop_pct`).
    Share(f64),
}

/// Whether validation batches are rectangular.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rectangular {
    /// Where a phase says 'rect_val'.
    #[default]
    Phases,
    /// Everywhere or nowhere, whatever phases say.
    Always(bool),
}

impl Evaluate {
    pub(crate) fn check(&self) -> Result<(), Fault> {
        if let EvaluationSize::Pixels(size) = self.size {
            ensure((1..=MAX_SIZE).contains(&size), "evaluate.size", EvaluationSize::EXPECTED, size)?;
        }
        if let CentreCrop::Share(share) = self.crop {
            ensure(CentreCrop::takes(share), "evaluate.crop", CentreCrop::EXPECTED, share)?;
        }
        Ok(())
    }
}

impl fmt::Display for Tta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tta::None => "none",
            Tta::Flip => "flip",
            Tta::FlipLogits => "flip-logits",
        })
    }
}

impl EvaluationSize {
    const EXPECTED: &str = "training, or a size from 1 to 65535 pixels";

    /// The size where the last training step has `training` pixels.
    pub fn beside(self, training: usize) -> usize {
        match self {
            EvaluationSize::Training => training,
            EvaluationSize::Pixels(size) => size,
        }
    }
}

impl CentreCrop {
    const EXPECTED: &str = "original, or a share of the short side from 0.1 to 1";

    fn takes(share: f64) -> bool {
        (0.1..=1.0).contains(&share)
    }

    /// The share; `None` for the original's.
    pub fn share(self) -> Option<f64> {
        match self {
            CentreCrop::Original => None,
            CentreCrop::Share(share) => Some(share),
        }
    }
}

impl fmt::Display for CentreCrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CentreCrop::Original => f.write_str("original"),
            CentreCrop::Share(share) => write!(f, "{share}"),
        }
    }
}

impl FromStr for CentreCrop {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let share = || text.parse().ok().filter(|&share| Self::takes(share)).map(CentreCrop::Share);
        let crop = if text == "original" { Some(CentreCrop::Original) } else { share() };
        crop.ok_or_else(|| format!("expected {}", Self::EXPECTED))
    }
}

impl Rectangular {
    /// Whether they are where the phase says `phase`.
    pub fn beside(self, phase: bool) -> bool {
        match self {
            Rectangular::Phases => phase,
            Rectangular::Always(rectangular) => rectangular,
        }
    }
}

impl Serialize for EvaluationSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            EvaluationSize::Training => serializer.serialize_str("training"),
            EvaluationSize::Pixels(size) => serializer.serialize_u64(*size as u64),
        }
    }
}

impl Serialize for CentreCrop {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            CentreCrop::Original => serializer.serialize_str("original"),
            CentreCrop::Share(share) => serializer.serialize_f64(*share),
        }
    }
}

impl Serialize for Rectangular {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Rectangular::Phases => serializer.serialize_str("phases"),
            Rectangular::Always(rectangular) => serializer.serialize_bool(*rectangular),
        }
    }
}

impl<'de> Deserialize<'de> for EvaluationSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let take = |written: Written<'_>| match written {
            Written::Word("training") => Some(EvaluationSize::Training),
            Written::Whole(size) => Some(EvaluationSize::Pixels(size)),
            _ => None,
        };
        deserializer.deserialize_any(WordOrValue { expected: Self::EXPECTED, take })
    }
}

impl<'de> Deserialize<'de> for CentreCrop {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let take = |written: Written<'_>| match written {
            Written::Word("original") => Some(CentreCrop::Original),
            Written::Whole(share) => Some(CentreCrop::Share(share as f64)),
            Written::Number(share) => Some(CentreCrop::Share(share)),
            _ => None,
        };
        deserializer.deserialize_any(WordOrValue { expected: Self::EXPECTED, take })
    }
}

impl<'de> Deserialize<'de> for Rectangular {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let take = |written: Written<'_>| match written {
            Written::Word("phases") => Some(Rectangular::Phases),
            Written::Flag(rectangular) => Some(Rectangular::Always(rectangular)),
            _ => None,
        };
        deserializer.deserialize_any(WordOrValue { expected: "phases, true or false", take })
    }
}

/// What may stand in a field that holds a word or a value.
enum Written<'a> {
    Word(&'a str),
    Flag(bool),
    Whole(usize),
    Number(f64),
}

/// Reads such a field. `take` makes the field's value, or refuses what is written.
struct WordOrValue<T> {
    expected: &'static str,
    take: fn(Written<'_>) -> Option<T>,
}

impl<T> WordOrValue<T> {
    fn value<E: Error>(&self, written: Written<'_>, unexpected: Unexpected<'_>) -> Result<T, E> {
        (self.take)(written).ok_or_else(|| E::invalid_value(unexpected, &self.expected))
    }
}

impl<T> Visitor<'_> for WordOrValue<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<T, E> {
        self.value(Written::Word(word), Unexpected::Str(word))
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<T, E> {
        self.value(Written::Flag(flag), Unexpected::Bool(flag))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        // A number that is out of range is refused by the section's check.
        self.value(Written::Whole(usize::try_from(number).unwrap_or(usize::MAX)), Unexpected::Unsigned(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(number), &self.expected)),
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        self.value(Written::Number(number), Unexpected::Float(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_values_beside_what_phases_say() {
        assert_eq!([EvaluationSize::Training, EvaluationSize::Pixels(256)].map(|it| it.beside(128)), [128, 256]);
        let of = |rectangular: Rectangular| [rectangular.beside(false), rectangular.beside(true)];
        assert_eq!(of(Rectangular::Phases), [false, true]);
        assert_eq!([true, false].map(|it| of(Rectangular::Always(it))), [[true; 2], [false; 2]]);
        assert_eq!("0.875".parse(), Ok(CentreCrop::Share(0.875)));
        assert_eq!("original".parse(), Ok(CentreCrop::Original));
        for text in ["0", "1.5", "", "nan", "orig"] {
            let expected = "expected original, or a share of the short side from 0.1 to 1";
            assert_eq!(text.parse::<CentreCrop>(), Err(expected.to_owned()), "{text}");
        }
    }
}
