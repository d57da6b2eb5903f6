//! `[loss]`: what training makes small.

use std::fmt;
use std::str::FromStr;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::fault::{Fault, ensure};

/// The loss: the mean over a batch.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Loss {
    /// Which.
    pub kind: LossKind,
    /// The share of a target that all classes have equally: from 0 to 1 (1 excluded), in single
    /// precision (Szegedy et al., *Rethinking the Inception Architecture*, 2016, section 7).
    pub smoothing: f64,
    /// How much each class counts.
    pub class_weights: ClassWeights,
    /// With fp16: what the loss is multiplied with, so that fp16 holds its small gradients
    /// (Micikevicius et al., *Mixed Precision Training*, 2018). Updates divide by it again. Other
    /// types need none.
    pub scale: LossScale,
}

/// A loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// Cross entropy of the softmax: one choice among the classes.
    #[default]
    CrossEntropy,
    /// Binary cross entropy of each class's sigmoid, summed over the classes (Wightman et al.,
    /// *ResNet strikes back*, 2021). `initial.bias = "prior"` goes well with it.
    Binary,
}

/// How much each class counts.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ClassWeights {
    /// By a rule.
    Rule(WeightRule),
    /// These numbers, by label, in single precision. Labels follow the folders' names.
    List(Vec<f64>),
}

/// How the images of classes make their weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightRule {
    /// All classes count alike.
    Alike,
    /// A class of n images of N counts N / (K·n), as scikit-learn's `balanced` has it: rare classes
    /// count more, and images count 1 on average.
    Balanced,
}

impl Default for ClassWeights {
    fn default() -> Self {
        ClassWeights::Rule(WeightRule::Alike)
    }
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
    /// With every number as single precision has it.
    pub(crate) fn in_single(mut self) -> Self {
        self.smoothing = super::single(self.smoothing);
        if let ClassWeights::List(weights) = &mut self.class_weights {
            weights.iter_mut().for_each(|weight| *weight = super::single(*weight));
        }
        self
    }

    /// How much each class counts, by label, if class c has `images[c]` training images; empty if
    /// all count alike.
    ///
    /// # Errors
    /// A list of another length; a class without images where a rule needs some.
    pub fn weights(&self, images: &[usize]) -> Result<Vec<f64>, Fault> {
        let (field, classes) = ("loss.class_weights", images.len());
        match &self.class_weights {
            ClassWeights::Rule(WeightRule::Alike) => Ok(Vec::new()),
            ClassWeights::Rule(WeightRule::Balanced) => {
                let empty = images.iter().position(|&images| images == 0);
                let got = empty.map_or_else(String::new, |class| format!("no training images of class {class}"));
                ensure(empty.is_none(), field, "training images of every class for 'balanced'", got)?;
                let all: usize = images.iter().sum();
                Ok(images.iter().map(|&images| all as f64 / (classes * images) as f64).collect())
            }
            ClassWeights::List(weights) => {
                let expected = format!("{classes} numbers, one for each class");
                ensure(weights.len() == classes, field, &expected, weights.len())?;
                Ok(weights.clone())
            }
        }
    }

    pub(crate) fn check(&self) -> Result<(), Fault> {
        let scale = self.scale.number() as f32;
        ensure(scale > 0.0 && scale.is_finite(), "loss.scale", LossScale::EXPECTED, self.scale)?;
        let is_share = (0.0..1.0).contains(&(self.smoothing as f32));
        ensure(is_share, "loss.smoothing", "a number from 0 to 1 (1 excluded)", self.smoothing)?;
        let ClassWeights::List(weights) = &self.class_weights else { return Ok(()) };
        let wrong = weights.iter().find(|&&weight| !(weight as f32).is_finite() || weight < 0.0);
        let is_list = !weights.is_empty() && wrong.is_none() && weights.iter().any(|&weight| weight > 0.0);
        let got = wrong.map_or_else(|| format!("{weights:?}"), f64::to_string);
        ensure(is_list, "loss.class_weights", "numbers from 0 on, one for each class and not all 0", got)
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
        Loss { scale, ..Loss::default() }
            .check()
            .map_or_else(|fault| Err(format!("expected {}", fault.expected)), |()| Ok(scale))
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

/// The name of a rule, or a list.
impl<'de> Deserialize<'de> for ClassWeights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RuleOrList;
        impl<'de> Visitor<'de> for RuleOrList {
            type Value = ClassWeights;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("alike, balanced, or a list of numbers")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ClassWeights, E> {
                match text {
                    "alike" => Ok(ClassWeights::Rule(WeightRule::Alike)),
                    "balanced" => Ok(ClassWeights::Rule(WeightRule::Balanced)),
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<ClassWeights, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(ClassWeights::List)
            }
        }
        deserializer.deserialize_any(RuleOrList)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_classes() {
        let of = |class_weights| Loss { class_weights, ..Loss::default() };
        assert_eq!(Loss::default().weights(&[3, 1]), Ok(Vec::new()));
        // scikit-learn's compute_class_weight('balanced', ...) of six images of class 0, two of 1.
        let balanced = of(ClassWeights::Rule(WeightRule::Balanced));
        assert_eq!(balanced.weights(&[6, 2]), Ok(vec![8.0 / 12.0, 2.0]));
        let fault = balanced.weights(&[6, 0]).unwrap_err().to_string();
        let expected = "training images of every class for 'balanced', got no training images of class 1";
        assert_eq!(fault, format!("loss.class_weights: expected {expected}"));
        let list = of(ClassWeights::List(vec![0.5, 1.5]));
        assert_eq!(list.weights(&[1, 1]), Ok(vec![0.5, 1.5]));
        let fault = list.weights(&[1, 1, 1]).unwrap_err().to_string();
        assert_eq!(fault, "loss.class_weights: expected 3 numbers, one for each class, got 2");
    }

    #[test]
    fn what_a_loss_may_be() {
        let fault = |loss: Loss| loss.check().map_err(|fault| fault.to_string());
        assert_eq!(fault(Loss { smoothing: 0.1, ..Loss::default() }), Ok(()));
        for smoothing in [1.0, -0.1, f64::NAN, 0.999_999_999] {
            assert!(fault(Loss { smoothing, ..Loss::default() }).unwrap_err().starts_with("loss.smoothing: "));
        }
        for weights in [vec![], vec![0.0, 0.0], vec![1.0, -1.0], vec![1.0, f64::INFINITY]] {
            let loss = Loss { class_weights: ClassWeights::List(weights), ..Loss::default() };
            assert!(fault(loss).unwrap_err().starts_with("loss.class_weights: "));
        }
    }
}
