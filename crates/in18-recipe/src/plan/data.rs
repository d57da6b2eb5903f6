//! Which images, at which size and batch: what data phases set, from one to the next.

use std::collections::BTreeMap;

use super::error::PlanError;
use super::{EpochPlan, NumberedRate, PlanInput, numbered};
use crate::curve::Curve;
use crate::phases::{DataPhase, Phases};
use crate::recipe::Recipe;
use crate::value::quote;

/// The data phases by the epoch at which they start, with their numbers.
pub(super) fn data_starts(phases: &Phases) -> Result<BTreeMap<usize, (usize, &DataPhase)>, PlanError> {
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
pub(super) struct DataInForce {
    /// The phase that set it, for messages.
    phase: usize,
    /// An epoch under it. Its number, its steps and its rate are each epoch's own.
    plan: EpochPlan,
}

impl DataInForce {
    pub(super) fn load(phase: usize, data: &DataPhase, recipe: &Recipe, input: &PlanInput) -> Result<Self, PlanError> {
        let train_dir = data.train_suffix().to_owned();
        let images = match input.images(&train_dir) {
            None => return Err(PlanError::UnknownSet { phase, train_dir }),
            Some(0) => return Err(PlanError::EmptySet { phase, train_dir }),
            Some(images) => images,
        };
        // The check of the phase has refused one that has neither a size nor `keep_dl`.
        let size = data.size.unwrap_or_default();
        let plan = EpochPlan {
            epoch: 0,
            size,
            batch: data.batch,
            steps: 0,
            images,
            val_dir: data.val_suffix().to_owned(),
            train_dir,
            val_batch: val_batch(size, data.batch),
            min_scale: data.min_scale.unwrap_or(recipe.augment.min_scale),
            rect_val: data.rect_val.unwrap_or(recipe.evaluate.rectangular),
            keep_dl: false,
            new_data: false,
            lr: Curve::Constant(0.0),
        };
        Ok(DataInForce { phase, plan })
    }

    /// Changes only the batch. Values that the phase states again must be the kept ones: the
    /// original trainer ignored them, which would train on something else than what is written.
    pub(super) fn keep(self, phase: usize, data: &DataPhase) -> Result<Self, PlanError> {
        fn differs<T: PartialEq>(asked: Option<T>, kept: T, show: impl Fn(T) -> String) -> Option<(String, String)> {
            asked.filter(|asked| *asked != kept).map(|asked| (show(kept), show(asked)))
        }
        let kept = &self.plan;
        let restated = [
            ("sz", differs(data.size, kept.size, |size| size.to_string())),
            ("trndir", differs(data.train_dir.as_deref(), &kept.train_dir, quote)),
            ("valdir", differs(data.val_dir.as_deref(), &kept.val_dir, quote)),
            ("min_scale", differs(data.min_scale, kept.min_scale, |share| share.to_string())),
            ("rect_val", differs(data.rect_val, kept.rect_val, |rect| rect.to_string())),
        ];
        for (key, difference) in restated {
            if let Some((kept, asked)) = difference {
                return Err(PlanError::KeptOtherwise { phase, key, kept, asked });
            }
        }
        Ok(DataInForce { phase, plan: EpochPlan { batch: data.batch, ..self.plan } })
    }

    /// What an epoch does under it; `started`: the phase that starts with the epoch.
    pub(super) fn epoch(
        &self,
        epoch: usize,
        steps: usize,
        started: Option<&DataPhase>,
        rate: &NumberedRate,
    ) -> Result<EpochPlan, PlanError> {
        let plan = EpochPlan {
            epoch,
            steps,
            keep_dl: started.is_some_and(|data| data.keep_dl),
            new_data: started.is_some_and(|data| !data.keep_dl),
            lr: rate.curve(),
            ..self.plan.clone()
        };
        // A line is monotone, so its ends bound what lies between.
        if !(plan.lr_first().is_finite() && plan.lr_last().is_finite()) {
            return Err(PlanError::InfiniteRate { phase: rate.phase, epoch });
        }
        Ok(plan)
    }

    /// Every device takes an equal share, padded by wrapping round; its last batch may be partial.
    pub(super) fn steps(&self, epoch: usize, input: &PlanInput, drop_last: bool) -> Result<usize, PlanError> {
        let (phase, world) = (self.phase, input.world);
        let EpochPlan { batch, images, .. } = self.plan;
        let share = images.div_ceil(world);
        if batch > share {
            return Err(PlanError::BatchTooLarge { phase, epoch, batch, images, world, share });
        }
        Ok(if drop_last { share / batch } else { share.div_ceil(batch) })
    }
}

/// Validation holds no activations for a backward pass, so it takes at least the batch that fits at
/// that size.
fn val_batch(size: usize, batch: usize) -> usize {
    let least = match size {
        128 => 512,
        224 => 256,
        _ => 128,
    };
    batch.max(least)
}
