//! The plan: phases resolved against a set of images and a number of devices, so that every epoch has its size, batch,
//! steps and folders, and every step its rate.
//!
//! It owns the rules that span phases. It knows no device, file or clock: the number of images is told to it, and
//! folders are suffixes of a data path that it never sees. Everything that can be wrong with a schedule is found here,
//! before the first image is read.
//!
//! The rules are the original trainer's (`Scheduler`, `DataManager`), down to the order of the floating-point
//! operations, so that a rate equals its rate to the last bit.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::phases::{DataPhase, Epochs, LrPhase, Phase, PhaseFault, Phases, Rate};
use crate::value::quote;

/// Lower bound of the random crop's share of the area where `min_scale` is not written.
pub const DEFAULT_MIN_SCALE: f64 = 0.08;

/// What phases are resolved against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanInput {
    /// The number of devices, each of which takes its share of every epoch.
    pub world: usize,
    images: Images,
    drop_last: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Images {
    Uniform(usize),
    ByTrainDir(BTreeMap<String, usize>),
}

impl PlanInput {
    /// Every training folder holds `images` images, as the resized copies of one set do.
    pub fn uniform(world: usize, images: usize) -> Self {
        PlanInput { world, images: Images::Uniform(images), drop_last: false }
    }

    /// Training images by folder suffix; [`Phases::train_dirs`] lists the suffixes that are needed.
    pub fn by_train_dir(world: usize, images: BTreeMap<String, usize>) -> Self {
        PlanInput { world, images: Images::ByTrainDir(images), drop_last: false }
    }

    /// Epochs end before a last step of fewer images.
    pub fn drop_last(self, drop_last: bool) -> Self {
        PlanInput { drop_last, ..self }
    }

    fn images(&self, train_dir: &str) -> Option<usize> {
        match &self.images {
            Images::Uniform(images) => Some(*images),
            Images::ByTrainDir(by_dir) => by_dir.get(train_dir).copied(),
        }
    }
}

/// What every epoch of a run does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// The number of devices it was made for.
    pub world: usize,
    /// The epochs, in order, from epoch 0; never empty.
    pub epochs: Vec<EpochPlan>,
}

/// What one epoch does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EpochPlan {
    /// The epoch, counted from 0.
    pub epoch: usize,
    /// Square size in pixels, for training and validation.
    pub size: usize,
    /// Training images per device and step. The last step may have fewer.
    pub batch: usize,
    /// Training steps: `ceil(ceil(images / world) / batch)`, since the devices' shares are padded to equal length; one fewer where
    /// a last partial one is dropped.
    pub steps: usize,
    /// Training images in the whole set.
    pub images: usize,
    /// Suffix of the training folder: the images lie in `DATA{train_dir}/train`.
    pub train_dir: String,
    /// Suffix of the validation folder.
    pub val_dir: String,
    /// Validation images per device and batch. It is fixed when a set is loaded: `keep_dl` does not change it.
    pub val_batch: usize,
    /// Lower bound of the random crop's share of the area.
    pub min_scale: f64,
    /// Whether validation batches are rectangular.
    pub rect_val: bool,
    /// A phase that changes only the batch (`keep_dl`) starts here.
    pub keep_dl: bool,
    /// A phase that loads a set (anew) starts here.
    pub new_data: bool,
    /// The rate in force.
    pub lr: LrRule,
}

/// How the rate of a step is found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub enum LrRule {
    /// The same for every step.
    Constant {
        /// The rate.
        rate: f64,
    },
    /// On the line through `from` at the start of epoch `start` and `to` at the start of epoch `end`. It goes on past
    /// `end` while no later phase starts.
    Linear {
        /// Rate at the start.
        from: f64,
        /// Rate at the end.
        to: f64,
        /// First epoch.
        start: usize,
        /// Epoch at which `to` is reached.
        end: usize,
        /// The rate moves once an epoch: each step has the rate of the epoch's start.
        epoch_step: bool,
    },
}

