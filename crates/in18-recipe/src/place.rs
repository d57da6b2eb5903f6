//! Places in a run, in epochs and parts of them.

/// Places in a run, in epochs, that are nearer than this are the same place. Fractions of an epoch
/// such as 28.8 - 28 are not exact, and no epoch has a billion steps.
pub(crate) const SLACK: f64 = 1e-9;

/// Where a step lies in its epoch. An epoch is as long as all of its batches: if these differ in
/// size, a step counts by the images of its batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// The epoch, counted from 0.
    pub epoch: usize,
    /// The number of steps of the whole epoch, also where the run ends within the epoch.
    pub steps: f64,
    /// The part of `steps` that is done when the step starts: 0 for the first.
    pub before: f64,
    /// The part of `steps` that is done when the step ends.
    pub after: f64,
}

impl Place {
    /// Step `step` (1 to `steps`) of an epoch whose `steps` batches are all of one size.
    pub fn of(epoch: usize, step: usize, steps: usize) -> Self {
        Place { epoch, steps: steps as f64, before: (step - 1) as f64, after: step as f64 }
    }

    /// The place where the step starts, in epochs since the run's start.
    pub fn start(self) -> f64 {
        self.epoch as f64 + self.before / self.steps
    }

    /// The length of the step in epochs.
    pub fn length(self) -> f64 {
        (self.after - self.before) / self.steps
    }
}

/// A difference of epochs without the rounding of the last digits: 26.24, and not
/// 26.240000000000002.
pub(crate) fn shown(epochs: f64) -> f64 {
    (epochs * 1e9).round() / 1e9
}
