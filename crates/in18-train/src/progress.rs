//! How far a run has come: everything but the network that a continued run needs to go on as if nothing had happened.

use in18_program::Metrics;
use in18_record::{EpochRecord, Means};
use serde::{Deserialize, Serialize};

use crate::loss_scale::LossScale;
use crate::skipped::Skipped;
use crate::tally::Tally;

/// A place in the plan, and what has been counted up to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The epoch under way, counted from 0; the number of epochs once all are done.
    pub epoch: usize,
    /// Its steps that are done. All of them: only its validation is missing.
    pub step: usize,
    /// Steps of all epochs.
    pub steps: u64,
    /// Training images of all epochs.
    pub images_seen: u64,
    /// Seconds that the run has taken.
    pub seconds: f64,
    /// The rate of the last step.
    pub last_rate: Option<f64>,
    /// Of the epoch under way: its training so far.
    pub(crate) training: Tally,
    /// Of the epoch under way: time of the steps, waiting for data included.
    pub(crate) train_seconds: f64,
    /// Of the epoch under way: the part of it that was spent waiting.
    pub(crate) data_seconds: f64,
    /// The epochs that are done.
    pub epochs: Vec<EpochRecord>,
    /// Images that the run does without.
    #[serde(default)]
    pub skipped: Skipped,
    /// The loss's scale, where it is a dynamic one.
    #[serde(default)]
    pub loss_scale: LossScale,
    /// The epoch with the best top-5 above the bar for `model_best`.
    pub best: Option<Best>,
}

/// The best epoch so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Counted from 0.
    pub epoch: usize,
    /// Percent.
    pub top5: f64,
}

impl Progress {
    /// Counts a training step.
    pub(crate) fn add_step(&mut self, metrics: &Metrics, step_seconds: f64, data_seconds: f64) {
        self.training.add(metrics);
        self.train_seconds += step_seconds;
        self.data_seconds += data_seconds;
        self.step += 1;
        self.steps += 1;
        self.images_seen += metrics.images as u64;
    }

    /// Means over the steps of the epoch under way.
    pub(crate) fn means(&self) -> Means {
        let steps = self.step.max(1) as f64;
        self.training.means(self.train_seconds / steps, self.data_seconds / steps)
    }

    /// Counts an epoch whose validation is done, and moves on to the next. Whether it is the best with a top-5 above
    /// `bar`, in percent: the original's rule for `model_best`.
    pub(crate) fn finish_epoch(&mut self, record: EpochRecord, bar: f64) -> bool {
        let top5 = record.top5;
        let is_best = top5 > bar && self.best.is_none_or(|best| top5 > best.top5);
        if is_best {
            self.best = Some(Best { epoch: record.epoch, top5 });
        }
        self.epochs.push(record);
        self.start_epoch(self.epoch + 1);
        is_best
    }

    /// Goes to the start of an epoch; what was trained of the one under way is not counted as any epoch's, and records of
    /// that epoch and later ones, which come again, are dropped.
    pub fn start_epoch(&mut self, epoch: usize) {
        self.epoch = epoch;
        self.step = 0;
        self.epochs.retain(|record| record.epoch < epoch);
        self.training = Tally::default();
        self.train_seconds = 0.0;
        self.data_seconds = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(epoch: usize, top5: f64) -> EpochRecord {
        EpochRecord {
            epoch,
            hours: 0.1,
            images_seen: 1,
            size: 32,
            train_loss: 1.0,
            train_top1: 1.0,
            train_top5: 1.0,
            val_loss: 1.0,
            top1: 1.0,
            top5,
            train_seconds: 1.0,
            data_seconds: 0.0,
            eval_seconds: 1.0,
            images_per_s: 1.0,
            skipped: 0,
        }
    }

    #[test]
    fn the_best_is_above_the_bar_and_above_all_before() {
        let mut progress = Progress::default();
        let best: Vec<bool> = [92.0, 93.0, 93.5, 93.2, 93.5, 94.0]
            .into_iter()
            .enumerate()
            .map(|(epoch, top5)| progress.finish_epoch(record(epoch, top5), 93.0))
            .collect();
        assert_eq!(best, [false, false, true, false, false, true]);
        assert_eq!(progress.best, Some(Best { epoch: 5, top5: 94.0 }));
        assert_eq!((progress.epoch, progress.epochs.len()), (6, 6));
        progress.start_epoch(4);
        assert_eq!((progress.epoch, progress.epochs.len()), (4, 4));
    }

    #[test]
    fn survives_a_file_to_the_last_bit() {
        let mut progress = Progress { last_rate: Some(0.1 + 0.2), seconds: 1.0 / 3.0, ..Progress::default() };
        for loss_sum in [0.1, 1e-9, 123.456_789_012_345_67] {
            progress.add_step(&Metrics { images: 7, loss_sum, top1: 1, top5: 2 }, 0.7, 0.1);
        }
        let text = serde_json::to_string(&progress).unwrap();
        assert_eq!(serde_json::from_str::<Progress>(&text).unwrap(), progress);
    }
}