/// Phases that make no plan. Phases are counted from 1, epochs from 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields are what the messages name")]
pub enum PlanError {
    /// A phase breaks a rule of its own.
    #[error("phase {phase}: {fault}")]
    Phase { phase: usize, fault: PhaseFault },
    /// No device.
    #[error("the number of devices: expected at least 1, got 0")]
    NoDevices,
    /// No phase says what to train on.
    #[error("no phase has 'bs': add a data phase such as {{'ep': 0, 'sz': 128, 'bs': 64}}")]
    NoDataPhase,
    /// No phase says a rate.
    #[error("no phase has 'lr': add a rate phase such as {{'ep': (0, 5), 'lr': (0.1, 0.4)}}")]
    NoLrPhase,
    /// The run has no epoch.
    #[error(
        "the run would have no epochs: it ends at the largest 'ep' of the rate phases, which is 0; \
         give the last one a pair, as in 'ep': (0, 5)"
    )]
    NoEpochs,
    /// The first epochs have no data.
    #[error("epoch 0 has no size and batch: the first data phase starts at epoch {first}; start one at 'ep': 0")]
    NoSize { first: usize },
    /// The first epochs have no rate.
    #[error("epoch 0 has no learning rate: the first rate phase starts at epoch {first}; start one at 'ep': 0")]
    NoRate { first: usize },
    /// Two data phases start together.
    #[error("phases {first} and {second} both set the data from epoch {epoch} on: keep one, or start one later")]
    SameEpoch { first: usize, second: usize, epoch: usize },
    /// `keep_dl` with nothing loaded.
    #[error("phase {phase} keeps the data of the epochs before (keep_dl), but there are none: give it 'sz' instead")]
    NothingToKeep { phase: usize },
    /// `keep_dl` beside a value that is not the kept one.
    #[error(
        "phase {phase} keeps the data (keep_dl) with '{key}' {kept}, but asks for {asked}: \
         remove 'keep_dl' to load anew, or '{key}' to keep it"
    )]
    KeptOtherwise { phase: usize, key: &'static str, kept: String, asked: String },
    /// The number of images of a folder was not told.
    #[error("the number of training images with the suffix {} is not known (phase {phase})", quote(train_dir))]
    UnknownSet { phase: usize, train_dir: String },
    /// A folder holds no image.
    #[error(
        "the training set with the suffix {} is empty (phase {phase}): expected at least 1 image",
        quote(train_dir)
    )]
    EmptySet { phase: usize, train_dir: String },
    /// A batch that a device can never fill.
    #[error(
        "phase {phase} (epoch {epoch}): 'bs' {batch} is more than a device's share of the training set: \
         {images} images over {world} device(s) are {share} each; lower 'bs' to {share} or less"
    )]
    BatchTooLarge { phase: usize, epoch: usize, batch: usize, images: usize, world: usize, share: usize },
    /// A line that leaves the range of numbers.
    #[error("epoch {epoch}: the learning rate of phase {phase} is not finite there: shorten the line or end it sooner")]
    InfiniteRate { phase: usize, epoch: usize },
}

