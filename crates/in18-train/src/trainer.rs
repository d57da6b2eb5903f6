//! The loop over a plan's epochs.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use in18_comm::Comm;
use in18_dataset::ImageSet;
use in18_loader::{self as loader, BadImage, Batch, BatchPlan, Loader, OnBadImage, Share, StageTimes};
use in18_program::{Input, Metrics, MixedIn, Model, Size, Targets};
use in18_recipe::{EpochPlan, Plan};
use in18_record::{EpochRecord, Event, LoaderRecord, Recorder, RunEnd, RunStart};
use in18_system::proc::peak_rss_bytes;
use in18_weights::save_parameters;

use crate::attribution;
use crate::checkpoint::{Store, Tables};
use crate::clock::{Clock, Laps};
use crate::data::Data;
use crate::error::{Half, TrainError};
use crate::evaluation::Evaluation;
use crate::first_step::{Doing, FirstStep};
use crate::progress::Progress;
use crate::step::TrainingStep;
use crate::stop_at::StopAt;
use crate::traffic::TrafficMeter;
use crate::views::Views;

mod goal;
mod preparing;
mod ranks;
mod saving;
mod training;
mod validation;

use ranks::{BatchResults, Position, Requests};
pub use saving::Saving;

/// The metrics of no images.
const NOTHING: Metrics = Metrics { images: 0, loss_sum: 0.0, top1: 0, top5: 0 };

/// The most batches of an epoch with `--short-epoch`.
const SHORT_EPOCH: usize = 10;

/// What a trainer is told beside its plan: nothing that a recipe decides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Loader threads.
    pub workers: NonZeroUsize,
    /// What happens at an image that cannot be loaded.
    pub on_bad_image: OnBadImage,
    /// Whether epochs end after a few batches, to try out a schedule.
    pub short_epoch: bool,
    /// How long the first step of a run or of an image size may take. After that, a line says what
    /// the step is doing.
    pub patience: Duration,
}

impl Settings {
    /// The number of an epoch's planned steps that are taken.
    pub fn steps_of(&self, planned: usize) -> usize {
        if self.short_epoch { planned.min(SHORT_EPOCH) } else { planned }
    }
}

/// What a run works with.
pub struct Parts<'a> {
    /// The ranks.
    pub comm: &'a mut dyn Comm,
    /// The network.
    pub model: &'a mut Model,
    /// The images.
    pub data: &'a mut Data,
    /// The log of what happens.
    pub recorder: &'a mut Recorder,
}

/// The result of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Each epoch.
    pub epochs: Vec<EpochRecord>,
    /// Totals.
    pub end: RunEnd,
    /// The accuracy at which the run should have ended, if no evaluation reached it.
    pub missed: Option<StopAt>,
}

/// A run: a model that goes through a plan.
pub struct Trainer<'a> {
    comm: &'a mut dyn Comm,
    model: &'a mut Model,
    data: &'a mut Data,
    plan: &'a Plan,
    settings: Settings,
    recorder: &'a mut Recorder,
    clock: Clock,
    progress: Progress,
    saving: Saving,
    /// Only on rank 0, which alone writes.
    store: Option<Store>,
    step: TrainingStep,
    evaluation: Evaluation,
    requests: Requests,
    traffic: TrafficMeter,
    /// Present during the first step after a change of data.
    first: Option<FirstStep>,
    /// Seconds of the run when the last checkpoint was taken.
    saved_at: f64,
}

/// The checkpoint that a run is continued from.
pub struct Continued {
    /// Its file.
    pub checkpoint: String,
    /// The number of devices of its run.
    pub world: usize,
}

/// The loaders between one change of data and the next.
struct Loaders {
    train: Loader,
    validation: Loader,
    /// The batches of validation, the same in every epoch of one size.
    validation_batches: BatchPlan,
    /// What they were made for.
    views: Views,
}

