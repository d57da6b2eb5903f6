//! Convolutions of an evaluation. With fixed statistics, batch normalisation is a scale and a shift
//! of each output channel, so it folds into the convolution's weights.

use super::check::{Check, Checker, named};
use super::{Window, conv, operation};
use crate::KernelError;

operation! {
    /// [`Conv`](super::Conv), [`BatchNormInference`](super::BatchNormInference) and ReLU as one:
    /// `dst = relu?(conv(src, weight · s) + beta − running_mean · s)` with
    /// `s = gamma / √(running_variance + epsilon)` for each output channel, in fp32. Scaled weights
    /// are rounded to the activations' type, results once.
    ConvNorm {
        attributes {
            /// Kernel, stride, padding.
            window: Window,
            /// Added to the variance.
            epsilon: f32,
            /// Whether negative results become 0.
            relu: bool,
        }
        reads {
            /// (N, I, H, W) activation.
            src,
            /// (O, I, K, K) fp32.
            weight,
            /// (O) fp32.
            gamma,
            /// (O) fp32.
            beta,
            /// (O) fp32.
            running_mean,
            /// (O) fp32.
            running_variance,
        }
        writes {
            /// (N, O, H', W') activation.
            dst,
        }
    }
}

operation! {
    /// The end of a residual block: [`ConvNorm`] without its own ReLU, plus another activation,
    /// then ReLU. `dst` holds the other activation before, and the result after.
    ConvNormAddRelu {
        attributes {
            /// Kernel, stride, padding.
            window: Window,
            /// Added to the variance.
            epsilon: f32,
        }
        reads {
            /// (N, I, H, W) activation.
            src,
            /// (O, I, K, K) fp32.
            weight,
            /// (O) fp32.
            gamma,
            /// (O) fp32.
            beta,
            /// (O) fp32.
            running_mean,
            /// (O) fp32.
            running_variance,
        }
        updates {
            /// (N, O, H', W') activation.
            dst,
        }
        writes {}
    }
}

impl Check for ConvNorm {
    fn check(&self) -> Result<(), KernelError> {
        conv::check("ConvNorm", self.window, ("src", &self.src), ("weight", &self.weight), ("dst", &self.dst))?;
        let operands = named!(self: gamma, beta, running_mean, running_variance);
        Checker::new("ConvNorm", &self.src).parameters(operands, &self.dst.shape.extents()[1..2])
    }
}

impl Check for ConvNormAddRelu {
    fn check(&self) -> Result<(), KernelError> {
        conv::check("ConvNormAddRelu", self.window, ("src", &self.src), ("weight", &self.weight), ("dst", &self.dst))?;
        let operands = named!(self: gamma, beta, running_mean, running_variance);
        Checker::new("ConvNormAddRelu", &self.src).parameters(operands, &self.dst.shape.extents()[1..2])
    }
}
