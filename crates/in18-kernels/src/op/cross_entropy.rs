//! The loss, and the counts of correct guesses.

use in18_tensor::{DType, Format, Tensor};

use super::check::{Check, Checker};
use super::operation;
use crate::KernelError;

/// Elements of a metrics tensor: the loss summed over the batch; the number of images whose label
/// has the highest logit; the number of images whose label is among the [`TOP_K`] highest. At a
/// tie, the class with the lower number comes first. NaN comes after all numbers.
pub const METRICS: usize = 3;

/// How many guesses the second count allows.
pub const TOP_K: usize = 5;

operation! {
    /// Cross entropy of softmax, `−log softmax(logits)[label]`, summed; and correct guesses.
    CrossEntropy {
        reads {
            /// (N, K) fp32.
            logits,
            /// (N) i32, each below K.
            labels,
        }
        writes {
            /// ([`METRICS`]) fp32.
            metrics,
        }
    }
}

operation! {
    /// The gradient of the *mean* of [`CrossEntropy`] over the batch, times a scale:
    /// `scale · (softmax(logits) − one_hot(label)) / N`. With fp16 activations, the scale keeps
    /// small gradients from becoming 0 (Micikevicius et al., *Mixed Precision Training*, 2018). The
    /// update divides by the scale again.
    CrossEntropyBackward {
        reads {
            /// (N, K) fp32.
            logits,
            /// (N) i32, each below K.
            labels,
            /// (1) fp32.
            scale,
        }
        writes {
            /// (N, K) fp32.
            dlogits,
        }
    }
}

impl Check for CrossEntropy {
    fn check(&self) -> Result<(), KernelError> {
        check("CrossEntropy", &self.logits, &self.labels)?.parameter("metrics", &self.metrics, &[METRICS])
    }
}

impl Check for CrossEntropyBackward {
    fn check(&self) -> Result<(), KernelError> {
        let checker = check("CrossEntropyBackward", &self.logits, &self.labels)?;
        checker.parameter("scale", &self.scale, &[1])?;
        checker.parameter("dlogits", &self.dlogits, self.logits.shape.extents())
    }
}

fn check(operation: &'static str, logits: &Tensor, labels: &Tensor) -> Result<Checker, KernelError> {
    let checker = Checker::plain(operation);
    let [n, _] = checker.matrix("logits", logits)?;
    checker.tensor("labels", labels, &[n], DType::I32, Format::Plain)?;
    Ok(checker)
}
