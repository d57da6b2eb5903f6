//! The loss, and what is counted beside it.

use super::operation;

/// Elements of a metrics tensor: the loss summed over the batch, then images whose label has the highest logit,
/// then images whose label is among the [`TOP_K`] highest. A tie goes to the class with the lower number; a logit
/// that is not a number is below all others.
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
    /// `scale · (softmax(logits) − one_hot(label)) / N`. With fp16 activations the scale keeps small gradients from becoming 0
    /// (Micikevicius et al., *Mixed Precision Training*, 2018); the update takes it out again.
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
