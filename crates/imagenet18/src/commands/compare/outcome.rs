//! What one run reached, read from its log.

use std::path::Path;

use anyhow::Result;
use in18_record::{Event, Follower};

use crate::logdir::metrics;

/// A run that ended as planned.
pub struct Outcome {
    /// Percent, of the last evaluation.
    pub top1: f64,
    /// Percent, of the last evaluation.
    pub top5: f64,
    /// All the time that the run took.
    pub seconds: f64,
    /// Training images times (pixels/128)² times the network's cost.
    pub compute: f64,
    /// After each epoch: the compute up to there, and top-1 in percent.
    pub epochs: Vec<(f64, f64)>,
}

impl Outcome {
    /// The outcome of the run in a folder; `None` if there is no finished run. `cost`: that of the
    /// network, with ResNet-18 as 1.
    ///
    /// # Errors
    /// [`ReadError`](in18_record::ReadError) for a damaged log.
    pub fn read(logdir: &Path, cost: f64) -> Result<Option<Self>> {
        if !logdir.join("metrics.jsonl").is_file() {
            return Ok(None);
        }
        let news = Follower::new(&metrics(logdir)?).poll()?;
        let (mut compute, mut epochs, mut end) = (0.0, Vec::new(), None);
        for (_, event) in news.events {
            match event {
                Event::Step(step) => {
                    compute += cost * step.images_total as f64 * (step.size as f64 / 128.0).powi(2);
                }
                Event::EpochEnd(epoch) => epochs.push((compute, epoch.top1)),
                Event::RunEnd(run) => end = Some(run),
                _ => {}
            }
        }
        Ok(end.map(|end| Outcome { top1: end.top1, top5: end.top5, seconds: end.seconds, compute, epochs }))
    }
}
