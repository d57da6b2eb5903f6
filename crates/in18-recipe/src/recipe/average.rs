//! `[average]`: averages of parameters and of batch normalisation's statistics over the steps.

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, ensure};

/// Averages. Without one, all are switched off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Average {
    /// The half-life, in steps, of an exponential moving average (EMA): what a step has added
    /// weighs half as much after that many steps. Evaluations, the best and the final network are
    /// this average; training goes on from the last step's values. 0: none.
    pub ema_half_life: f64,
    /// How many steps there are from one move of that average to the next.
    pub every: usize,
    /// How many steps there are from one meeting of slow and fast weights to the next (Zhang et
    /// al., *Lookahead Optimizer*, 2019). There, slow weights take a part of the difference, and
    /// training goes on from them. 0: no slow weights.
    pub lookahead: usize,
    /// What slow weights keep of themselves for each step, at the end of the run: at a meeting in
    /// step t of T they keep `lookahead_decay^lookahead · (t/T)³`. After the last step, training's
    /// values are theirs (Jordan, *94% on CIFAR-10 in 3.29 Seconds on a Single GPU*, 2024).
    pub lookahead_decay: f64,
}

impl Default for Average {
    fn default() -> Self {
        Average { ema_half_life: 0.0, every: 1, lookahead: 0, lookahead_decay: 0.95 }
    }
}

impl Average {
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let is_length = self.ema_half_life >= 0.0 && self.ema_half_life.is_finite();
        let expected = "a number of steps above 0, or 0 for no average";
        ensure(is_length, "average.ema_half_life", expected, self.ema_half_life)?;
        ensure(self.every > 0, "average.every", "a number of steps from 1 on", self.every)?;
        let is_used = self.every == 1 || self.has_ema();
        ensure(is_used, "average.every", "1 where average.ema_half_life is 0", self.every)?;
        let is_share = self.lookahead_decay > 0.0 && self.lookahead_decay < 1.0;
        ensure(is_share, "average.lookahead_decay", "a number between 0 and 1", self.lookahead_decay)
    }

    /// Whether there is an exponential moving average.
    pub fn has_ema(&self) -> bool {
        self.ema_half_life > 0.0
    }

    /// Whether there are slow weights.
    pub fn has_lookahead(&self) -> bool {
        self.lookahead > 0
    }

    /// What the exponential moving average keeps of itself at the end of step `step` (from 1);
    /// `None` if it does not move there. This is MosaicML's composer's rule.
    pub fn ema_keeps(&self, step: usize) -> Option<f64> {
        let moves = self.has_ema() && step.is_multiple_of(self.every);
        moves.then(|| (-(self.every as f64) / self.ema_half_life).exp2())
    }

    /// What slow weights keep of themselves at the end of step `step` (from 1) of `steps`; `None`
    /// if they do not meet the fast ones there. At the run's last step, where no meeting is due,
    /// they keep all.
    pub fn lookahead_keeps(&self, step: usize, steps: usize) -> Option<f64> {
        if !self.has_lookahead() {
            return None;
        }
        if step.is_multiple_of(self.lookahead) {
            let done = step as f64 / steps as f64;
            return Some(self.lookahead_decay.powi(self.lookahead.min(1 << 30) as i32) * done.powi(3));
        }
        (step == steps).then_some(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_a_step_is_left_after_the_half_life() {
        for (half_life, every) in [(100.0, 20), (7.5, 1), (3.0, 5)] {
            let average = Average { ema_half_life: half_life, every, ..Average::default() };
            let moves: Vec<f64> = (1..=600).filter_map(|step| average.ema_keeps(step)).collect();
            assert_eq!(moves.len(), 600 / every);
            let left: f64 = moves.iter().product();
            let expected = 0.5_f64.powf((600 / every * every) as f64 / half_life);
            assert!((left / expected - 1.0).abs() < 1e-12, "{left} {expected}");
        }
    }

    #[test]
    fn slow_weights_meet_the_fast_at_the_end_whatever_the_length() {
        let average = Average { lookahead: 5, ..Average::default() };
        let meetings = |steps: usize| -> Vec<(usize, f64)> {
            (1..=steps).filter_map(|step| average.lookahead_keeps(step, steps).map(|kept| (step, kept))).collect()
        };
        let decay = 0.95 * 0.95 * 0.95 * 0.95 * 0.95;
        let [(5, first), (10, last)] = meetings(10)[..] else { panic!("{:?}", meetings(10)) };
        assert!((first - decay / 8.0).abs() < 1e-15 && (last - decay).abs() < 1e-15, "{first} {last}");
        assert_eq!(meetings(12).last(), Some(&(12, 1.0)));
        assert_eq!(meetings(3), [(3, 1.0)]);
    }

    #[test]
    fn without_averages_nothing_moves() {
        let average = Average::default();
        assert!((1..50).all(|step| average.ema_keeps(step).is_none()));
        assert!((1..50).all(|step| average.lookahead_keeps(step, 49).is_none()));
    }
}
