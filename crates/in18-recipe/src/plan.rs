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

use self::data::{DataInForce, Starts};
pub use self::error::PlanError;
use self::rates::Rates;
use self::stretches::Steps;
use crate::curve::Curve;
use crate::fault::ensure;
use crate::phases::{Phase, Phases};
use crate::place::Place;
use crate::recipe::Recipe;

mod data;
mod error;
mod rates;
mod stretches;

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
    /// The length of the run. The last epoch is only a part of one if this is a fraction.
    pub length: f64,
    /// The epochs, in order, from epoch 0; never empty.
    pub epochs: Vec<EpochPlan>,
    /// The momentum over the run.
    #[serde(skip)]
    momentum: Curve,
    /// The highest learning rate.
    #[serde(skip)]
    peak_rate: f64,
}

/// What one epoch does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EpochPlan {
    /// The epoch, counted from 0.
    pub epoch: usize,
    /// Square size in pixels in the last training step.
    pub size: usize,
    /// Training images per device in the last step, which may have fewer.
    pub batch: usize,
    /// Training steps. If all have one batch: `ceil(ceil(images / world) / batch)`, since the
    /// devices' shares are padded to equal length; one fewer where a last partial one is dropped.
    /// The last epoch of a run that ends within it has fewer.
    pub steps: usize,
    /// Training images in the whole set.
    pub images: usize,
    /// Suffix of the training folder: the images lie in `DATA{train_dir}/train`.
    pub train_dir: String,
    /// Suffix of the validation folder.
    pub val_dir: String,
    /// Square size of validation images in pixels. It follows from the recipe's `evaluate.size`, by
    /// which runs are compared.
    #[serde(skip)]
    pub val_size: usize,
    /// Validation images per device and batch. Unless `evaluate.size` names a size, it is fixed when
    /// a set is loaded: `keep_dl` does not change it.
    pub val_batch: usize,
    /// Lower bound of the random crop's share of the area, in the last step.
    pub min_scale: f64,
    /// Whether validation batches are rectangular.
    pub rect_val: bool,
    /// A phase that changes only the batch (`keep_dl`) starts here.
    pub keep_dl: bool,
    /// A phase that loads a set (anew) starts here.
    pub new_data: bool,
    /// The rate in force in the last step. It goes on while no later phase starts.
    pub lr: Curve,
    /// The training steps, by what they have in common. There is at least one stretch.
    #[serde(skip_serializing_if = "is_plain")]
    pub stretches: Vec<Stretch>,
    /// The steps of all earlier epochs.
    #[serde(skip)]
    steps_before: usize,
    /// The number of steps of the whole epoch, also where the run ends within it.
    #[serde(skip)]
    whole: usize,
    /// Images per device of all of these steps, each with its full batch.
    #[serde(skip)]
    capacity: usize,
}

/// Consecutive training steps of an epoch between two changes of what is in force.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stretch {
    /// How many steps.
    pub steps: usize,
    /// Square size in pixels.
    pub size: usize,
    /// Images per device and step. The epoch's last step may have fewer.
    pub batch: usize,
    /// Lower bound of the random crop's share of the area.
    pub min_scale: f64,
    /// The rate in force.
    pub lr: Curve,
}

/// The epoch's own fields say it all.
fn is_plain(stretches: &[Stretch]) -> bool {
    stretches.len() == 1
}

/// What one training step does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepPlan {
    /// Square size in pixels.
    pub size: usize,
    /// Images per device; fewer in a last, partial step.
    pub batch: usize,
    /// Lower bound of the random crop's share of the area.
    pub min_scale: f64,
    /// Learning rate.
    pub rate: f64,
    /// Share of the last velocity that is kept.
    pub momentum: f64,
    /// The share of a decoupled weight decay that is due: the rate over the run's highest rate.
    pub decay: f64,
    /// What slow weights keep of themselves, if they meet the fast ones at the step's end.
    pub lookahead: Option<f64>,
    /// What the exponential moving average keeps of itself, if it moves at the step's end.
    pub ema: Option<f64>,
}

