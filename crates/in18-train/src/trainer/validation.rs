//! An epoch's validation.

use std::collections::VecDeque;

use in18_loader::{BatchPlan, OnBadImage};
use in18_recipe::EpochPlan;
use in18_record::{EvalRecord, Event};

use crate::clock::Laps;
use crate::error::TrainError;
use crate::evaluation::StartedEvaluation;
use crate::tally::Tally;
use crate::trainer::ranks::{BatchResults, Position, SummedResults};
use crate::trainer::saving::Point;
use crate::trainer::{Loaders, NOTHING, Trainer, input, named};
use crate::views::Views;

/// A batch that was started and whose results have not been read.
struct RunningBatch {
    /// `None` if this rank had no batch.
    metrics: Option<StartedEvaluation>,
    bad: Vec<(u32, String)>,
}

impl Trainer<'_> {
    pub(super) fn validation_batches(&mut self, epoch: &EpochPlan, images: usize) -> Result<BatchPlan, TrainError> {
        let (views, share) = (Views::of(self.plan, epoch), self.share()?);
        let batches = if views.rectangular {
            let (sizes, bad) = self.data.validation_sizes(&epoch.val_dir, self.settings.workers);
            let mut sizes = sizes.to_vec();
            let mut named = Vec::new();
            for (image, error) in bad {
                match self.settings.on_bad_image {
                    OnBadImage::Fail => return Err(error.into()),
                    OnBadImage::Skip => named.push((image, error.to_string())),
                }
            }
            // An image that one rank cannot read is in no rank's batches.
            for bad in self.gathered(named)? {
                bad.iter().for_each(|&(image, _)| sizes[image as usize] = None);
                self.skip("validation", &epoch.val_dir, bad)?;
            }
            views.rectangles(&sizes, share)?
        } else {
            views.squares(images, share)?
        };
        Ok(self.shortened(batches))
    }

    /// Runs an epoch's validation. It changes nothing that a checkpoint holds. A run that is
    /// interrupted here continues from `trained`, the beginning of the validation.
    pub(super) fn validate(
        &mut self,
        epoch: &EpochPlan,
        loaders: &mut Loaders,
        trained: &Point,
    ) -> Result<Tally, TrainError> {
        let batches = loaders.validation_batches.clone();
        let steps = batches.len();
        let mut stream = loaders.validation.start(batches)?;
        let (mut total, mut seconds) = (Tally::default(), 0.0);
        let mut laps = Laps::start(self.clock);
        let (mut step, mut started, mut running) = (0, 0, VecDeque::new());
        loop {
            step += 1;
            while running.len() <= self.steps_ahead() {
                started += 1;
                let position = Position::ValidationStep { step: started, epoch: epoch.epoch };
                self.note(&position, "waiting for its images")?;
                running.push_back(match stream.next()? {
                    Some(batch) if !batch.is_empty() => {
                        self.note(&position, "computing")?;
                        let metrics = self.evaluation.start(self.model, input(&batch))?;
                        RunningBatch { metrics: Some(metrics), bad: named(batch.bad()) }
                    }
                    batch => {
                        RunningBatch { metrics: None, bad: batch.map_or_else(Vec::new, |batch| named(batch.bad())) }
                    }
                });
            }
            let Some(RunningBatch { metrics, bad }) = running.pop_front() else { break };
            // A rank's share may be shorter than another's, or empty. The rank still takes part in
            // the exchange.
            let metrics = match metrics {
                Some(started) => self.evaluation.finish(self.model, self.comm, started)?,
                None => NOTHING,
            };
            let own = BatchResults { metrics, bad, left: steps.saturating_sub(step) };
            let position = Position::ValidationStep { step: started, epoch: epoch.epoch };
            let SummedResults { metrics, left } = self.sum_results(own, "validation", &epoch.val_dir, &position)?;
            total.add(&metrics);
            let tally = Tally::from(metrics);
            let step_seconds = laps.lap();
            seconds += step_seconds;
            self.record(Event::EvalStep(EvalRecord {
                epoch: epoch.epoch,
                step,
                steps,
                images_total: tally.images,
                loss: tally.loss(),
                top1: tally.top1(),
                top5: tally.top5(),
                step_seconds,
                means: total.means(seconds / step as f64, 0.0),
            }));
            self.attend(trained)?;
            if left == 0 {
                break;
            }
        }
        if !total.loss().is_finite() {
            let (epoch, loss, rate, kept) = (epoch.epoch, total.loss(), epoch.lr_last(), self.kept_by_all()?);
            return Err(TrainError::ValidationNotFinite { epoch, loss, rate, kept });
        }
        Ok(total)
    }
}
