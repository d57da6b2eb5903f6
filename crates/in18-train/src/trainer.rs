//! The loop over a plan's epochs.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use in18_loader::{Augmentation, Batch, BatchPlan, Loader, Share};
use in18_optim::{Parameter, Sgd};
use in18_program::{Metrics, Mode, Model, Size};
use in18_recipe::{EpochPlan, Plan};
use in18_record::{DataChange, EpochRecord, EvalRecord, Event, Recorder, RunEnd, RunStart, StepRecord};
use in18_weights::save_parameters;

use crate::clock::{Clock, Laps};
use crate::data::Data;
use crate::error::TrainError;
use crate::memory::peak_rss_bytes;
use crate::tally::Tally;

/// Batches of an epoch under `--short-epoch`.
const SHORT_EPOCH: usize = 10;

/// What a run is told beside its plan and its data.
#[derive(Clone, Debug, PartialEq)]
pub struct RunOptions {
    /// Share of the last velocity that is kept.
    pub momentum: f32,
    /// L2 penalty.
    pub weight_decay: f32,
    /// Whether batch normalisation's gamma and beta go without the penalty.
    pub no_bn_wd: bool,
    /// Seed of the images' order and augmentation.
    pub seed: u64,
    /// Loader threads.
    pub workers: NonZeroUsize,
    /// Whether epochs end after a few batches, to try out a schedule.
    pub short_epoch: bool,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Each epoch.
    pub epochs: Vec<EpochRecord>,
    /// Totals.
    pub end: RunEnd,
}

/// A run: a model that goes through a plan.
pub struct Trainer<'a> {
    model: &'a mut Model,
    data: &'a mut Data,
    plan: &'a Plan,
    options: RunOptions,
    optimizer: Sgd,
    recorder: &'a mut Recorder,
    clock: Clock,
    images_seen: u64,
    steps: u64,
    last_rate: Option<f64>,
}

/// What is in use from one change of data to the next.
struct Loaders {
    train: Loader,
    validation: Loader,
    /// The same at every epoch.
    validation_batches: BatchPlan,
}

impl<'a> Trainer<'a> {
    /// Prepares a run of an initialised model.
    pub fn new(
        model: &'a mut Model,
        data: &'a mut Data,
        plan: &'a Plan,
        options: RunOptions,
        recorder: &'a mut Recorder,
    ) -> Self {
        let optimizer = optimizer(model, options.momentum, options.weight_decay, options.no_bn_wd);
        Trainer {
            model,
            data,
            plan,
            options,
            optimizer,
            recorder,
            clock: Clock::start(),
            images_seen: 0,
            steps: 0,
            last_rate: None,
        }
    }

    /// Runs all epochs and saves the parameters. `start` says what is trained; the events carry it.
    ///
    /// # Errors
    /// [`TrainError`], which is also recorded; what was recorded until then stays.
    pub fn run(mut self, start: RunStart, parameters: &Path) -> Result<Outcome, TrainError> {
        let arch = start.arch.clone();
        self.record(Event::RunStart(start));
        let outcome = self.epochs().and_then(|epochs| self.finish(epochs, &arch, parameters));
        if let Err(error) = &outcome {
            self.record(Event::Warning { text: format!("The run ends here: {error}") });
        }
        outcome
    }

    fn epochs(&mut self) -> Result<Vec<EpochRecord>, TrainError> {
        let mut loaders: Option<Loaders> = None;
        let mut epochs = Vec::new();
        let plan = self.plan;
        for epoch in &plan.epochs {
            if epoch.new_data || loaders.is_none() {
                // The worker threads of sets that are not needed any more end first.
                drop(loaders.take());
                loaders = Some(self.change_data(epoch)?);
            } else if epoch.keep_dl {
                self.model.forget_programs();
                self.record(Event::BatchChange { epoch: epoch.epoch, batch: epoch.batch });
            }
            if let Some(loaders) = &mut loaders {
                epochs.push(self.epoch(epoch, loaders)?);
            }
        }
        Ok(epochs)
    }

    fn finish(&mut self, epochs: Vec<EpochRecord>, arch: &str, parameters: &Path) -> Result<Outcome, TrainError> {
        save_parameters(parameters, self.model, arch, self.data.classes(), self.steps)?;
        let (what, path) = ("parameters".to_owned(), parameters.display().to_string());
        self.record(Event::Saved { what, path });
        let end = self.end(&epochs);
        self.record(Event::RunEnd(end.clone()));
        Ok(Outcome { epochs, end })
    }