impl Plan {
    /// Resolves `recipe`: the data phase of a step is the last to have started; the rate phase is
    /// the last *listed* that has started; the run ends, exclusively, at the largest `ep` of any
    /// rate phase, unless the recipe says where.
    ///
    /// # Errors
    /// [`PlanError`], the first thing that keeps some step from having exactly one size and one
    /// rate.
    pub fn resolve(recipe: &Recipe, input: &PlanInput) -> Result<Plan, PlanError> {
        recipe.check()?;
        for (number, phase) in numbered(&recipe.phases) {
            phase.check().map_err(|fault| PlanError::Phase { phase: number, fault })?;
        }
        if input.world == 0 {
            return Err(PlanError::NoDevices);
        }
        let phases = data::in_order(&recipe.phases)?;
        let first = phases.first().ok_or(PlanError::NoDataPhase)?.1.start();
        let rates = Rates::of(recipe)?;
        if first > 0.0 {
            return Err(PlanError::NoSize { first });
        }
        let momentum = rates.momentum(recipe)?;
        let data = data::in_force(&phases, recipe, input, rates.end)?;
        if let (Some(field), Some(alone)) = (recipe.augment.mixing_field(), data.iter().find(|data| data.batch == 1)) {
            return Err(PlanError::NothingToMix { phase: alone.phase, field });
        }
        let epoch = |epoch| {
            let steps = stretches::of_epoch(epoch, &data, &rates, input, recipe.data.drop_last)?;
            EpochPlan::of(epoch, &data, steps, &rates)
        };
        let mut epochs = (0..rates.epochs()).map(epoch).collect::<Result<Vec<EpochPlan>, _>>()?;
        let mut steps_before: usize = 0;
        for epoch in &mut epochs {
            epoch.steps_before = steps_before;
            steps_before = steps_before.saturating_add(epoch.steps);
        }
        let largest = epochs.iter().flat_map(|epoch| &epoch.stretches).map(|it| it.min_scale).fold(0.0, f64::max);
        let max_scale = recipe.augment.max_scale;
        let expected = format!("at least the largest min_scale of all epochs, {largest}");
        ensure(largest <= max_scale, "augment.max_scale", &expected, max_scale)?;
        let peak_rate = epochs.iter().map(EpochPlan::peak_rate).fold(0.0, f64::max);
        Ok(Plan { recipe: recipe.clone(), world: input.world, length: rates.end, epochs, momentum, peak_rate })
    }

    /// What step `n` (counted from 1) of an epoch (counted from 0) does. Steps after the epoch's
    /// last are as the last.
    ///
    /// # Panics
    /// Beyond the last epoch.
    pub fn step(&self, epoch: usize, n: usize) -> StepPlan {
        let in_force = &self.epochs[epoch];
        let (&Stretch { size, batch, min_scale, ref lr, .. }, place) = in_force.find(n);
        let rate = lr.at(place);
        let decay = if self.peak_rate > 0.0 { rate / self.peak_rate } else { 0.0 };
        let (step, average) = (in_force.steps_before.saturating_add(n), &self.recipe.average);
        StepPlan {
            size,
            batch,
            min_scale,
            rate,
            momentum: self.momentum.at(place),
            decay,
            lookahead: average.lookahead_keeps(step, self.total_steps()),
            ema: average.ema_keeps(step),
        }
    }

    /// The highest learning rate: that of a step for the rates of phases, and the highest value of
    /// a curve over the run, also if no step meets it.
    pub fn peak_rate(&self) -> f64 {
        self.peak_rate
    }

    /// The momentum over the run.
    pub fn momentum(&self) -> &Curve {
        &self.momentum
    }

    /// Training steps of the whole run.
    pub fn total_steps(&self) -> usize {
        self.epochs.last().map_or(0, |last| last.steps_before.saturating_add(last.steps))
    }
}