impl<'a> Trainer<'a> {
    /// Prepares a run. The model has its update, and either initial values or a checkpoint's state
    /// with `progress`.
    ///
    /// # Errors
    /// [`TrainError::Write`] if the folder of checkpoints cannot be made.
    pub fn new(
        parts: Parts<'a>,
        plan: &'a Plan,
        settings: Settings,
        saving: Saving,
        progress: Progress,
    ) -> Result<Self, TrainError> {
        let Parts { comm, model, data, recorder } = parts;
        let recipe = &plan.recipe;
        let (step, evaluation) = (TrainingStep::new(model, recipe.loss.scale), Evaluation::new(recipe.evaluate.tta));
        let store = match comm.rank() {
            0 => Some(Store::open(saving.checkpoints.clone(), Tables::of(model), progress.steps)?),
            _ => None,
        };
        let requests = Requests::default();
        let (clock, saved_at) = (Clock::start(progress.seconds), progress.seconds);
        Ok(Trainer {
            comm,
            model,
            data,
            plan,
            settings,
            recorder,
            clock,
            progress,
            saving,
            store,
            step,
            evaluation,
            requests,
            traffic: TrafficMeter::default(),
            first: None,
            saved_at,
        })
    }

    /// Runs all epochs that are left, or those up to the first that reaches the accuracy of the
    /// progress's `stop_at`, and saves the parameters. `start` says what is trained; it is
    /// `None` if the logs continue and have it already. `from` is the checkpoint that the model's
    /// state comes from.
    ///
    /// # Errors
    /// [`TrainError`], which is also recorded. Earlier records stay.
    pub fn run(
        mut self,
        start: Option<RunStart>,
        from: Option<Continued>,
        parameters: &Path,
    ) -> Result<Outcome, TrainError> {
        if let Some(start) = start {
            self.record(Event::RunStart(start));
        }
        if let Some(Continued { checkpoint: from, world }) = from {
            let Progress { epoch, step, images_seen, .. } = self.progress;
            let now = self.comm.world();
            let world = (now != world).then_some(now);
            self.record(Event::Resumed { epoch, step, images_seen, from, world });
        }
        let outcome = self.epochs().and_then(|()| self.finish(parameters));
        self.end_first_step();
        if let Err(error) = &outcome {
            self.record(Event::Stopped { reason: error.to_string() });
        }
        outcome
    }

