//! Batch normalisation over (N, H, W). Variants fuse the ReLU that follows at once, or the sum that
//! ends a residual block.
//!
//! Ioffe and Szegedy, *Batch Normalization*, 2015; running statistics as PyTorch keeps them.

use super::check::{Check, Checker, named};
use super::operation;
use crate::KernelError;

operation! {
    /// Training: `dst = relu?(gamma · (src − mean) / √(variance + epsilon) + beta)`, with the
    /// batch's own mean and biased variance. The backward half reads the saved `mean` and
    /// `inverse_deviation`. The running statistics move by `momentum` towards the mean and the
    /// *unbiased* variance (times `n / (n − 1)` for `n = N·H·W` values a channel, times 1 if n is
    /// 1).
    BatchNorm {
        attributes {
            /// Added to the variance.
            epsilon: f32,
            /// Share of the new value in the running statistics.
            momentum: f32,
            /// Whether negative results become 0.
            relu: bool,
        }
        reads {
            /// (N, C, H, W) activation.
            src,
            /// (C) fp32.
            gamma,
            /// (C) fp32.
            beta,
        }
        updates {
            /// (C) fp32.
            running_mean,
            /// (C) fp32.
            running_variance,
        }
        writes {
            /// (N, C, H, W) activation.
            dst,
            /// (C) fp32, for the backward half.
            mean,
            /// (C) fp32, `1 / √(variance + epsilon)`, for the backward half.
            inverse_deviation,
        }
    }
}

operation! {
    /// [`BatchNorm`] and [`AddRelu`](super::AddRelu) in one pass, rounded once:
    /// `dst = max(gamma · (src − mean) / √(variance + epsilon) + beta + addend, 0)`.
    ///
    /// Its gradient has two parts. [`ReluBackward`](super::ReluBackward) or
    /// [`SumReluBackward`](super::SumReluBackward) gives the gradient of the sum, which is the
    /// addend's gradient. [`BatchNormBackward`] continues from that same gradient.
    BatchNormAddRelu {
        attributes {
            /// Added to the variance.
            epsilon: f32,
            /// Share of the new value in the running statistics.
            momentum: f32,
        }
        reads {
            /// (N, C, H, W) activation.
            src,
            /// (N, C, H, W) activation.
            addend,
            /// (C) fp32.
            gamma,
            /// (C) fp32.
            beta,
        }
        updates {
            /// (C) fp32.
            running_mean,
            /// (C) fp32.
            running_variance,
        }
        writes {
            /// (N, C, H, W) activation.
            dst,
            /// (C) fp32, for the backward half.
            mean,
            /// (C) fp32, `1 / √(variance + epsilon)`, for the backward half.
            inverse_deviation,
        }
    }
}

operation! {
    /// The gradient of [`BatchNorm`] without ReLU with respect to input, gamma and beta.
    BatchNormBackward {
        reads {
            /// (N, C, H, W) activation.
            src,
            /// (C) fp32.
            gamma,
            /// (N, C, H, W) activation.
            ddst,
            /// (C) fp32.
            mean,
            /// (C) fp32.
            inverse_deviation,
        }
        writes {
            /// (N, C, H, W) activation.
            dsrc,
            /// (C) fp32.
            dgamma,
            /// (C) fp32.
            dbeta,
        }
    }
}

operation! {
    /// The gradient of [`BatchNorm`] with ReLU: `ddst` counts where `dst > 0`. A provider may read
    /// `dst` or compute it again.
    BatchNormReluBackward {
        reads {
            /// (N, C, H, W) activation.
            src,
            /// (N, C, H, W) activation: the result of the forward half.
            dst,
            /// (C) fp32.
            gamma,
            /// (C) fp32.
            beta,
            /// (N, C, H, W) activation.
            ddst,
            /// (C) fp32.
            mean,
            /// (C) fp32.
            inverse_deviation,
        }
        writes {
            /// (N, C, H, W) activation.
            dsrc,
            /// (C) fp32.
            dgamma,
            /// (C) fp32.
            dbeta,
        }
    }
}

operation! {
    /// Evaluation: like [`BatchNorm`], but with the running statistics in place of the batch's.
    BatchNormInference {
        attributes {
            /// Added to the variance.
            epsilon: f32,
            /// Whether negative results become 0.
            relu: bool,
        }
        reads {
            /// (N, C, H, W) activation.
            src,
            /// (C) fp32.
            gamma,
            /// (C) fp32.
            beta,
            /// (C) fp32.
            running_mean,
            /// (C) fp32.
            running_variance,
        }
        writes {
            /// (N, C, H, W) activation.
            dst,
        }
    }
}

impl Check for BatchNorm {
    fn check(&self) -> Result<(), KernelError> {
        let checker = Checker::new("BatchNorm", &self.src);
        let shape = checker.source("src", &self.src)?;
        let operands = named!(self: gamma, beta, running_mean, running_variance, mean, inverse_deviation);
        checker.parameters(operands, &shape[1..2])?;
        checker.activation("dst", &self.dst, &shape)
    }
}

impl Check for BatchNormAddRelu {
    fn check(&self) -> Result<(), KernelError> {
        let checker = Checker::new("BatchNormAddRelu", &self.src);
        let shape = checker.source("src", &self.src)?;
        let operands = named!(self: gamma, beta, running_mean, running_variance, mean, inverse_deviation);
        checker.parameters(operands, &shape[1..2])?;
        checker.activations(named!(self: addend, dst), &shape)
    }
}

impl Check for BatchNormBackward {
    fn check(&self) -> Result<(), KernelError> {
        let checker = Checker::new("BatchNormBackward", &self.src);
        let shape = checker.source("src", &self.src)?;
        let operands = named!(self: gamma, mean, inverse_deviation, dgamma, dbeta);
        checker.parameters(operands, &shape[1..2])?;
        checker.activations(named!(self: ddst, dsrc), &shape)
    }
}

impl Check for BatchNormReluBackward {
    fn check(&self) -> Result<(), KernelError> {
        let checker = Checker::new("BatchNormReluBackward", &self.src);
        let shape = checker.source("src", &self.src)?;
        let operands = named!(self: gamma, beta, mean, inverse_deviation, dgamma, dbeta);
        checker.parameters(operands, &shape[1..2])?;
        checker.activations(named!(self: dst, ddst, dsrc), &shape)
    }
}

impl Check for BatchNormInference {
    fn check(&self) -> Result<(), KernelError> {
        let checker = Checker::new("BatchNormInference", &self.src);
        let shape = checker.source("src", &self.src)?;
        let operands = named!(self: gamma, beta, running_mean, running_variance);
        checker.parameters(operands, &shape[1..2])?;
        checker.activation("dst", &self.dst, &shape)
    }
}
