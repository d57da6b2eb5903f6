//! `[optimizer]`: how gradients become steps.

use serde::{Deserialize, Serialize};

use crate::curve::Curve;
use crate::fault::{Fault, ensure};

/// SGD with momentum, without dampening: `v ← m·v + (g + wd·w)`, `w ← w − rate·v`. Rates are the
/// phases'.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Optimizer {
    /// `m`, the share of the last velocity that is kept: from 0 to 1 (1 excluded), in single
    /// precision.
    pub momentum: Curve,
    /// `wd`, the L2 penalty, in single precision.
    pub weight_decay: f64,
    /// The original's `--no-bn-wd`: no penalty on batch normalisation's gamma and beta.
    pub no_bn_wd: bool,
    /// With several devices: the type in which gradients are exchanged.
    pub gradients: GradientType,
}

/// The type in which ranks exchange gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum GradientType {
    /// Single precision, in which they are computed.
    #[default]
    Fp32,
    /// The type of activations.
    Compute,
}

/// The original's.
impl Default for Optimizer {
    fn default() -> Self {
        let momentum = Curve::Constant(0.9);
        Optimizer { momentum, weight_decay: 1e-4, no_bn_wd: false, gradients: GradientType::Fp32 }
    }
}

impl Optimizer {
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let momentum = self.momentum.at(0, 1, 1);
        let is_share = (0.0..1.0).contains(&(momentum as f32));
        ensure(is_share, "optimizer.momentum", "a number from 0 to 1 (1 excluded)", momentum)?;
        let decay = self.weight_decay as f32;
        let is_penalty = decay >= 0.0 && decay.is_finite();
        ensure(is_penalty, "optimizer.weight_decay", "a number from 0 on", self.weight_decay)
    }
}