impl Plan {
    /// Resolves `phases`: the data phase of an epoch is the last to have started; the rate phase is the last *listed*
    /// that has started; the run ends, exclusively, at the largest `ep` of any rate phase.
    ///
    /// # Errors
    /// [`PlanError`], the first thing that keeps some epoch from having exactly one size and one rate.
    pub fn resolve(phases: &Phases, input: &PlanInput) -> Result<Plan, PlanError> {
        for (number, phase) in numbered(phases) {
            phase.check().map_err(|fault| PlanError::Phase { phase: number, fault })?;
        }
        if input.world == 0 {
            return Err(PlanError::NoDevices);
        }
        let starts = data_starts(phases)?;
        let first_data = *starts.first_key_value().ok_or(PlanError::NoDataPhase)?.0;
        let rates: Vec<NumberedRate> = numbered(phases)
            .filter_map(|(phase, written)| written.lr.map(|lr| NumberedRate { phase, ep: written.ep, lr }))
            .collect();
        let first_rate = rates.iter().map(|rate| rate.ep.start()).min().ok_or(PlanError::NoLrPhase)?;
        let end = rates.iter().map(|rate| rate.ep.last_named()).max().unwrap_or(0);
        if end == 0 {
            return Err(PlanError::NoEpochs);
        }
        if first_data > 0 {
            return Err(PlanError::NoSize { first: first_data });
        }
        if first_rate > 0 {
            return Err(PlanError::NoRate { first: first_rate });
        }

        let mut epochs: Vec<EpochPlan> = Vec::with_capacity(end);
        let mut in_force: Option<DataInForce> = None;
        for epoch in 0..end {
            let started = starts.get(&epoch);
            if let Some(&(phase, data)) = started {
                in_force = Some(if data.keep_dl {
                    in_force.ok_or(PlanError::NothingToKeep { phase })?.keep(phase, data)?
                } else {
                    DataInForce::load(phase, data, input)?
                });
            }
            let data = in_force.as_ref().ok_or(PlanError::NoSize { first: first_data })?;
            let rate = rates.iter().rev().find(|rate| rate.ep.start() <= epoch);
            let rate = rate.ok_or(PlanError::NoRate { first: first_rate })?;
            let plan = EpochPlan {
                epoch,
                size: data.size,
                batch: data.batch,
                steps: data.steps(epoch, input)?,
                images: data.images,
                train_dir: data.train_dir.clone(),
                val_dir: data.val_dir.clone(),
                val_batch: data.val_batch,
                min_scale: data.min_scale,
                rect_val: data.rect_val,
                keep_dl: started.is_some_and(|(_, data)| data.keep_dl),
                new_data: started.is_some_and(|(_, data)| !data.keep_dl),
                lr: rate.rule(),
            };
            // A line is monotone, so its ends bound what lies between.
            if !(plan.lr_first().is_finite() && plan.lr_last().is_finite()) {
                return Err(PlanError::InfiniteRate { phase: rate.phase, epoch });
            }
            epochs.push(plan);
        }
        Ok(Plan { world: input.world, epochs })
    }

    /// Training steps of the whole run.
    pub fn total_steps(&self) -> usize {
        self.epochs.iter().fold(0, |steps: usize, epoch| steps.saturating_add(epoch.steps))
    }
}

impl EpochPlan {
    /// The learning rate of a step, `step` counting from 1 to [`EpochPlan::steps`]:
    /// `from + (to - from) * ((epoch - start) * steps + step) / ((end - start) * steps)` for a line.
    pub fn lr(&self, step: usize) -> f64 {
        match self.lr {
            LrRule::Constant { rate } => rate,
            LrRule::Linear { from, to, start, end, epoch_step } => {
                let steps = self.steps as f64;
                let step = if epoch_step { 0.0 } else { step as f64 };
                let total = (end - start) as f64 * steps;
                let done = (self.epoch - start) as f64 * steps + step;
                from + done * ((to - from) / total)
            }
        }
    }

    /// The rate of the first step.
    pub fn lr_first(&self) -> f64 {
        self.lr(1)
    }

    /// The rate of the last step.
    pub fn lr_last(&self) -> f64 {
        self.lr(self.steps)
    }
}

struct NumberedRate {
    phase: usize,
    ep: Epochs,
    lr: LrPhase,
}

impl NumberedRate {
    fn rule(&self) -> LrRule {
        match (self.lr.rate, self.ep) {
            (Rate::Linear(from, to), Epochs::Span(start, end)) => {
                LrRule::Linear { from, to, start, end, epoch_step: self.lr.epoch_step }
            }
            // A pair without a pair of epochs was refused by the check of the phase.
            (Rate::Constant(rate) | Rate::Linear(rate, _), _) => LrRule::Constant { rate },
        }
    }
}

