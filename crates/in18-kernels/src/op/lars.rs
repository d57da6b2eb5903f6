//! The update of a parameter by layer-wise adaptive rates.

use super::check::{Check, Checker};
use super::operation;
use super::sgd::SGD_SCALARS;
use crate::KernelError;

/// What [`Lars`] multiplies the rate with, from the L2 norms of the parameter and of its gradient:
/// `trust·‖w‖ / (‖g‖ + weight_decay·‖w‖)`, and 1 where a norm is 0 or `trust` is.
pub fn lars_ratio(parameter: f64, gradient: f64, weight_decay: f32, trust: f32) -> f64 {
    if trust > 0.0 && parameter > 0.0 && gradient > 0.0 {
        f64::from(trust) * parameter / (gradient + f64::from(weight_decay) * parameter)
    } else {
        1.0
    }
}

operation! {
    /// `s = rate·ratio·(gradient_scale·g + weight_decay·w)`, `v ← momentum·v + s`, then
    /// `w ← w − v`. With `nesterov`, the last is `w ← w − (s + momentum·v)`. The ratio is that of
    /// [`lars_ratio`] for w and gradient_scale·g, over the whole operand.
    ///
    /// This is LARS (You et al., *Large Batch Training of Convolutional Networks*, 2017) as
    /// MLPerf's reference for ResNet has it (`lars_optimizer.py` of mlcommons/training, with
    /// MLPerf's epsilon of 0). Unlike [`Sgd`](super::Sgd)'s, its velocity contains the rate.
    Lars {
        attributes {
            /// The L2 penalty, which is also a part of the ratio.
            weight_decay: f32,
            /// The trust coefficient, which the original calls eta. 0 stands for a ratio of 1, for
            /// parameters that are not adapted.
            trust: f32,
            /// Whether the step is taken from where the velocity leads.
            nesterov: bool,
        }
        reads {
            /// ([`SGD_SCALARS`]) fp32, as those of [`Sgd`](super::Sgd), without its decay.
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

impl Check for Lars {
    fn check(&self) -> Result<(), KernelError> {
        let checker = Checker::plain("Lars");
        let length = checker.vector("parameter", &self.parameter)?;
        checker.parameter("scalars", &self.scalars, &[SGD_SCALARS])?;
        checker.parameter("velocity", &self.velocity, &[length])?;
        checker.parameter("gradient", &self.gradient, &[length])?;
        let operands = [("parameter", &self.parameter), ("velocity", &self.velocity), ("gradient", &self.gradient)];
        checker.apart(&operands)
    }
}
