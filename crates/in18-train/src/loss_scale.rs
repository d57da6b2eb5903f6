//! A dynamic loss scale: as large as gradients allow, and what it has come to during a run.

use in18_recipe::LossScale;
use serde::{Deserialize, Serialize};

/// The largest dynamic scale. Far above it, gradients overflow even in fp32.
const LARGEST: f32 = 16_777_216.0;

/// The smallest useful dynamic scale. Smaller ones would only make gradients smaller than they are.
const SMALLEST: f32 = 1.0 / 1024.0;

/// The number of steps without an overflow after which a dynamic scale doubles.
const GOOD_STEPS: u32 = 2000;

/// The present scale, and how it came about. It is part of a run's progress. A step whose gradients
/// overflow is skipped, and halves the scale. 2,000 good steps in a row double it. In a run with a
/// fixed scale it rests.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DynamicScale {
    scale: f32,
    good_steps: u32,
    /// The number of steps that were skipped.
    pub overflows: u64,
}

impl Default for DynamicScale {
    fn default() -> Self {
        DynamicScale { scale: LossScale::FIRST_DYNAMIC as f32, good_steps: 0, overflows: 0 }
    }
}

impl DynamicScale {
    /// What a run begins with whose recipe says `written`.
    pub fn starting(written: LossScale) -> Self {
        match written {
            LossScale::Fixed(_) => DynamicScale::default(),
            LossScale::Dynamic { first } => DynamicScale { scale: first as f32, ..DynamicScale::default() },
        }
    }

    /// What the next step multiplies its loss with, if the recipe says `written`.
    pub fn of_step(&self, written: LossScale) -> f32 {
        match written {
            LossScale::Fixed(scale) => scale as f32,
            LossScale::Dynamic { .. } => self.scale,
        }
    }

    /// The scale of the next step, if that is dynamic.
    pub fn get(&self) -> f32 {
        self.scale
    }

    /// Whether a smaller scale would not help. Then gradients are too large, or not finite, by
    /// themselves.
    pub fn is_exhausted(&self) -> bool {
        self.scale < SMALLEST
    }

    /// Adapts a dynamic scale after a step whose gradients were finite or not. Returns whether the
    /// scale has changed.
    pub fn step(&mut self, finite: bool) -> bool {
        let before = self.scale;
        if finite {
            self.good_steps += 1;
            if self.good_steps == GOOD_STEPS {
                self.good_steps = 0;
                self.scale = (self.scale * 2.0).min(LARGEST.max(self.scale));
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
        assert_eq!(DynamicScale::default().of_step(LossScale::Fixed(1024.0)), 1024.0);
    }

    #[test]
    fn a_dynamic_scale_begins_as_its_recipe_says() {
        let written = LossScale::Dynamic { first: 4096.0 };
        assert_eq!(DynamicScale::starting(written).of_step(written), 4096.0);
    }

    #[test]
    fn overflows_halve_and_two_thousand_good_steps_double() {
        let mut scale = DynamicScale::default();
        let now = |scale: &DynamicScale| scale.get();
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
        let mut scale = DynamicScale::default();
        let grown = (0..2000 * 20).filter(|_| scale.step(true)).count();
        assert_eq!(grown, 8);
        assert_eq!(scale.get(), LARGEST);
    }
}