impl EpochPlan {
    fn of(epoch: usize, data: &[DataInForce], steps: Steps, rates: &Rates) -> Result<EpochPlan, PlanError> {
        let Steps { stretches, last, whole, capacity } = steps;
        let begins = data.iter().find(|data| data.start == epoch as f64).and_then(|data| data.starts);
        let data = &data[last];
        let &DataInForce { size, batch, images, val_size, val_batch, min_scale, rect_val, .. } = data;
        let plan = EpochPlan {
            epoch,
            size,
            batch,
            steps: stretches.iter().fold(0, |steps, stretch| steps.saturating_add(stretch.steps)),
            images,
            train_dir: data.train_dir.clone(),
            val_dir: data.val_dir.clone(),
            val_size,
            val_batch,
            min_scale,
            rect_val,
            keep_dl: begins == Some(Starts::Keeping),
            new_data: begins == Some(Starts::Loading),
            lr: stretches.last().map_or(Curve::Constant(0.0), |stretch| stretch.lr.clone()),
            stretches,
            steps_before: 0,
            whole,
            capacity,
        };
        // A line is monotone, so its ends bound what lies between. Other curves are bounded by
        // their values.
        let mut before: usize = 0;
        for stretch in &plan.stretches {
            let (first, last) = (before.saturating_add(1), before.saturating_add(stretch.steps));
            if !(plan.lr(first).is_finite() && plan.lr(last).is_finite()) {
                let phase = rates.at(plan.find(first).1.start()).and_then(|rate| rate.phase).unwrap_or(0);
                return Err(PlanError::InfiniteRate { phase, epoch });
            }
            before = last;
        }
        Ok(plan)
    }

    /// The learning rate of a step, `step` counting from 1 to [`EpochPlan::steps`].
    pub fn lr(&self, step: usize) -> f64 {
        let (stretch, place) = self.find(step);
        stretch.lr.at(place)
    }

    /// The rate of the first step.
    pub fn lr_first(&self) -> f64 {
        self.lr(1)
    }

    /// The rate of the last step.
    pub fn lr_last(&self) -> f64 {
        self.lr(self.steps)
    }

    /// The highest rate: of the steps, or of a curve over the run.
    fn peak_rate(&self) -> f64 {
        let mut before: usize = 0;
        let highest = |stretch: &Stretch| {
            let (first, last) = (before.saturating_add(1), before.saturating_add(stretch.steps));
            before = last;
            match &stretch.lr {
                Curve::Over(schedule) => schedule.highest(),
                // A line is monotone.
                _ => self.lr(first).max(self.lr(last)),
            }
        };
        self.stretches.iter().map(highest).fold(0.0, f64::max)
    }

    /// The images of each device's share that steps 1 to `step` see.
    pub fn images_through(&self, step: usize) -> usize {
        let (mut left, mut images) = (step, 0);
        for stretch in &self.stretches {
            let steps = left.min(stretch.steps);
            (left, images) = (left - steps, images + steps.saturating_mul(stretch.batch));
        }
        images
    }

    /// Pixels of all training images at the sizes that they get: what the epoch costs, up to a
    /// factor.
    pub fn pixels(&self) -> f64 {
        if is_plain(&self.stretches) && self.steps == self.whole {
            return (self.images * self.size * self.size) as f64;
        }
        let pixels = |it: &Stretch| it.steps as f64 * it.batch as f64 * (it.size * it.size) as f64;
        let share: f64 = self.stretches.iter().map(pixels).sum();
        share / self.capacity as f64 * self.images as f64
    }

    /// The stretch and the place of a step; beyond the last, the last one's stretch.
    fn find(&self, step: usize) -> (&Stretch, Place) {
        let (mut before, mut stretch, mut left) = (0, &self.stretches[0], step - 1);
        for next in &self.stretches {
            stretch = next;
            if left < next.steps {
                break;
            }
            (before, left) = (before + next.steps.saturating_mul(next.batch), left - next.steps);
        }
        // The last stretch counts as if it went on.
        before = before.saturating_add(left.saturating_mul(stretch.batch));
        let (steps, capacity) = (self.whole as u128, self.capacity as u128);
        let part = |images: usize| {
            // Exact wherever it is a whole number: everywhere, if all batches are of one size.
            let product = images as u128 * steps;
            (product / capacity) as f64 + (product % capacity) as f64 / self.capacity as f64
        };
        let place = Place {
            epoch: self.epoch,
            steps: self.whole as f64,
            before: part(before),
            after: part(before.saturating_add(stretch.batch)),
        };
        (stretch, place)
    }
}

fn numbered(phases: &Phases) -> impl Iterator<Item = (usize, &Phase)> {
    phases.phases.iter().enumerate().map(|(index, phase)| (index + 1, phase))
}
