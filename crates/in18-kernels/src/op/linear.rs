//! The classifier: a linear map with bias. It is fp32 whatever the activations are, because it
//! costs next to nothing and its logits decide the loss.

use super::check::{Check, Checker};
use super::operation;
use crate::KernelError;

operation! {
    /// `dst[n,k] = Σ src[n,c] · weight[k,c] + bias[k]`.
    Linear {
        reads {
            /// (N, C) fp32.
            src,
            /// (K, C) fp32.
            weight,
            /// (K) fp32.
            bias,
        }
        writes {
            /// (N, K) fp32.
            dst,
        }
    }
}

operation! {
    /// The gradient of [`Linear`] with respect to its input.
    LinearBackwardData {
        reads {
            /// (K, C) fp32.
            weight,
            /// (N, K) fp32.
            ddst,
        }
        writes {
            /// (N, C) fp32.
            dsrc,
        }
    }
}

operation! {
    /// The gradient of [`Linear`] with respect to weights and bias, summed over the batch.
    LinearBackwardWeight {
        reads {
            /// (N, C) fp32.
            src,
            /// (N, K) fp32.
            ddst,
        }
        writes {
            /// (K, C) fp32.
            dweight,
            /// (K) fp32.
            dbias,
        }
    }
}

impl Check for Linear {
    fn check(&self) -> Result<(), KernelError> {
        let checker = Checker::plain("Linear");
        let [n, c] = checker.matrix("src", &self.src)?;
        let [_, k] = checker.matrix("dst", &self.dst)?;
        checker.parameter("weight", &self.weight, &[k, c])?;
        checker.parameter("bias", &self.bias, &[k])?;
        checker.parameter("dst", &self.dst, &[n, k])
    }
}

impl Check for LinearBackwardData {
    fn check(&self) -> Result<(), KernelError> {
        let checker = Checker::plain("LinearBackwardData");
        let [k, c] = checker.matrix("weight", &self.weight)?;
        let [n, _] = checker.matrix("ddst", &self.ddst)?;
        checker.parameter("ddst", &self.ddst, &[n, k])?;
        checker.parameter("dsrc", &self.dsrc, &[n, c])
    }
}

impl Check for LinearBackwardWeight {
    fn check(&self) -> Result<(), KernelError> {
        let checker = Checker::plain("LinearBackwardWeight");
        let [n, c] = checker.matrix("src", &self.src)?;
        let [_, k] = checker.matrix("ddst", &self.ddst)?;
        checker.parameter("ddst", &self.ddst, &[n, k])?;
        checker.parameter("dweight", &self.dweight, &[k, c])?;
        checker.parameter("dbias", &self.dbias, &[k])
    }
}
