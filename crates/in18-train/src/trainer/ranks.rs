//! What the ranks of a run tell each other after each batch: results, bad images, and what signals
//! and the clock ask for. Every decision follows from what all ranks know, so all ranks take it at
//! the same step.

use in18_comm::Comm;
use in18_program::Metrics;

use crate::error::TrainError;
use crate::trainer::Trainer;

/// What signals and the clock ask of the run. All ranks know the same.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Requests {
    /// To save a checkpoint.
    pub save: bool,
    /// To end, because of this signal.
    pub stop: Option<i32>,
}

/// What a rank brings to an exchange.
pub(super) struct BatchResults {
    /// Of its batch; those of no images if it had no batch.
    pub metrics: Metrics,
    /// Its bad images by number, with what is wrong with them.
    pub bad: Vec<(u32, String)>,
    /// The number of batches that it has still to do.
    pub left: usize,
}

/// The joint results of all ranks' batches.
pub(super) struct SummedResults {
    /// The sums over the ranks.
    pub metrics: Metrics,
    /// The number of batches that are left, added up over the ranks.
    pub left: usize,
}

/// Signals that end a run: SIGINT and SIGTERM. If both came, the first in this list counts.
const STOPS: [i32; 2] = [2, 15];

/// A position in a run.
pub(super) enum Position {
    /// A step of an epoch's training, counted from 1.
    Step { step: usize, epoch: usize },
    /// A step of its validation.
    ValidationStep { step: usize, epoch: usize },
    /// The end of an epoch.
    End { epoch: usize },
    /// The end of the run.
    RunEnd,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Position::Step { step, epoch } => write!(f, "at step {step} of epoch {epoch}"),
            Position::ValidationStep { step, epoch } => write!(f, "at step {step} of epoch {epoch}'s validation"),
            Position::End { epoch } => write!(f, "at the end of epoch {epoch}"),
            Position::RunEnd => f.write_str("at the end of the run"),
        }
    }
}

impl Trainer<'_> {
    /// Adds up the results of a batch at `position` over all ranks. Each rank also notes all ranks'
    /// bad images, under the set that `split` and `suffix` name.
    pub(super) fn sum_results(
        &mut self,
        own: BatchResults,
        split: &str,
        suffix: &str,
        position: &Position,
    ) -> Result<SummedResults, TrainError> {
        self.note(position, "adding up results")?;
        let BatchResults { metrics, bad, left } = own;
        let local = self.requests_here();
        let count = |condition: bool| f64::from(u8::from(condition));
        let mut values = [
            metrics.images as f64,
            metrics.loss_sum,
            metrics.top1 as f64,
            metrics.top5 as f64,
            bad.len() as f64,
            left as f64,
            count(local.save),
            count(local.stop == Some(STOPS[0])),
            count(local.stop == Some(STOPS[1])),
        ];
        self.comm.sum(&mut values)?;
        let [images, loss_sum, top1, top5, bads, left, save, first, second] = values;
        let stop = [first, second].into_iter().zip(STOPS).find(|(count, _)| *count > 0.0).map(|(_, signal)| signal);
        self.requests = Requests { save: save > 0.0, stop };
        if bads > 0.0 {
            for bad in self.gathered(bad)? {
                self.skip(split, suffix, bad)?;
            }
        }
        let metrics = Metrics { images: images as usize, loss_sum, top1: top1 as usize, top5: top5 as usize };
        Ok(SummedResults { metrics, left: left as usize })
    }

    /// Every rank's bad images.
    pub(super) fn gathered(&mut self, bad: Vec<(u32, String)>) -> Result<Vec<Vec<(u32, String)>>, TrainError> {
        if self.comm.world() == 1 {
            return Ok(vec![bad]);
        }
        let written = serde_json::to_vec(&bad).unwrap_or_default();
        let all = self.comm.gather(&written)?;
        Ok(all.iter().map(|written| serde_json::from_slice(written).unwrap_or_default()).collect())
    }

    /// What this rank's signals and clock ask for. Only rank 0's clock counts.
    fn requests_here(&self) -> Requests {
        let signals = &self.saving.signals;
        let is_due = self.clock.seconds() - self.saved_at >= self.saving.checkpoints.every_seconds;
        let save = signals.is_save_asked() || (is_due && self.comm.rank() == 0);
        Requests { save, stop: signals.stopped_by() }
    }

    /// Tells the other ranks where this rank is and what it is about to do there. If a rank hangs,
    /// its note is behind the others'.
    pub(super) fn note(&mut self, position: &Position, doing: &str) -> Result<(), TrainError> {
        note(self.comm, position, doing)
    }

    /// Waits until every rank has come here.
    pub(super) fn barrier(&mut self) -> Result<(), TrainError> {
        Ok(self.comm.sum(&mut [0.0])?)
    }
}

/// Like [`Trainer::note`], for code that has borrowed parts of the trainer.
pub(super) fn note(comm: &mut dyn Comm, position: &Position, doing: &str) -> Result<(), TrainError> {
    if comm.world() > 1 {
        comm.note(&format!("{position}, {doing}"))?;
    }
    Ok(())
}