fn numbered(phases: &Phases) -> impl Iterator<Item = (usize, &Phase)> {
    phases.phases.iter().enumerate().map(|(index, phase)| (index + 1, phase))
}

/// The data phases by the epoch at which they start, with their numbers.
fn data_starts(phases: &Phases) -> Result<BTreeMap<usize, (usize, &DataPhase)>, PlanError> {
    let mut starts = BTreeMap::new();
    for (number, phase) in numbered(phases) {
        let Some(data) = &phase.data else { continue };
        let epoch = phase.ep.start();
        if let Some((first, _)) = starts.insert(epoch, (number, data)) {
            return Err(PlanError::SameEpoch { first, second: number, epoch });
        }
    }
    Ok(starts)
}

/// What a data phase has set until the next one starts.
struct DataInForce {
    /// The phase that set it, for messages.
    phase: usize,
    size: usize,
    batch: usize,
    images: usize,
    train_dir: String,
    val_dir: String,
    val_batch: usize,
    min_scale: f64,
    rect_val: bool,
}

impl DataInForce {
    fn load(phase: usize, data: &DataPhase, input: &PlanInput) -> Result<Self, PlanError> {
        let train_dir = data.train_suffix().to_owned();
        let images = match input.images(&train_dir) {
            None => return Err(PlanError::UnknownSet { phase, train_dir }),
            Some(0) => return Err(PlanError::EmptySet { phase, train_dir }),
            Some(images) => images,
        };
        // The check of the phase has refused one that has neither a size nor `keep_dl`.
        let size = data.size.unwrap_or_default();
        Ok(DataInForce {
            phase,
            size,
            batch: data.batch,
            images,
            val_dir: data.val_suffix().to_owned(),
            train_dir,
            val_batch: val_batch(size, data.batch),
            min_scale: data.min_scale.unwrap_or(DEFAULT_MIN_SCALE),
            rect_val: data.rect_val.unwrap_or(false),
        })
    }

    /// Changes only the batch. Values that the phase states again must be the kept ones: the original trainer ignored
    /// them, which would train on something else than what is written.
    fn keep(self, phase: usize, data: &DataPhase) -> Result<Self, PlanError> {
        fn differs<T: PartialEq>(asked: Option<T>, kept: T, show: impl Fn(T) -> String) -> Option<(String, String)> {
            asked.filter(|asked| *asked != kept).map(|asked| (show(kept), show(asked)))
        }
        let restated = [
            ("sz", differs(data.size, self.size, |size| size.to_string())),
            ("trndir", differs(data.train_dir.as_deref(), &self.train_dir, quote)),
            ("valdir", differs(data.val_dir.as_deref(), &self.val_dir, quote)),
            ("min_scale", differs(data.min_scale, self.min_scale, |share| share.to_string())),
            ("rect_val", differs(data.rect_val, self.rect_val, |rect| rect.to_string())),
        ];
        for (key, difference) in restated {
            if let Some((kept, asked)) = difference {
                return Err(PlanError::KeptOtherwise { phase, key, kept, asked });
            }
        }
        Ok(DataInForce { phase, batch: data.batch, ..self })
    }

    /// Every device takes an equal share, padded by wrapping round; its last batch may be partial.
    fn steps(&self, epoch: usize, input: &PlanInput) -> Result<usize, PlanError> {
        let world = input.world;
        let share = self.images.div_ceil(world);
        if self.batch > share {
            let (phase, batch, images) = (self.phase, self.batch, self.images);
            return Err(PlanError::BatchTooLarge { phase, epoch, batch, images, world, share });
        }
        Ok(if input.drop_last { share / self.batch } else { share.div_ceil(self.batch) })
    }
}

/// Validation holds no activations for a backward pass, so it takes at least the batch that fits at that size.
fn val_batch(size: usize, batch: usize) -> usize {
    let least = match size {
        128 => 512,
        224 => 256,
        _ => 128,
    };
    batch.max(least)
}
