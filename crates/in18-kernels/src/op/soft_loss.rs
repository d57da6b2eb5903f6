//! Losses of targets that are more than one class's label: mixed by mixup and cutmix, smoothed, or
//! with classes that count differently.

use in18_tensor::{DType, Format, Tensor};

use super::check::{Check, Checker};
use super::{METRICS, operation};
use crate::KernelError;

/// How many labels share an image: its own, and that of the image that is mixed into it.
pub const MIXED: usize = 2;

operation! {
    /// The loss of soft targets, summed over the batch; and correct guesses of the first labels, as
    /// [`CrossEntropy`](super::CrossEntropy) counts them.
    ///
    /// The target of image n and class c is
    /// `t = (1 − smoothing) · Σ shares[n,m] · [c = labels[n,m]] + smoothing · s / K`, with
    /// `s = Σ shares[n,m]`, summed over m (Szegedy et al., *Rethinking the Inception Architecture*,
    /// 2016, section 7). An image's loss, summed over its classes, is
    ///
    /// * cross entropy: `−weights[c] · t · log softmax(logits)[c]`, as PyTorch's `CrossEntropyLoss`
    ///   of class probabilities has it;
    /// * `binary` cross entropy: `weights[c] · (s · log(1 + exp(z)) − t · z)` of the logit z, as
    ///   PyTorch's `BCEWithLogitsLoss` with these weights has it (Wightman et al., *ResNet strikes
    ///   back*, 2021).
    SoftLoss {
        attributes {
            /// Whether each class is a question of its own.
            binary: bool,
            /// The share of a target that all classes have equally: from 0 to 1 (1 excluded).
            smoothing: f32,
        }
        reads {
            /// (N, K) fp32.
            logits,
            /// (N, [`MIXED`]) i32, each below K.
            labels,
            /// (N, [`MIXED`]) fp32: how much each label counts. The sum is 1 for an image that
            /// counts once.
            shares,
            /// (K) fp32: how much each class counts.
            weights,
        }
        writes {
            /// ([`METRICS`]) fp32.
            metrics,
        }
    }
}

operation! {
    /// The gradient of the *mean* of [`SoftLoss`] over the batch, times a scale. With `W = Σ
    /// weights[c] · t` over an image's classes it is `scale / N` times
    ///
    /// * cross entropy: `softmax(logits)[c] · W − weights[c] · t`;
    /// * binary cross entropy: `weights[c] · (s · sigmoid(z) − t)`.
    SoftLossBackward {
        attributes {
            /// Whether each class is a question of its own.
            binary: bool,
            /// The share of a target that all classes have equally: from 0 to 1 (1 excluded).
            smoothing: f32,
        }
        reads {
            /// (N, K) fp32.
            logits,
            /// (N, [`MIXED`]) i32, each below K.
            labels,
            /// (N, [`MIXED`]) fp32.
            shares,
            /// (K) fp32.
            weights,
            /// (1) fp32.
            scale,
        }
        writes {
            /// (N, K) fp32.
            dlogits,
        }
    }
}

impl Check for SoftLoss {
    fn check(&self) -> Result<(), KernelError> {
        let checker = check("SoftLoss", [&self.logits, &self.labels, &self.shares, &self.weights])?;
        checker.parameter("metrics", &self.metrics, &[METRICS])
    }
}

impl Check for SoftLossBackward {
    fn check(&self) -> Result<(), KernelError> {
        let checker = check("SoftLossBackward", [&self.logits, &self.labels, &self.shares, &self.weights])?;
        checker.parameter("scale", &self.scale, &[1])?;
        checker.parameter("dlogits", &self.dlogits, self.logits.shape.extents())
    }
}

fn check(operation: &'static str, [logits, labels, shares, weights]: [&Tensor; 4]) -> Result<Checker, KernelError> {
    let checker = Checker::plain(operation);
    let [n, k] = checker.matrix("logits", logits)?;
    checker.tensor("labels", labels, &[n, MIXED], DType::I32, Format::Plain)?;
    checker.parameter("shares", shares, &[n, MIXED])?;
    checker.parameter("weights", weights, &[k])?;
    Ok(checker)
}
