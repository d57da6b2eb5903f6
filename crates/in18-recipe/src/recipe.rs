//! A recipe as written: everything that decides what a run learns. One file a section, each with
//! its defaults, which are the original trainer's.
//!
//! Not in it: where folders lie, what computes, how often anything is written.

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, ensure};
use crate::phases::{MAX_EPOCHS, Phases};

mod augment;
mod average;
mod data;
mod evaluate;
mod initial;
mod loss;
mod made_for;
mod network;
mod optimizer;
mod reached;

pub use augment::{Augment, DEFAULT_MIN_SCALE, Flip, Jitter};
pub use average::Average;
pub use data::{Data, Shuffle};
pub use evaluate::{CentreCrop, Evaluate, EvaluationSize, Rectangular, Tta};
pub use initial::{Bias, Head, Initial};
pub use loss::{ClassWeights, Loss, LossKind, LossScale, WeightRule};
pub use made_for::MadeFor;
pub use network::{BlurPool, Network, Precision, Shortcut, Stem};
pub use optimizer::{GradientType, Optimizer, OptimizerKind};
pub use reached::Reached;

/// A recipe.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// A short name.
    pub name: Option<String>,
    /// What it is for, in a line.
    pub about: Option<String>,
    /// Seed of initial weights, order and augmentation: the same seed gives the same network, bit
    /// for bit.
    pub seed: u64,
    /// How long the run is, in epochs; a fraction ends it within an epoch. Default: up to the largest
    /// epoch that a phase with a rate names, or to the end of the optimizer's curve of rates.
    pub epochs: Option<f64>,
    /// What is trained.
    pub network: Network,
    /// What it starts from.
    pub initial: Initial,
    /// What training makes small.
    pub loss: Loss,
    /// How gradients become steps.
    pub optimizer: Optimizer,
    /// What is kept of the steps' results.
    pub average: Average,
    /// Which images a step sees.
    pub data: Data,
    /// How they are changed at random.
    pub augment: Augment,
    /// Which views of an image validation sees.
    pub evaluate: Evaluate,
    /// Which images, at which size, batch and rate, from which epoch on. Their own notation is read
    /// beside serde's.
    #[serde(rename = "phase", skip_deserializing)]
    pub phases: Phases,
    /// The machine that its batches and rates suit.
    pub made_for: Option<MadeFor>,
    /// What it is known to reach.
    pub reached: Option<Reached>,
}

/// The original's recipe with these phases.
impl From<Phases> for Recipe {
    fn from(phases: Phases) -> Self {
        Recipe { phases, ..Recipe::default() }
    }
}

impl Recipe {
    /// Checks the rules that the fields beside the phases must meet, each alone and together.
    ///
    /// # Errors
    /// The first rule that is broken. Recipes out of a text have passed already; those built by
    /// hand are checked when a plan is resolved.
    pub fn check(&self) -> Result<(), Fault> {
        if let Some(epochs) = self.epochs {
            let is_length = epochs > 0.0 && epochs <= MAX_EPOCHS as f64;
            ensure(is_length, "epochs", &format!("a number of epochs above 0 and up to {MAX_EPOCHS}"), epochs)?;
        }
        self.initial.check()?;
        self.loss.check()?;
        self.optimizer.check()?;
        self.average.check()?;
        self.augment.check()?;
        self.evaluate.check()?;
        self.made_for.as_ref().map_or(Ok(()), MadeFor::check)
    }

    /// The recipe as it is computed with activations of this type, which is not
    /// [`Precision::Auto`]: nothing is left to be chosen, what has no effect with this type has one
    /// value, and numbers are as single precision has them.
    pub fn computed_in(&self, precision: Precision) -> Recipe {
        let mut recipe = self.clone();
        recipe.network.precision = precision;
        recipe.loss.scale = match precision {
            Precision::Fp16 => self.loss.scale.in_single(),
            _ => LossScale::Fixed(1.0),
        };
        if precision == Precision::Fp32 {
            recipe.optimizer.gradients = GradientType::Fp32;
        }
        recipe.loss = recipe.loss.in_single();
        recipe.optimizer.momentum = self.optimizer.momentum.in_single();
        recipe.optimizer.weight_decay = single(self.optimizer.weight_decay);
        recipe.optimizer.trust = single(self.optimizer.trust);
        recipe.optimizer.clip_norm = single(self.optimizer.clip_norm);
        recipe
    }
}

/// The shortest number that is the same as `number` in single precision: 0.9, and not
/// 0.8999999761581421.
pub(crate) fn single(number: f64) -> f64 {
    (number as f32).to_string().parse().unwrap_or(number)
}
