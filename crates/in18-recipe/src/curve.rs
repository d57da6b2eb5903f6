//! A number that may change over a run: a learning rate, a momentum.

use serde::{Deserialize, Deserializer, Serialize};

use crate::recipe::single;

/// A value for every step of every epoch. A further form of schedule is a further variant.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Curve {
    /// The same for every step.
    Constant(f64),
    /// On the line through `from` at the start of epoch `start` and `to` at the start of epoch
    /// `end`. The line goes on past `end`.
    Linear {
        /// Value at the start.
        from: f64,
        /// Value at the end.
        to: f64,
        /// First epoch.
        start: usize,
        /// Epoch at whose start `to` is reached.
        end: usize,
        /// The value moves once an epoch: each step has the value of its epoch's start.
        epoch_step: bool,
    },
}

impl Curve {
    /// The value in step `step` (1 to `steps`) of epoch `epoch`, which has `steps` steps. For a
    /// line: `from + (to - from) * ((epoch - start) * steps + step) / ((end - start) * steps)`, in
    /// the original trainer's order of operations, so that rates equal its rates to the last bit.
    pub fn at(&self, epoch: usize, step: usize, steps: usize) -> f64 {
        match *self {
            Curve::Constant(value) => value,
            Curve::Linear { from, to, start, end, epoch_step } => {
                let steps = steps as f64;
                let step = if epoch_step { 0.0 } else { step as f64 };
                let total = (end - start) as f64 * steps;
                let done = (epoch - start) as f64 * steps + step;
                from + done * ((to - from) / total)
            }
        }
    }

    /// With every value as single precision has it.
    pub(crate) fn in_single(self) -> Self {
        match self {
            Curve::Constant(value) => Curve::Constant(single(value)),
            Curve::Linear { from, to, start, end, epoch_step } => {
                Curve::Linear { from: single(from), to: single(to), start, end, epoch_step }
            }
        }
    }
}

/// A field of a recipe takes a number, for a constant; only phases write lines.
impl<'de> Deserialize<'de> for Curve {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer).map(Curve::Constant)
    }
}
