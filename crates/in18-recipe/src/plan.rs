//! The plan: a recipe resolved against a set of images and a number of devices, so that every epoch
//! has its size, batch, steps and folders, and every step its rate and momentum.
//!
//! It owns the rules that span phases. It knows no device, file or clock: the number of images is
//! told to it, and folders are suffixes of a data path that it never sees. Everything that can be
//! wrong with a schedule is found here, before the first image is read.
//!
//! The rules are the original trainer's (`Scheduler`, `DataManager`), down to the order of the
//! floating-point operations, so that a rate equals its rate to the last bit.

use std::collections::BTreeMap;

use serde::Serialize;

use self::data::{DataInForce, data_starts};
pub use self::error::PlanError;
use crate::curve::Curve;
use crate::fault::ensure;
use crate::phases::{Epochs, LrPhase, Phase, Phases, Rate};
use crate::recipe::Recipe;

mod data;
mod error;

/// What a recipe is resolved against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanInput {
    /// The number of devices, each of which takes its share of every epoch.
    pub world: usize,
    images: Images,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Images {
    Uniform(usize),
    ByTrainDir(BTreeMap<String, usize>),
}

impl PlanInput {
    /// Every training folder holds `images` images, as the resized copies of one set do.
    pub fn uniform(world: usize, images: usize) -> Self {
        PlanInput { world, images: Images::Uniform(images) }
    }

    /// Training images by folder suffix; [`Phases::train_dirs`] lists the suffixes that are needed.
    pub fn by_train_dir(world: usize, images: BTreeMap<String, usize>) -> Self {
        PlanInput { world, images: Images::ByTrainDir(images) }
    }

    fn images(&self, train_dir: &str) -> Option<usize> {
        match &self.images {
            Images::Uniform(images) => Some(*images),
            Images::ByTrainDir(by_dir) => by_dir.get(train_dir).copied(),
        }
    }
}

/// What a run does: its recipe, and what follows from it for every epoch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// The recipe that it was made of.
    pub recipe: Recipe,
    /// The number of devices it was made for.
    pub world: usize,
    /// The epochs, in order, from epoch 0; never empty.
    pub epochs: Vec<EpochPlan>,
    /// The highest learning rate of all steps.
    pub peak_rate: f64,
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
    /// Training steps: `ceil(ceil(images / world) / batch)`, since the devices' shares are padded
    /// to equal length; one fewer where a last partial one is dropped.
    pub steps: usize,
    /// Training images in the whole set.
    pub images: usize,
    /// Suffix of the training folder: the images lie in `DATA{train_dir}/train`.
    pub train_dir: String,
    /// Suffix of the validation folder.
    pub val_dir: String,
    /// Validation images per device and batch. It is fixed when a set is loaded: `keep_dl` does not
    /// change it.
    pub val_batch: usize,
    /// Lower bound of the random crop's share of the area.
    pub min_scale: f64,
    /// Whether validation batches are rectangular.
    pub rect_val: bool,
    /// A phase that changes only the batch (`keep_dl`) starts here.
    pub keep_dl: bool,
    /// A phase that loads a set (anew) starts here.
    pub new_data: bool,
    /// The rate in force. It goes on while no later phase starts.
    pub lr: Curve,
}

/// What one training step does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepPlan {
    /// Square size in pixels.
    pub size: usize,
    /// Images per device; fewer in a last, partial step.
    pub batch: usize,
    /// Learning rate.
    pub rate: f64,
    /// Share of the last velocity that is kept.
    pub momentum: f64,
    /// The share of a decoupled weight decay that is due: the rate over the run's highest rate.
    pub decay: f64,
}