    fn change_data(&mut self, epoch: &EpochPlan) -> Result<Loaders, TrainError> {
        self.model.forget_programs();
        let workers = self.options.workers.get();
        let train = Arc::clone(self.data.train(&epoch.train_dir));
        let validation = Arc::clone(self.data.validation(&epoch.val_dir));
        self.record(Event::DataChange(DataChange {
            epoch: epoch.epoch,
            size: epoch.size,
            batch: epoch.batch,
            val_batch: epoch.val_batch,
            train_dir: train.root().display().to_string(),
            val_dir: validation.root().display().to_string(),
            min_scale: epoch.min_scale,
            rect_val: epoch.rect_val,
        }));
        // What can fail fails now and not after an epoch of training: memory, image headers, sizes.
        self.model.prepare(Mode::Training, Size { batch: epoch.batch, height: epoch.size, width: epoch.size })?;
        let validation_batches = self.validation_batches(epoch, validation.len())?;
        Ok(Loaders {
            train: Loader::new(train, workers)?,
            validation: Loader::new(validation, workers)?,
            validation_batches,
        })
    }

    fn epoch(&mut self, epoch: &EpochPlan, loaders: &mut Loaders) -> Result<EpochRecord, TrainError> {
        let mut laps = Laps::start(self.clock);
        let (training, data_seconds) = self.train(epoch, &mut loaders.train)?;
        let train_seconds = laps.lap();
        let validation = self.validate(epoch, loaders)?;
        let eval_seconds = laps.lap();
        let record = EpochRecord {
            epoch: epoch.epoch,
            hours: self.clock.seconds() / 3600.0,
            images_seen: self.images_seen,
            size: epoch.size,
            train_loss: training.loss(),
            train_top1: training.top1(),
            train_top5: training.top5(),
            val_loss: validation.loss(),
            top1: validation.top1(),
            top5: validation.top5(),
            train_seconds,
            data_seconds,
            eval_seconds,
            images_per_s: training.images as f64 / train_seconds,
        };
        self.record(Event::EpochEnd(record.clone()));
        Ok(record)
    }

    /// The training half of an epoch; also returns the seconds spent waiting for data.
    fn train(&mut self, epoch: &EpochPlan, loader: &mut Loader) -> Result<(Tally, f64), TrainError> {
        let augmentation =
            Augmentation { seed: self.options.seed, epoch: epoch.epoch as u32, min_scale: epoch.min_scale };
        let images = loader.set().len() as u32;
        let batches = BatchPlan::train(images, Share::ALL, epoch.batch, epoch.size as u32, augmentation)?;
        let batches = self.shortened(batches);
        let steps = batches.len();
        let mut stream = loader.start(batches)?;
        let (mut total, mut waited) = (Tally::default(), 0.0);
        let mut laps = Laps::start(self.clock);
        let mut step = 0;
        loop {
            let asked = self.clock.seconds();
            let Some(batch) = stream.next()? else { break };
            let data_seconds = self.clock.seconds() - asked;
            step += 1;
            let rate = epoch.lr(step);
            self.record_rate(epoch.epoch, step, steps, rate);
            let metrics = self.model.train_step(size(&batch), batch.pixels(), batch.labels())?;
            drop(batch);
            let tally = Tally::from(metrics);
            if !tally.loss().is_finite() {
                let (epoch, loss) = (epoch.epoch, tally.loss());
                return Err(TrainError::NotFinite { epoch, step, steps, loss, rate });
            }
            let updates = self.optimizer.updates(rate as f32, self.model.trainable_arenas());
            self.model.update(&updates)?;
            total.add(&metrics);
            waited += data_seconds;
            let record = self.step_record(epoch, (step, steps), rate, &tally, (laps.lap(), data_seconds));
            self.images_seen += tally.images;
            self.steps += 1;
            self.record(Event::Step(record));
        }
        Ok((total, waited))
    }

