//! What a run starts from: a checkpoint, another network's values, or random values.

use std::path::Path;

use anyhow::Result;
use in18_program::Model;
use in18_recipe::Plan;
use in18_train::checkpoint::{Checkpoint, Tables};
use in18_train::{DynamicScale, Progress, initialization};
use in18_weights::{Head, WeightFile};

use super::Run;
use super::resolved::Resolved;
use crate::cli::Stop;
use crate::exit::Usage;
use crate::logdir::Logdir;
use crate::resume;

impl Run {
    /// Gives the network the values that the run starts from. Returns the run's progress, and the
    /// checkpoint if there is one.
    pub(super) fn beginning(
        &self,
        model: &mut Model,
        resolved: &Resolved,
        logdir: &Logdir,
    ) -> Result<(Progress, Option<Checkpoint>)> {
        let resumed = resume::find(&self.checkpoints, logdir.path(), &Tables::of(model))?;
        let mut progress = match &resumed {
            Some(checkpoint) => {
                model.load_state(&checkpoint.state)?;
                let by_ranks = |world| self.with_ranks(resolved, world);
                let now = (&resolved.identity, &resolved.plan, self.settings());
                resume::progress(checkpoint, now, &by_ranks, &self.checkpoints)?
            }
            None => self.begin(model, &resolved.plan)?,
        };
        match self.stop_at {
            None => {}
            Some(Stop::Never) => progress.stop_at = None,
            Some(Stop::At(accuracy)) => progress.stop_at = Some(accuracy),
        }
        Ok((progress, resumed))
    }

    /// Sets initial values. With `--start-epoch`, the progress begins at that epoch.
    fn begin(&self, model: &mut Model, plan: &Plan) -> Result<Progress> {
        let recipe = &plan.recipe;
        initialization(recipe).apply(model)?;
        if let Some(path) = &recipe.initial.from {
            let file = WeightFile::read(Path::new(path))?;
            let head = if recipe.initial.new_head { Head::Replace } else { Head::Keep };
            // The file's own statement of its network is ignored: the recipe decides, and a file of
            // another network is refused.
            file.check_start(self.arch)?;
            file.load(model, self.arch, head)?;
        }
        let mut progress = Progress::default();
        progress.loss_scale = DynamicScale::starting(recipe.loss.scale);
        if let Some(epoch) = self.checkpoints.start_epoch {
            let epochs = plan.epochs.len();
            if epoch >= epochs {
                return Err(Usage(format!("--start-epoch: expected an epoch below {epochs}, got {epoch}")).into());
            }
            progress.start_epoch(epoch);
        }
        Ok(progress)
    }
}