impl Plan {
    /// Resolves `recipe`: the data phase of an epoch is the last to have started; the rate phase is
    /// the last *listed* that has started; the run ends, exclusively, at the largest `ep` of any
    /// rate phase.
    ///
    /// # Errors
    /// [`PlanError`], the first thing that keeps some epoch from having exactly one size and one
    /// rate.
    pub fn resolve(recipe: &Recipe, input: &PlanInput) -> Result<Plan, PlanError> {
        recipe.check()?;
        for (number, phase) in numbered(&recipe.phases) {
            phase.check().map_err(|fault| PlanError::Phase { phase: number, fault })?;
        }
        if input.world == 0 {
            return Err(PlanError::NoDevices);
        }
        let starts = data_starts(&recipe.phases)?;
        let first_data = *starts.first_key_value().ok_or(PlanError::NoDataPhase)?.0;
        let rates: Vec<NumberedRate> = numbered(&recipe.phases)
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
        let mut in_force: Option<DataInForce> = None;
        let mut epochs = Vec::with_capacity(end);
        for epoch in 0..end {
            let started = starts.get(&epoch).copied();
            if let Some((phase, data)) = started {
                in_force = Some(if data.keep_dl {
                    in_force.ok_or(PlanError::NothingToKeep { phase })?.keep(phase, data)?
                } else {
                    DataInForce::load(phase, data, recipe, input)?
                });
            }
            let data = in_force.as_ref().ok_or(PlanError::NoSize { first: first_data })?;
            let rate = rates.iter().rev().find(|rate| rate.ep.start() <= epoch);
            let rate = rate.ok_or(PlanError::NoRate { first: first_rate })?;
            let steps = data.steps(epoch, input, recipe.data.drop_last)?;
            epochs.push(data.epoch(epoch, steps, started.map(|(_, data)| data), rate)?);
        }
        let smallest = epochs.iter().map(|epoch| epoch.min_scale).fold(0.0, f64::max);
        let max_scale = recipe.augment.max_scale;
        let expected = format!("at least the largest min_scale of all epochs, {smallest}");
        ensure(smallest <= max_scale, "augment.max_scale", &expected, max_scale)?;
        // Within an epoch a rate only rises or only falls.
        let rates = epochs.iter().flat_map(|epoch: &EpochPlan| [epoch.lr_first(), epoch.lr_last()]);
        let peak_rate = rates.fold(0.0, f64::max);
        Ok(Plan { recipe: recipe.clone(), world: input.world, epochs, peak_rate })
    }

    /// What step `n` (counted from 1) of an epoch (counted from 0) does.
    ///
    /// # Panics
    /// Beyond the last epoch.
    pub fn step(&self, epoch: usize, n: usize) -> StepPlan {
        let in_force = &self.epochs[epoch];
        let &EpochPlan { size, batch, steps, .. } = in_force;
        let momentum = self.recipe.optimizer.momentum.at(epoch, n, steps);
        let rate = in_force.lr(n);
        let decay = if self.peak_rate > 0.0 { rate / self.peak_rate } else { 0.0 };
        StepPlan { size, batch, rate, momentum, decay }
    }

    /// Training steps of the whole run.
    pub fn total_steps(&self) -> usize {
        self.epochs.iter().fold(0, |steps: usize, epoch| steps.saturating_add(epoch.steps))
    }
}

impl EpochPlan {
    /// The learning rate of a step, `step` counting from 1 to [`EpochPlan::steps`].
    pub fn lr(&self, step: usize) -> f64 {
        self.lr.at(self.epoch, step, self.steps)
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

/// A rate phase, with its number for messages.
struct NumberedRate {
    phase: usize,
    ep: Epochs,
    lr: LrPhase,
}

impl NumberedRate {
    fn curve(&self) -> Curve {
        match (self.lr.rate, self.ep) {
            (Rate::Linear(from, to), Epochs::Span(start, end)) => {
                Curve::Linear { from, to, start, end, epoch_step: self.lr.epoch_step }
            }
            // A pair without a pair of epochs was refused by the check of the phase.
            (Rate::Constant(rate) | Rate::Linear(rate, _), _) => Curve::Constant(rate),
        }
    }
}

fn numbered(phases: &Phases) -> impl Iterator<Item = (usize, &Phase)> {
    phases.phases.iter().enumerate().map(|(index, phase)| (index + 1, phase))
}
