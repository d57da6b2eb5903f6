//! `[loss]`: what training makes small. It is the mean cross entropy over a batch.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::fault::{Fault, ensure};

/// The loss.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Loss {
    /// With fp16: what the loss is multiplied with, so that fp16 holds its small gradients
    /// (Micikevicius et al., *Mixed Precision Training*, 2018). Updates divide by it again. Other
    /// types need none.
    pub scale: LossScale,
}

/// What fp16's loss is multiplied with. In text `1024`, `dynamic` or `dynamic:4096`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LossScale {
    /// This number, in single precision.
    Fixed(f64),
    /// As much as gradients allow, beginning with `first`.
    Dynamic {
        /// The first step's scale, in single precision.
        first: f64,
    },
}

impl LossScale {
    /// Where a dynamic scale begins if nobody says otherwise, as in NVIDIA's apex.
    pub const FIRST_DYNAMIC: f64 = 65536.0;

    const EXPECTED: &str = "a number above 0, or dynamic";

    fn number(self) -> f64 {
        match self {
            LossScale::Fixed(scale) | LossScale::Dynamic { first: scale } => scale,
        }
    }

    /// With every number as single precision has it.
    pub(crate) fn in_single(self) -> Self {
        match self {
            LossScale::Fixed(scale) => LossScale::Fixed(super::single(scale)),
            LossScale::Dynamic { first } => LossScale::Dynamic { first: super::single(first) },
        }
    }
}

/// The original's `--loss-scale`.
impl Default for LossScale {
    fn default() -> Self {
        LossScale::Fixed(1024.0)
    }
}

impl Loss {
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let scale = self.scale.number() as f32;
        ensure(scale > 0.0 && scale.is_finite(), "loss.scale", LossScale::EXPECTED, self.scale)
    }
}

impl fmt::Display for LossScale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LossScale::Fixed(scale) => write!(f, "{scale}"),
            LossScale::Dynamic { first: Self::FIRST_DYNAMIC } => f.write_str("dynamic"),
            LossScale::Dynamic { first } => write!(f, "dynamic:{first}"),
        }
    }
}

impl FromStr for LossScale {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse().map_err(|_| format!("expected {}", Self::EXPECTED));
        let scale = match text.split_once(':') {
            None if text == "dynamic" => LossScale::Dynamic { first: Self::FIRST_DYNAMIC },
            Some(("dynamic", first)) => LossScale::Dynamic { first: number(first)? },
            _ => LossScale::Fixed(number(text)?),
        };
        Loss { scale }.check().map_or_else(|fault| Err(format!("expected {}", fault.expected)), |()| Ok(scale))
    }
}

impl Serialize for LossScale {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            LossScale::Fixed(scale) => serializer.serialize_f64(*scale),
            LossScale::Dynamic { .. } => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for LossScale {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scale;
        impl Visitor<'_> for Scale {
            type Value = LossScale;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(LossScale::EXPECTED)
            }

            fn visit_f64<E: Error>(self, scale: f64) -> Result<LossScale, E> {
                Ok(LossScale::Fixed(scale))
            }

            fn visit_i64<E: Error>(self, scale: i64) -> Result<LossScale, E> {
                Ok(LossScale::Fixed(scale as f64))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<LossScale, E> {
                text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Scale)
    }
}
