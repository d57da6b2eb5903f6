//! The update of parameters by stochastic gradient descent.

use super::check::{Check, Checker};
use super::operation;
use crate::KernelError;

/// Elements of [`Sgd::scalars`], in order: the learning rate; the momentum, which is the share of
/// the last velocity that is kept; and the gradient scale, which gradients are multiplied with. The
/// gradient scale is 1 over the loss's scale, and also over the number of ranks where gradients are
/// sums over the ranks.
pub const SGD_SCALARS: usize = 3;

operation! {
    /// `v ← momentum·v + (gradient_scale·g + weight_decay·w)`, then `w ← w − rate·v`, element by
    /// element.
    ///
    /// This is PyTorch's `torch.optim.SGD` without dampening and Nesterov's term (Sutskever et al.,
    /// *On the importance of initialization and momentum in deep learning*, 2013, in PyTorch's
    /// arrangement).
    Sgd {
        attributes {
            /// The L2 penalty.
            weight_decay: f32,
        }
        reads {
            /// ([`SGD_SCALARS`]) fp32: rate, momentum, gradient_scale. They lie in host memory (see
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
