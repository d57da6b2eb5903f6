//! How far a run has come: everything beside the network that a continued run needs to go on as if
//! nothing had happened.

use in18_program::Metrics;
use in18_record::{EpochRecord, Means};
use serde::{Deserialize, Serialize};

use crate::loss_scale::DynamicScale;
use crate::skipped::Skipped;
use crate::stop_at::StopAt;
use crate::tally::Tally;

/// A place in the plan, and the sums up to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The current epoch, counted from 0; the number of epochs once all are done.
    pub epoch: usize,
    /// The number of its steps that are done. If all are done, only its validation is missing.
    pub step: usize,
    /// The number of steps of all epochs.
    pub steps: u64,
    /// The number of training images of all epochs.
    pub images_seen: u64,
    /// Seconds that the run has taken.
    pub seconds: f64,
    /// The learning rate of the last step.
    pub last_rate: Option<f64>,
    /// The current epoch's training so far.
    pub(crate) training: Tally,
    /// The time of the current epoch's steps so far, including waiting for images.
    pub(crate) train_seconds: f64,
    /// The part of that time that was spent waiting for images.
    pub(crate) data_seconds: f64,
    /// The epochs that are done.
    pub epochs: Vec<EpochRecord>,
    /// Images that could not be loaded.
    #[serde(default)]
    pub skipped: Skipped,
    /// The loss's scale, if it is dynamic.
    #[serde(default)]
    pub loss_scale: DynamicScale,
    /// The accuracy at which the run ends, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_at: Option<StopAt>,
    /// The epoch with the best top-5 so far that exceeds the bar for `model_best`.
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

    /// Means over the current epoch's steps so far.
    pub(crate) fn means(&self) -> Means {
        let steps = self.step.max(1) as f64;
        self.training.means(self.train_seconds / steps, self.data_seconds / steps)
    }

    /// Counts an epoch whose validation is done, and moves on to the next. Returns whether the
    /// epoch is the best so far with a top-5 above `bar`, in percent. This is the original's rule
    /// for `model_best`.
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

    /// Goes to the start of an epoch. Training of the current epoch so far counts for no epoch.
    /// Records of that epoch and of later ones are dropped, because these epochs come again.
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
