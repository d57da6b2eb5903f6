//! The update of parameters by stochastic gradient descent.

use super::check::{Check, Checker};
use super::operation;
use crate::KernelError;

/// Elements of [`Sgd::scalars`], in order: the learning rate; the momentum, which is the share of
/// the last velocity that is kept; the gradient scale, which gradients are multiplied with; and the
/// share of a decoupled weight decay that is due, which is the rate over its highest value. The
/// gradient scale is 1 over the loss's scale, and also over the number of ranks where gradients are
/// sums over the ranks.
pub const SGD_SCALARS: usize = 4;

operation! {
    /// `d = gradient_scale·g + weight_decay·w`, `v ← momentum·v + d`, then `w ← w − rate·v`,
    /// element by element. With `nesterov`, the last is `w ← w − rate·(d + momentum·v)`.
    ///
    /// This is PyTorch's `torch.optim.SGD` without dampening (Sutskever et al., *On the importance
    /// of initialization and momentum in deep learning*, 2013, in PyTorch's arrangement).
    ///
    /// With `decoupled`, `d` is without the penalty, and `w` is multiplied by `1 − decay ·
    /// weight_decay` before the step is subtracted (Loshchilov and Hutter, *Decoupled Weight Decay
    /// Regularization*, 2019, as MosaicML's composer has it: `decay` is the rate over its highest
    /// value).
    Sgd {
        attributes {
            /// The L2 penalty, or with `decoupled` the share of w that a step takes at the highest
            /// rate.
            weight_decay: f32,
            /// Whether the penalty leaves gradients and velocities alone.
            decoupled: bool,
            /// Whether the step is taken from where the velocity leads.
            nesterov: bool,
        }
        reads {
            /// ([`SGD_SCALARS`]) fp32: rate, momentum, gradient_scale, decay. They lie in host memory (see
            /// [`Kernels::allocate_host`](crate::Kernels::allocate_host)) and are read when the
            /// operation is started.
            scalars,
            /// g, (K) fp32. The operation may change it.
            gradient,
        }
        updates {
            /// w, (K) fp32.
            parameter,
            /// v, (K) fp32.
            velocity,
        }
        writes {}
    }
}

impl Check for Sgd {
    fn check(&self) -> Result<(), KernelError> {
        let checker = Checker::plain("Sgd");
        let length = checker.vector("parameter", &self.parameter)?;
        checker.parameter("scalars", &self.scalars, &[SGD_SCALARS])?;
        checker.parameter("velocity", &self.velocity, &[length])?;
        checker.parameter("gradient", &self.gradient, &[length])?;
        let operands = [("parameter", &self.parameter), ("velocity", &self.velocity), ("gradient", &self.gradient)];
        checker.apart(&operands)
    }
}
