//! A resolved run: its recipe applied to its images, its number of ranks, and its computing type.

use anyhow::Result;
use in18_recipe::{Plan, PlanInput};
use in18_tensor::DType;
use in18_train::identity::{NetworkIdentity, identity};
use in18_train::{Data, PATIENCE, Settings};
use serde_json::Value;

use super::Run;
use crate::cores;
use crate::recipe::precision_of;

/// What a run does, with all choices made.
pub(super) struct Resolved {
    pub(super) data: Data,
    /// Type of activations.
    pub(super) dtype: DType,
    pub(super) plan: Plan,
    pub(super) network: NetworkIdentity,
    /// What identifies the run.
    pub(super) identity: Value,
}

impl Run {
    /// Resolves the run for `world` ranks whose activations have the type `dtype`. Opens the image
    /// sets, but no image.
    pub(super) fn resolve(&self, world: usize, dtype: DType) -> Result<Resolved> {
        let data = Data::open(&self.data, &self.recipe, &self.reading)?;
        let plan = self.plan(&data, world, dtype)?;
        let network = NetworkIdentity { arch: self.arch.to_string(), classes: data.classes().to_vec() };
        let identity = identity(&plan, self.short_epoch, &data);
        Ok(Resolved { data, dtype, plan, network, identity })
    }

    /// The plan for `world` ranks.
    fn plan(&self, data: &Data, world: usize, dtype: DType) -> Result<Plan> {
        let recipe = self.recipe.computed_in(precision_of(dtype));
        Ok(Plan::resolve(&recipe, &PlanInput::by_train_dir(world, data.train_images()))?)
    }

    /// The run's identity and plan if it had `world` ranks.
    pub(super) fn with_ranks(&self, resolved: &Resolved, world: usize) -> Result<(Value, Plan)> {
        let plan = self.plan(&resolved.data, world, resolved.dtype)?;
        Ok((identity(&plan, self.short_epoch, &resolved.data), plan))
    }

    /// The trainer's settings beside the plan.
    pub(super) fn settings(&self) -> Settings {
        Settings {
            workers: self.workers.unwrap_or_else(cores::available),
            on_bad_image: self.on_bad_image,
            short_epoch: self.short_epoch,
            patience: PATIENCE,
        }
    }
}
