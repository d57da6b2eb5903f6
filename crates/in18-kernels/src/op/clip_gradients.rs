//! The bound on the size of all gradients together.

use super::check::{Check, Checker};
use super::operation;
use super::sgd::SGD_SCALARS;
use crate::KernelError;

/// What is added to a norm before it divides, as in PyTorch.
pub const CLIP_EPSILON: f64 = 1e-6;

/// The factor that leaves gradients of this norm at most as long as `max_norm`. It is not a number
/// if the norm is not.
pub fn clip_factor(norm: f64, max_norm: f32) -> f64 {
    let factor = f64::from(max_norm) / (norm + CLIP_EPSILON);
    // Not `min`, which would take 1 for what is not a number.
    if factor > 1.0 { 1.0 } else { factor }
}

operation! {
    /// `g ← g · min(1, max_norm / (‖gradient_scale·g‖ + 1e-6))` with the L2 norm over all of g:
    /// PyTorch's `torch.nn.utils.clip_grad_norm_` (Pascanu et al., *On the difficulty of training
    /// recurrent neural networks*, 2013). g keeps its scale.
    ///
    /// As there, a gradient that is not a number makes all of them so, and an infinite one becomes
    /// no number while the finite ones become zeros.
    ClipGradients {
        attributes {
            /// The largest norm that is let through, above 0.
            max_norm: f32,
        }
        reads {
            /// ([`SGD_SCALARS`]) fp32, as those of [`Sgd`](super::Sgd). Only gradient_scale counts.
            scalars,
        }
        updates {
            /// g, (K) fp32.
            gradient,
        }
        writes {}
    }
}

impl Check for ClipGradients {
    fn check(&self) -> Result<(), KernelError> {
        let checker = Checker::plain("ClipGradients");
        checker.vector("gradient", &self.gradient)?;
        checker.parameter("scalars", &self.scalars, &[SGD_SCALARS])?;
        checker.apart(&[("scalars", &self.scalars), ("gradient", &self.gradient)])
    }
}
