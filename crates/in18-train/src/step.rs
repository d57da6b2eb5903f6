//! One training step: forward and backward over a batch, gradients as sums over the ranks, and the update. Gradients that are
//! ready first are summed while the others are computed.

use std::thread;
use std::time::Duration;

use in18_comm::Comm;
use in18_program::{Input, Metrics, Model, PendingMetrics, UpdateScalars};

use crate::error::TrainError;
use crate::loss_scale::{LossScale, LossScaling};

/// About how many bytes of gradients are summed at once, as in PyTorch's `DistributedDataParallel`. Part of what makes runs of
/// several ranks repeat themselves bit by bit: a sum over three or more depends on where it is cut.
pub const BUCKET_BYTES: usize = 25 << 20;

/// How often a device is asked whether it is done: a step takes a hundred times as long.
const POLL: Duration = Duration::from_micros(100);

/// How steps are taken. The model's [`set_update`](Model::set_update) says what each does to its state.
#[derive(Clone, Debug)]
pub struct TrainingStep {
    scaling: LossScaling,
    /// Where gradients are cut into parts that are exchanged one by one.
    cuts: Vec<usize>,
}

/// What the schedule says of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepScalars {
    /// The learning rate.
    pub rate: f32,
    /// The share of the last velocity that is kept.
    pub momentum: f32,
}

/// What a step is about to do, for whoever watches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Forward and backward.
    Computing,
    /// Waiting for the other ranks' gradients. With one rank, it ends at once.
    Exchanging,
    /// The update.
    Updating,
}

/// Is told each stage of a step before it begins.
pub type Watch<'a> = &'a mut dyn FnMut(Stage, &Model, &mut dyn Comm) -> Result<(), TrainError>;

/// A step whose results have not been looked at.
#[derive(Debug)]
pub struct StartedStep {
    /// Its results, once they are there.
    pub metrics: PendingMetrics,
    /// What became of a dynamic loss scale.
    pub scaled: Scaled,
}

/// What a step did to a dynamic loss scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scaled {
    /// Nothing.
    Kept,
    /// It is another from the next step on. With an overflow, the step's update was left out.
    Moved {
        /// Whether gradients were too large.
        overflow: bool,
    },
    /// Gradients are too large, or no numbers, and no smaller scale would help.
    Exhausted,
}

impl TrainingStep {
    /// Steps of a model.
    pub fn new(model: &Model, scaling: LossScaling) -> Self {
        Self::in_parts_of(BUCKET_BYTES, model, scaling)
    }

    /// Steps that exchange gradients in parts of about so many bytes.
    pub fn in_parts_of(bytes: usize, model: &Model, scaling: LossScaling) -> Self {
        TrainingStep { scaling, cuts: model.gradient_cuts(bytes) }
    }

    /// Where gradients are cut for their exchange, in bytes from their beginning.
    pub fn cuts(&self) -> &[usize] {
        &self.cuts
    }

    /// Starts a step over this rank's batch. `scale` is the loss's, where it is a dynamic one.
    ///
    /// # Errors
    /// [`TrainError::Program`], [`TrainError::Comm`], and those of `watch`.
    pub fn start(
        &self,
        (model, comm): (&mut Model, &mut dyn Comm),
        input: Input<'_>,
        at: StepScalars,
        scale: &mut LossScale,
        watch: Watch<'_>,
    ) -> Result<StartedStep, TrainError> {
        let loss_scale = scale.get(self.scaling);
        model.set_loss_scale(loss_scale);
        watch(Stage::Computing, model, comm)?;
        let metrics = self.start_gradients(model, comm, input)?;
        watch(Stage::Exchanging, model, comm)?;
        comm.finish()?;
        if comm.world() > 1 {
            model.take_exchanged()?;
        }
        watch(Stage::Updating, model, comm)?;
        let finite = match self.scaling {
            LossScaling::Fixed(_) => None,
            LossScaling::Dynamic => {
                comm.settle()?;
                Some(model.gradients_are_finite()?)
            }
        };
        if finite != Some(false) {
            // Gradients are sums over the ranks.
            let gradient_scale = (loss_scale * comm.world() as f32).recip();
            model.update(UpdateScalars { rate: at.rate, momentum: at.momentum, gradient_scale })?;
        }
        let scaled = match finite {
            Some(false) if scale.is_exhausted() => Scaled::Exhausted,
            Some(finite) if scale.step(finite) => Scaled::Moved { overflow: !finite },
            _ => Scaled::Kept,
        };
        Ok(StartedStep { metrics, scaled })
    }

    /// Starts forward and backward; gradients start to be summed as soon as those up to a cut are final.
    fn start_gradients(
        &self,
        model: &mut Model,
        comm: &mut dyn Comm,
        input: Input<'_>,
    ) -> Result<PendingMetrics, TrainError> {
        if comm.world() == 1 {
            return Ok(model.start_training(input)?);
        }
        let mut outcome = Ok(());
        let metrics = model.start_training_in_parts(input, &self.cuts, &mut |part, dtype| {
            if outcome.is_ok() {
                outcome = comm.start_sum(part, dtype);
            }
        })?;
        outcome?;
        Ok(metrics)
    }
}

/// The results of a step that was started; waits for them, but not for ever for other ranks.
///
/// # Errors
/// [`TrainError::Program`], [`TrainError::Comm`].
pub fn finish(model: &mut Model, comm: &mut dyn Comm, pending: PendingMetrics) -> Result<Metrics, TrainError> {
    if comm.world() > 1 {
        while !model.is_done(&pending)? {
            comm.watch()?;
            thread::sleep(POLL);
        }
    }
    Ok(model.metrics(pending)?)
}
