//! The running average of a part of a model's state.

use super::check::{Check, Checker};
use super::operation;
use crate::KernelError;

operation! {
    /// `average ← kept·average + (1 − kept)·value`, element by element: an exponential moving
    /// average. With `kept = 0`, the value is copied, bit for bit.
    Average {
        reads {
            /// (1) fp32: the share of the last average that is kept, from 0 to 1.
            kept,
            /// (K) fp32.
            value,
        }
        updates {
            /// (K) fp32.
            average,
        }
        writes {}
    }
}

impl Check for Average {
    fn check(&self) -> Result<(), KernelError> {
        let checker = Checker::plain("Average");
        let length = checker.vector("average", &self.average)?;
        checker.parameter("kept", &self.kept, &[1])?;
        checker.parameter("value", &self.value, &[length])?;
        checker.apart(&[("average", &self.average), ("value", &self.value), ("kept", &self.kept)])
    }
}
