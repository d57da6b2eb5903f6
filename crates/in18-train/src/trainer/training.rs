//! An epoch's training.

use std::collections::VecDeque;

use in18_loader::{Batch, BatchPlan, EpochOrder, Loader, StageTimes, TrainingBatch};
use in18_program::{DeviceMemory, PendingMetrics};
use in18_recipe::{EpochPlan, StepPlan};
use in18_record::{Event, MemoryUse, StepRecord};

use crate::clock::Laps;
use crate::data::{augmentation, order_of};
use crate::error::TrainError;
use crate::first_step::Doing;
use crate::step::{Scaled, Stage, StartedStep, StepScalars, finish};
use crate::tally::Tally;
use crate::trainer::ranks::{BatchResults, Position, SummedResults, note};
use crate::trainer::{Trainer, input, named};

/// If the loss exceeds that of guessing by this factor, it has exploded: no training recovers from
/// there.
const EXPLODED: f64 = 100.0;

/// A training step that was started and whose results have not been read.
struct RunningStep {
    step: usize,
    planned: StepPlan,
    metrics: PendingMetrics,
    bad: Vec<(u32, String)>,
    data_seconds: f64,
}

impl Trainer<'_> {
    /// Runs what is left of an epoch's training. Returns where the loader's time went.
    pub(super) fn train(&mut self, epoch: &EpochPlan, loader: &mut Loader) -> Result<StageTimes, TrainError> {
        let recipe = &self.plan.recipe;
        let (seed, number) = (recipe.seed, epoch.epoch as u32);
        let order = EpochOrder::of(loader.set(), order_of(recipe.data.shuffle), seed, number);
        let share = self.share()?;
        let batches = BatchPlan::train_in_order(order, share, |batch| {
            let StepPlan { size, batch: images, min_scale, .. } = self.plan.step(epoch.epoch, batch + 1);
            TrainingBatch { images, sz: size as u32, augmentation: augmentation(recipe, number, min_scale) }
        })?;
        // The plan may drop the last batch, if that is not full, and end the run within the epoch.
        let batches = self.shortened(batches.select(0..epoch.steps));
        let steps = batches.len();
        let mut stream = loader.start(batches.select(self.progress.step..steps))?;
        let mut laps = Laps::start(self.clock);
        let mut running = VecDeque::new();
        loop {
            let asked = self.clock.seconds();
            let step = self.progress.step + running.len() + 1;
            self.note(&Position::Step { step, epoch: epoch.epoch }, "waiting for its images")?;
            self.first_step_does(Doing::Loading);
            let Some(batch) = stream.next()? else { break };
            let data_seconds = self.clock.seconds() - asked;
            running.push_back(self.start_step(epoch, running.len(), &batch, data_seconds)?);
            drop(batch);
            // Before anything is saved, every started step must be finished.
            while running.len() > self.steps_ahead() || (self.is_save_due() && !running.is_empty()) {
                self.finish_first(epoch, steps, &mut running, &mut laps)?;
            }
        }
        while !running.is_empty() {
            self.finish_first(epoch, steps, &mut running, &mut laps)?;
        }
        // If no step was left, no step has ended the watch.
        self.end_first_step();
        Ok(stream.times())
    }

    /// How many steps may be in flight before the trainer reads the first one's results. Where a
    /// device computes beside this thread, one step is launched before the results of the last are
    /// read.
    pub(super) fn steps_ahead(&self) -> usize {
        usize::from(self.model.is_apart())
    }

    /// Starts forward, backward and update. The results of `ahead` earlier steps have not been read
    /// yet.
    fn start_step(
        &mut self,
        epoch: &EpochPlan,
        ahead: usize,
        batch: &Batch<'_>,
        data_seconds: f64,
    ) -> Result<RunningStep, TrainError> {
        let step = self.progress.step + ahead + 1;
        let planned = self.plan.step(epoch.epoch, step);
        if step > 1 {
            let last = self.plan.step(epoch.epoch, step - 1);
            if (last.size, last.batch) != (planned.size, planned.batch) {
                self.watch_step(&planned, epoch.epoch, step);
            }
        }
        let at = StepScalars::from(planned);
        let position = Position::Step { step, epoch: epoch.epoch };
        let Trainer { model, comm, first, progress, .. } = self;
        let started =
            self.step.start((model, *comm), input(batch), at, &mut progress.loss_scale, &mut |stage, _, comm| {
                let (noted, doing) = match stage {
                    Stage::Computing => (Some("computing"), Doing::Computing),
                    Stage::Exchanging if comm.world() > 1 => (Some("exchanging gradients"), Doing::Exchanging),
                    Stage::Exchanging | Stage::Updating => (None, Doing::Computing),
                };
                if let Some(noted) = noted {
                    note(comm, &position, noted)?;
                }
                if let Some(first) = first {
                    first.does(doing);
                }
                Ok(())
            })?;
        let StartedStep { metrics, scaled } = started;
        self.record_scale(epoch.epoch, step, scaled)?;
        Ok(RunningStep { step, planned, metrics, bad: named(batch.bad()), data_seconds })
    }

    /// Finishes the oldest running step. If no other step runs then, meets the requests of signals
    /// and the clock.
    fn finish_first(
        &mut self,
        epoch: &EpochPlan,
        steps: usize,
        running: &mut VecDeque<RunningStep>,
        laps: &mut Laps,
    ) -> Result<(), TrainError> {
        if let Some(step) = running.pop_front() {
            self.finish_step(epoch, (steps, running.len()), step, laps)?;
        }
        if !running.is_empty() {
            return self.take_in_written();
        }
        // What follows may wait for the device: a checkpoint, a validation, another program.
        self.comm.settle()?;
        self.attend_here()
    }

    /// Waits for a step's results, and records them. `others` more steps are running.
    fn finish_step(
        &mut self,
        epoch: &EpochPlan,
        (steps, others): (usize, usize),
        running: RunningStep,
        laps: &mut Laps,
    ) -> Result<(), TrainError> {
        let RunningStep { step, planned: StepPlan { size, rate, momentum, .. }, metrics, bad, data_seconds } = running;
        if self.model.is_apart() {
            self.first_step_does(Doing::Finishing);
        }
        let metrics = finish(self.model, self.comm, metrics)?;
        let images = metrics.images as u64;
        let own = BatchResults { metrics, bad, left: steps - step };
        // The newest step that this rank has started: its notes must never go back.
        let position = Position::Step { step: step + others, epoch: epoch.epoch };
        let SummedResults { metrics, .. } = self.sum_results(own, "train", &epoch.train_dir, &position)?;
        self.end_first_step();
        let tally = Tally::from(metrics);
        if !self.is_sane(tally.loss()) {
            let (epoch, loss, kept) = (epoch.epoch, tally.loss(), self.kept_by_all()?);
            return Err(TrainError::NotFinite { epoch, step, steps, loss, rate, kept });
        }
        self.record_rate(epoch.epoch, step, steps, rate);
        let images_before = self.progress.images_seen;
        let step_seconds = laps.lap();
        self.progress.add_step(&metrics, step_seconds, data_seconds);
        let (network, memory) = (self.traffic.rate(), self.model.device_memory().map(memory_use));
        self.record(Event::Step(StepRecord {
            epoch: epoch.epoch,
            step,
            steps,
            images,
            images_total: tally.images,
            images_before,
            size,
            lr: rate,
            momentum: f64::from(momentum as f32),
            loss: tally.loss(),
            top1: tally.top1(),
            top5: tally.top5(),
            step_seconds,
            data_seconds,
            means: self.progress.means(),
            network,
            memory,
        }));
        Ok(())
    }

    /// Records a change of a dynamic loss scale.
    fn record_scale(&mut self, epoch: usize, step: usize, scaled: Scaled) -> Result<(), TrainError> {
        match scaled {
            Scaled::Kept => {}
            Scaled::Moved { overflow } => {
                let scale = self.progress.loss_scale;
                let (scale, overflows) = (f64::from(scale.get()), scale.overflows);
                self.record(Event::LossScale { epoch, step, scale, overflow, overflows });
            }
            Scaled::Exhausted => return Err(TrainError::Overflow { epoch, step, kept: self.kept_by_all()? }),
        }
        Ok(())
    }

    /// Records a change of the learning rate at an epoch's first and last step, as the original
    /// does.
    fn record_rate(&mut self, epoch: usize, step: usize, steps: usize, rate: f64) {
        let from = self.progress.last_rate;
        if from != Some(rate) && (step == 1 || step == steps) {
            self.record(Event::RateChange { epoch, step, from, to: rate });
        }
        self.progress.last_rate = Some(rate);
    }

    fn is_sane(&self, loss: f64) -> bool {
        let guessing = self.model.loss().of_guessing(self.data.classes().len());
        loss.is_finite() && loss < EXPLODED * guessing
    }
}

fn memory_use(memory: DeviceMemory) -> MemoryUse {
    let DeviceMemory { allocated, max_allocated, cached, max_cached } = memory;
    MemoryUse { allocated, max_allocated, cached, max_cached }
}