    fn validation_batches(&mut self, epoch: &EpochPlan, images: usize) -> Result<BatchPlan, TrainError> {
        let (sz, batch) = (epoch.size as u32, epoch.val_batch);
        let batches = if epoch.rect_val {
            let sizes = self.data.validation_sizes(&epoch.val_dir, self.options.workers)?;
            BatchPlan::rectangular_validation(sizes, Share::ALL, batch, sz)?
        } else {
            BatchPlan::validation(images as u32, Share::ALL, batch, sz)?
        };
        Ok(self.shortened(batches))
    }

    fn validate(&mut self, epoch: &EpochPlan, loaders: &mut Loaders) -> Result<Tally, TrainError> {
        let batches = loaders.validation_batches.clone();
        let steps = batches.len();
        let mut stream = loaders.validation.start(batches)?;
        let mut total = Tally::default();
        let mut laps = Laps::start(self.clock);
        let mut step = 0;
        while let Some(batch) = stream.next()? {
            step += 1;
            let metrics: Metrics = self.model.evaluate(size(&batch), batch.pixels(), batch.labels())?;
            total.add(&metrics);
            let tally = Tally::from(metrics);
            self.record(Event::EvalStep(EvalRecord {
                epoch: epoch.epoch,
                step,
                steps,
                images_total: tally.images,
                loss: tally.loss(),
                top1: tally.top1(),
                top5: tally.top5(),
                step_seconds: laps.lap(),
            }));
        }
        if !total.loss().is_finite() {
            let (epoch, loss, rate) = (epoch.epoch, total.loss(), epoch.lr_last());
            return Err(TrainError::ValidationNotFinite { epoch, loss, rate });
        }
        Ok(total)
    }

    fn shortened(&self, batches: BatchPlan) -> BatchPlan {
        if self.options.short_epoch { batches.select(0..SHORT_EPOCH) } else { batches }
    }

    /// As the original: a change of rate is told of at an epoch's first and last step.
    fn record_rate(&mut self, epoch: usize, step: usize, steps: usize, rate: f64) {
        if self.last_rate != Some(rate) && (step == 1 || step == steps) {
            self.record(Event::RateChange { epoch, step, from: self.last_rate, to: rate });
        }
        self.last_rate = Some(rate);
    }

    fn step_record(
        &self,
        epoch: &EpochPlan,
        (step, steps): (usize, usize),
        lr: f64,
        tally: &Tally,
        (step_seconds, data_seconds): (f64, f64),
    ) -> StepRecord {
        StepRecord {
            epoch: epoch.epoch,
            step,
            steps,
            images: tally.images,
            images_total: tally.images,
            images_before: self.images_seen,
            size: epoch.size,
            lr,
            momentum: f64::from(self.optimizer.momentum()),
            loss: tally.loss(),
            top1: tally.top1(),
            top5: tally.top5(),
            step_seconds,
            data_seconds,
            network: None,
            memory: None,
        }
    }

    fn end(&self, epochs: &[EpochRecord]) -> RunEnd {
        let sum = |part: fn(&EpochRecord) -> f64| epochs.iter().map(part).sum();
        RunEnd {
            epochs: epochs.len(),
            images_seen: self.images_seen,
            seconds: self.clock.seconds(),
            train_seconds: sum(|epoch| epoch.train_seconds),
            data_seconds: sum(|epoch| epoch.data_seconds),
            eval_seconds: sum(|epoch| epoch.eval_seconds),
            top1: epochs.last().map_or(0.0, |epoch| epoch.top1),
            top5: epochs.last().map_or(0.0, |epoch| epoch.top5),
            peak_rss_bytes: peak_rss_bytes(),
        }
    }

    fn record(&mut self, event: Event) {
        self.recorder.record(self.clock.stamp(), &event);
    }
}

/// SGD over all of a model's parameters, by the recipe: the penalty is on everything, or with `no_bn_wd` on everything
/// but batch normalisation's gamma and beta.
pub fn optimizer(model: &Model, momentum: f32, weight_decay: f32, no_bn_wd: bool) -> Sgd {
    let parameters = model.parameters().entries().iter().map(|entry| Parameter {
        offset: entry.offset,
        bytes: entry.bytes(),
        weight_decay: if no_bn_wd && entry.role.is_batch_norm() { 0.0 } else { weight_decay },
    });
    Sgd::new(parameters, momentum)
}

fn size(batch: &Batch<'_>) -> Size {
    let pixels = batch.size();
    Size { batch: batch.len(), height: pixels.height as usize, width: pixels.width as usize }
}
