//! `[optimizer]`: how gradients become steps.

use serde::{Deserialize, Serialize};

use crate::curve::Curve;
use crate::fault::{Fault, ensure};
use crate::schedule::Range;

/// How gradients become steps. By default this is SGD with momentum, without dampening: `v ← m·v +
/// (g + wd·w)`, `w ← w − rate·v`. The operations `Sgd` and `Lars` of `in18-kernels` have the other
/// rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Optimizer {
    /// Which.
    pub kind: OptimizerKind,
    /// The learning rate over the run, where phases have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Curve>,
    /// `m`, the share of the last velocity that is kept: from 0 to 1 (1 excluded), in single
    /// precision.
    pub momentum: Curve,
    /// `wd`, the L2 penalty, in single precision.
    pub weight_decay: f64,
    /// The original's `--no-bn-wd`: no penalty on batch normalisation's gamma and beta.
    pub no_bn_wd: bool,
    /// No penalty on the classifier's bias.
    pub no_bias_wd: bool,
    /// The penalty leaves gradients and velocities alone: each step multiplies w by
    /// `1 − wd·rate/peak`, with the run's highest rate as `peak` (MosaicML's `DecoupledSGDW`).
    pub decoupled: bool,
    /// Nesterov's momentum: steps are taken from where the velocity leads.
    pub nesterov: bool,
    /// With LARS: the trust coefficient, which the original calls eta, in single precision.
    pub trust: f64,
    /// The largest L2 norm of all gradients together, in single precision: longer ones are shortened
    /// to it (PyTorch's `clip_grad_norm_`). 0: no bound.
    pub clip_norm: f64,
    /// With several devices: the type in which gradients are exchanged.
    pub gradients: GradientType,
}

/// An optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Stochastic gradient descent with momentum.
    #[default]
    Sgd,
    /// SGD where each weight tensor has a rate of its own (You et al., *Large Batch Training of
    /// Convolutional Networks*, 2017), as MLPerf's reference for ResNet has it: batch normalisation
    /// and the classifier's bias have the common rate and no penalty.
    Lars,
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

/// LARS's trust coefficient in the paper and in MLPerf.
const TRUST: f64 = 1e-3;

/// The original's.
impl Default for Optimizer {
    fn default() -> Self {
        let momentum = Curve::Constant(0.9);
        let (rate, gradients) = (None, GradientType::Fp32);
        let (no_bn_wd, no_bias_wd, decoupled, nesterov) = (false, false, false, false);
        let kind = OptimizerKind::Sgd;
        let (weight_decay, trust, clip_norm) = (1e-4, TRUST, 0.0);
        Optimizer {
            kind,
            rate,
            momentum,
            weight_decay,
            no_bn_wd,
            no_bias_wd,
            decoupled,
            nesterov,
            trust,
            clip_norm,
            gradients,
        }
    }
}

/// The rates that there may be.
pub(crate) const RATES: Range = Range {
    field: "optimizer.rate",
    expected: "a finite rate that is not negative",
    holds: |rate| rate.is_finite() && rate >= 0.0,
};

/// The momenta that there may be, in single precision.
pub(crate) const MOMENTA: Range = Range {
    field: "optimizer.momentum",
    expected: "a number from 0 to 1 (1 excluded)",
    holds: |momentum| (0.0..1.0).contains(&(momentum as f32)),
};

impl Optimizer {
    pub(crate) fn check(&self) -> Result<(), Fault> {
        if let Some(rate) = &self.rate {
            rate.check(&RATES)?;
        }
        self.momentum.check(&MOMENTA)?;
        let decay = self.weight_decay as f32;
        let is_penalty = decay >= 0.0 && decay.is_finite();
        ensure(is_penalty, "optimizer.weight_decay", "a number from 0 on", self.weight_decay)?;
        let takes_less = !self.decoupled || decay < 1.0;
        let expected = "less than 1, because it is decoupled";
        ensure(takes_less, "optimizer.weight_decay", expected, self.weight_decay)?;
        self.check_kind()?;
        let clip_norm = self.clip_norm as f32;
        let is_bound = clip_norm.is_finite() && (clip_norm > 0.0 || self.clip_norm == 0.0);
        ensure(is_bound, "optimizer.clip_norm", "a norm above 0, or 0 for no bound", self.clip_norm)
    }

    fn check_kind(&self) -> Result<(), Fault> {
        let (trust, is_lars) = (self.trust as f32, self.kind == OptimizerKind::Lars);
        ensure(trust > 0.0 && trust.is_finite(), "optimizer.trust", "a number above 0", self.trust)?;
        let expected = format!("{TRUST} where optimizer.kind is sgd");
        ensure(is_lars || self.trust == TRUST, "optimizer.trust", &expected, self.trust)?;
        let is_coupled = !(is_lars && self.decoupled);
        ensure(is_coupled, "optimizer.decoupled", "false where optimizer.kind is lars", self.decoupled)
    }
}
