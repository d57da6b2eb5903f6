//! The loss's scale. The loss is multiplied with it, so that fp16 can hold small gradients
//! (Micikevicius et al., *Mixed Precision Training*, 2018). Updates divide by it again.

use serde::{Deserialize, Serialize};

/// Where a dynamic scale begins, as in NVIDIA's apex.
pub const FIRST_DYNAMIC: f32 = 65536.0;

/// The largest dynamic scale. Far above it, gradients overflow even in fp32.
const LARGEST_DYNAMIC: f32 = 16_777_216.0;

/// The smallest useful dynamic scale. Smaller ones would only make gradients smaller than they are.
const SMALLEST_DYNAMIC: f32 = 1.0 / 1024.0;

/// The number of steps without an overflow after which a dynamic scale doubles.
const GOOD_STEPS: u32 = 2000;

/// How the loss is scaled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LossScaling {
    /// By a constant number; 1 for types that need no scale.
    Fixed(f32),
    /// By a number that is as large as gradients allow. A step whose gradients overflow is skipped,
    /// and halves the scale. 2,000 good steps in a row double it.
    Dynamic,
}

/// The present scale, and how it came about. A dynamic scale is part of a run's progress.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossScale {
    scale: f32,
    good_steps: u32,
    /// The number of steps that were skipped.
    pub overflows: u64,
}

impl Default for LossScale {
    fn default() -> Self {
        LossScale { scale: FIRST_DYNAMIC, good_steps: 0, overflows: 0 }
    }
}

impl LossScale {
    /// A dynamic scale that begins with this one.
    pub fn starting_at(scale: f32) -> Self {
        LossScale { scale, ..LossScale::default() }
    }

    /// The scale of the next step.
    pub fn get(&self, scaling: LossScaling) -> f32 {
        match scaling {
            LossScaling::Fixed(scale) => scale,
            LossScaling::Dynamic => self.scale,
        }
    }

    /// Whether a smaller scale would not help. Then gradients are too large, or not finite, by
    /// themselves.
    pub fn is_exhausted(&self) -> bool {
        self.scale < SMALLEST_DYNAMIC
    }

    /// Adapts a dynamic scale after a step whose gradients were finite or not. Returns whether the
    /// scale has changed.
    pub fn step(&mut self, finite: bool) -> bool {
        let before = self.scale;
        if finite {
            self.good_steps += 1;
            if self.good_steps == GOOD_STEPS {
                self.good_steps = 0;
                self.scale = (self.scale * 2.0).min(LARGEST_DYNAMIC.max(self.scale));
            }
        } else {
            self.good_steps = 0;
            self.overflows += 1;
            self.scale = (self.scale / 2.0).max(f32::MIN_POSITIVE);
        }
        self.scale != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_scale_stays() {
        assert_eq!(LossScale::default().get(LossScaling::Fixed(1024.0)), 1024.0);
    }

    #[test]
    fn overflows_halve_and_two_thousand_good_steps_double() {
        let mut scale = LossScale::default();
        let now = |scale: &LossScale| scale.get(LossScaling::Dynamic);
        assert_eq!(now(&scale), 65536.0);
        assert!(scale.step(false) && scale.step(false));
        assert_eq!((now(&scale), scale.overflows), (16384.0, 2));
        assert!((0..1999).all(|_| !scale.step(true)));
        assert!(scale.step(true));
        assert_eq!(now(&scale), 32768.0);
        // An overflow begins the count anew.
        assert!((0..1999).all(|_| !scale.step(true)));
        scale.step(false);
        assert!((0..1999).all(|_| !scale.step(true)));
        assert_eq!((now(&scale), scale.overflows), (16384.0, 3));
    }

    #[test]
    fn the_scale_has_an_end() {
        let mut scale = LossScale::default();
        let grown = (0..2000 * 20).filter(|_| scale.step(true)).count();
        assert_eq!(grown, 8);
        assert_eq!(scale.get(LossScaling::Dynamic), LARGEST_DYNAMIC);
    }
}
