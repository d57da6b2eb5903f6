//! Sums of a program's metrics over batches, as means and percentages.

use in18_program::Metrics;
use in18_record::Means;
use serde::{Deserialize, Serialize};

/// Loss and correct guesses over images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Images.
    pub images: u64,
    loss_sum: f64,
    top1: u64,
    top5: u64,
}

impl Tally {
    /// Adds a batch.
    pub fn add(&mut self, metrics: &Metrics) {
        self.images += metrics.images as u64;
        self.loss_sum += metrics.loss_sum;
        self.top1 += metrics.top1 as u64;
        self.top5 += metrics.top5 as u64;
    }

    /// Mean cross entropy, in nats; 0 if there are no images.
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.images.max(1) as f64
    }

    /// Percent of images whose best guess is right.
    pub fn top1(&self) -> f64 {
        self.percent(self.top1)
    }

    /// Percent of images with the right class among the best five.
    pub fn top5(&self) -> f64 {
        self.percent(self.top5)
    }

    /// The means of a record, with these mean times.
    pub fn means(&self, step_seconds: f64, data_seconds: f64) -> Means {
        Means { loss: self.loss(), top1: self.top1(), top5: self.top5(), step_seconds, data_seconds }
    }

    fn percent(&self, hits: u64) -> f64 {
        100.0 * hits as f64 / self.images.max(1) as f64
    }
}

impl From<Metrics> for Tally {
    fn from(metrics: Metrics) -> Self {
        let mut tally = Tally::default();
        tally.add(&metrics);
        tally
    }
}