    fn epochs(&mut self) -> Result<(), TrainError> {
        let mut loaders: Option<Loaders> = None;
        let plan = self.plan;
        for epoch in &plan.epochs[self.progress.epoch.min(plan.epochs.len())..] {
            if self.has_reached() {
                break;
            }
            // If an epoch continues in its middle, its changes are on record already.
            let begins = self.progress.step == 0;
            let changes = epoch.new_data || loaders.is_none();
            if changes {
                // The worker threads of the last sets end before new ones start.
                drop(loaders.take());
                loaders = Some(self.change_data(epoch, begins && epoch.new_data)?);
            }
            if epoch.keep_dl {
                if !changes {
                    self.watch_first_step(epoch);
                    self.model.forget_programs();
                    self.prepare_training(epoch)?;
                }
                if begins {
                    self.record(Event::BatchChange { epoch: epoch.epoch, batch: epoch.batch });
                }
            }
            if let Some(loaders) = &mut loaders {
                self.follow_size(epoch, loaders)?;
                self.epoch(epoch, loaders)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, parameters: &Path) -> Result<Outcome, TrainError> {
        let missed = self.judge();
        self.note(&Position::RunEnd, "saving the network")?;
        self.finish_saving()?;
        if self.comm.rank() == 0 {
            let arch = &self.saving.network.arch;
            save_parameters(parameters, self.model, arch, self.data.classes(), self.progress.steps)?;
        }
        // No rank ends while another one could still fail.
        self.note(&Position::RunEnd, "waiting for the others")?;
        self.barrier()?;
        let (what, path) = ("parameters".to_owned(), parameters.display().to_string());
        self.record(Event::Saved { what, path });
        match self.progress.skipped.count() {
            0 => {}
            count => self.record(Event::Warning { text: format!("{count} images could not be loaded; see above") }),
        }
        let end = self.end();
        self.record(Event::RunEnd(end.clone()));
        Ok(Outcome { epochs: std::mem::take(&mut self.progress.epochs), end, missed })
    }

    fn first_step_does(&self, doing: Doing) {
        if let Some(first) = &self.first {
            first.does(doing);
        }
    }

    fn end_first_step(&mut self) {
        if self.first.take().is_some() {
            self.model.forget_watcher();
        }
    }

    fn epoch(&mut self, epoch: &EpochPlan, loaders: &mut Loaders) -> Result<(), TrainError> {
        let times = self.train(epoch, &mut loaders.train);
        let times = times.map_err(|error| error.in_half(epoch.epoch, Half::Training, epoch.batch))?;
        let trained = self.point();
        let mut laps = Laps::start(self.clock);
        let validation = self.validate(epoch, loaders, &trained);
        let validation = validation.map_err(|error| error.in_half(epoch.epoch, Half::Validation, epoch.val_batch))?;
        let eval_seconds = laps.lap();
        let Progress { images_seen, ref training, train_seconds, data_seconds, .. } = self.progress;
        let record = EpochRecord {
            epoch: epoch.epoch,
            hours: self.clock.seconds() / 3600.0,
            images_seen,
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
            skipped: self.progress.skipped.count() as u64,
        };
        // Recorded after the validation, because an interrupted validation begins anew.
        self.record_loader(epoch, times);
        self.record(Event::EpochEnd(record.clone()));
        let is_best = self.progress.finish_epoch(record, self.saving.checkpoints.best_top5);
        let point = self.point();
        self.save(&point, is_best)?;
        // All requests so far are met by the checkpoint that was just saved.
        self.saving.signals.saving();
        let nothing = BatchResults { metrics: NOTHING, bad: Vec::new(), left: 0 };
        self.sum_results(nothing, "validation", &epoch.val_dir, &Position::End { epoch: epoch.epoch })?;
        self.stop_if_asked(&point)
    }

    fn record_loader(&mut self, epoch: &EpochPlan, times: StageTimes) {
        let advice = attribution::advice(&attribution::Epoch {
            number: epoch.epoch,
            train_seconds: self.progress.train_seconds,
            data_seconds: self.progress.data_seconds,
            times,
            workers: self.settings.workers.get(),
            cores: available_parallelism().map_or(1, NonZeroUsize::get),
            size: epoch.size,
            data: &self.data.path().display().to_string(),
        });
        self.record(Event::Loader(LoaderRecord {
            epoch: epoch.epoch,
            read_seconds: times.read.as_secs_f64(),
            decode_seconds: times.decode.as_secs_f64(),
            resize_seconds: times.resize.as_secs_f64(),
            slot_seconds: times.slot.as_secs_f64(),
            advice,
        }));
    }

    /// This rank's share of the images.
    fn share(&self) -> Result<Share, TrainError> {
        Ok(Share::new(self.comm.rank(), self.comm.world())?)
    }

    /// Notes images that could not be loaded, each once in a run.
    fn skip(&mut self, split: &str, suffix: &str, bad: Vec<(u32, String)>) -> Result<(), TrainError> {
        if bad.is_empty() {
            return Ok(());
        }
        let name = format!("DATA{suffix}/{split}");
        let (set, instead): (Arc<ImageSet>, _) = match split {
            "train" => (Arc::clone(self.data.train(suffix)), "another image takes its place"),
            _ => (Arc::clone(self.data.validation(suffix)), "it is left out"),
        };
        for (image, error) in bad {
            if self.progress.skipped.add(&name, image) {
                self.record(Event::Warning { text: format!("{error}; {instead}") });
            }
        }
        self.progress.skipped.check(&name, &set)
    }

    fn shortened(&self, batches: BatchPlan) -> BatchPlan {
        let steps = self.settings.steps_of(batches.len());
        if steps < batches.len() { batches.select(0..steps) } else { batches }
    }

    fn end(&self) -> RunEnd {
        let epochs = &self.progress.epochs;
        let sum = |part: fn(&EpochRecord) -> f64| epochs.iter().map(part).sum();
        RunEnd {
            epochs: epochs.len(),
            images_seen: self.progress.images_seen,
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

/// The numbers of bad images, with what is wrong with each.
fn named(bad: &[BadImage]) -> Vec<(u32, String)> {
    bad.iter().map(|bad| (bad.image, bad.error.to_string())).collect()
}

fn input<'a>(batch: &'a Batch<'_>) -> Input<'a> {
    let pixels = batch.size();
    let size = Size { batch: batch.len(), height: pixels.height as usize, width: pixels.width as usize };
    let mixed_in = batch.mixed_in().map(|loader::MixedIn { labels, share }| MixedIn { labels, share });
    Input { size, pixels: batch.pixels(), targets: Targets { labels: batch.labels(), mixed_in } }
}
