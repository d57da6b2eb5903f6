//! One training step: forward and backward over a batch, sums of the gradients over the ranks, and
//! the update. The gradients that are ready first are summed while the others are computed.

use std::thread;
use std::time::Duration;

use in18_comm::Comm;
use in18_program::{Average, Input, Metrics, Model, PendingMetrics, UpdateScalars};
use in18_recipe::{LossScale, StepPlan};

use crate::error::TrainError;
use crate::loss_scale::DynamicScale;

/// About how many bytes of gradients are summed at once, as in PyTorch's `DistributedDataParallel`.
/// A sum over three or more ranks depends on where it is cut. So this number must stay the same for
/// runs of several ranks to repeat bit by bit.
pub const BUCKET_BYTES: usize = 25 << 20;

/// How often a device is asked whether it has finished. A step takes a hundred times as long.
const POLL: Duration = Duration::from_micros(100);

/// How steps are taken. The model's [`set_update`](Model::set_update) says what each step does to
/// its state.
#[derive(Clone, Debug)]
pub struct TrainingStep {
    loss_scale: LossScale,
    /// Where gradients are cut into parts that are exchanged one by one.
    cuts: Vec<usize>,
}

/// The numbers that the schedule gives a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepScalars {
    /// The learning rate.
    pub rate: f32,
    /// The share of the last velocity that is kept.
    pub momentum: f32,
    /// The share of a decoupled weight decay that is due.
    pub decay: f32,
    /// The averages that move after the update, with what they keep of themselves.
    pub averages: [Option<(Average, f32)>; 2],
}

impl StepScalars {
    /// The averages that move: what slow weights and the moving average keep of themselves. The
    /// moving average sees what is left after the slow weights were met.
    pub fn averages(lookahead: Option<f64>, ema: Option<f64>) -> [Option<(Average, f32)>; 2] {
        let averages = [(Average::Lookahead, lookahead), (Average::Ema, ema)];
        averages.map(|(average, kept)| kept.map(|kept| (average, kept as f32)))
    }
}

impl From<StepPlan> for StepScalars {
    fn from(StepPlan { rate, momentum, decay, lookahead, ema, .. }: StepPlan) -> Self {
        let averages = StepScalars::averages(lookahead, ema);
        StepScalars { rate: rate as f32, momentum: momentum as f32, decay: decay as f32, averages }
    }
}

/// What a step is about to do, for its watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Forward and backward.
    Computing,
    /// Waiting for the other ranks' gradients. With one rank, this stage ends at once.
    Exchanging,
    /// The update.
    Updating,
}

/// A function that is called before each stage of a step.
pub type Watch<'a> = &'a mut dyn FnMut(Stage, &Model, &mut dyn Comm) -> Result<(), TrainError>;

/// A step that was started and whose results have not been read.
#[derive(Debug)]
pub struct StartedStep {
    /// The results, once they arrive.
    pub metrics: PendingMetrics,
    /// What the step did to a dynamic loss scale.
    pub scaled: Scaled,
}

/// What a step did to a dynamic loss scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scaled {
    /// The scale is as it was.
    Kept,
    /// The scale changes from the next step on. After an overflow, the step's update was left out.
    Moved {
        /// Whether gradients overflowed.
        overflow: bool,
    },
    /// Gradients are too large, or not finite, and no smaller scale would help.
    Exhausted,
}

impl TrainingStep {
    /// Steps of a model.
    pub fn new(model: &Model, loss_scale: LossScale) -> Self {
        Self::in_parts_of(BUCKET_BYTES, model, loss_scale)
    }

    /// Steps that exchange gradients in parts of about `bytes` bytes.
    pub fn in_parts_of(bytes: usize, model: &Model, loss_scale: LossScale) -> Self {
        TrainingStep { loss_scale, cuts: model.gradient_cuts(bytes) }
    }

    /// Where gradients are cut for their exchange: offsets in bytes.
    pub fn cuts(&self) -> &[usize] {
        &self.cuts
    }

    /// Starts a step over this rank's batch. `scale` counts only if the loss's scale is
    /// dynamic.
    ///
    /// # Errors
    /// [`TrainError::Program`], [`TrainError::Comm`], and errors of `watch`.
    pub fn start(
        &self,
        (model, comm): (&mut Model, &mut dyn Comm),
        input: Input<'_>,
        at: StepScalars,
        scale: &mut DynamicScale,
        watch: Watch<'_>,
    ) -> Result<StartedStep, TrainError> {
        let loss_scale = scale.of_step(self.loss_scale);
        model.set_loss_scale(loss_scale);
        watch(Stage::Computing, model, comm)?;
        let metrics = self.start_gradients(model, comm, input)?;
        watch(Stage::Exchanging, model, comm)?;
        comm.finish()?;
        if comm.world() > 1 {
            model.take_exchanged()?;
        }
        watch(Stage::Updating, model, comm)?;
        let finite = match self.loss_scale {
            LossScale::Fixed(_) => None,
            LossScale::Dynamic { .. } => {
                comm.settle()?;
                Some(model.gradients_are_finite()?)
            }
        };
        if finite != Some(false) {
            // The gradients are sums over the ranks.
            let gradient_scale = (loss_scale * comm.world() as f32).recip();
            let StepScalars { rate, momentum, decay, .. } = at;
            model.update(UpdateScalars { rate, momentum, gradient_scale, decay })?;
        }
        for (average, kept) in at.averages.into_iter().flatten() {
            model.move_average(average, kept)?;
        }
        let scaled = match finite {
            Some(false) if scale.is_exhausted() => Scaled::Exhausted,
            Some(finite) if scale.step(finite) => Scaled::Moved { overflow: !finite },
            _ => Scaled::Kept,
        };
        Ok(StartedStep { metrics, scaled })
    }

    /// Starts forward and backward. As soon as the gradients up to a cut are final, their sum is
    /// started.
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

/// Waits for the results of a started step, and returns them. While it waits, it looks for lost
/// ranks.
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
