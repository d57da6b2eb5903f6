//! The logs of a run: how they are begun or continued, and their first lines.

use anyhow::Result;
use in18_program::Model;
use in18_recipe::EpochPlan;
use in18_record::{Opening, Recorder, RunStart};
use in18_train::checkpoint::Checkpoint;

use super::Run;
use super::resolved::Resolved;
use crate::cli::Resume;
use crate::logdir::Logdir;
use crate::output;

impl Run {
    /// Opens the logs. If the checkpoint is of this folder's run, its logs continue. Otherwise new
    /// logs begin with a description of the run.
    pub(super) fn logs(
        &self,
        logdir: &Logdir,
        resumed: Option<Checkpoint>,
        model: &Model,
        resolved: &Resolved,
        first_epoch: usize,
    ) -> Result<(Recorder, Option<RunStart>)> {
        let marks = resumed.filter(|own| logdir.holds(&own.path)).map(|own| own.about.marks);
        self.refuse_taken(logdir, marks.is_some())?;
        let start = marks.is_none().then(|| self.start(model, resolved, first_epoch));
        let opening = marks.as_ref().map_or(Opening::New, Opening::Continue);
        Ok((logdir.recorder(opening, self.print_freq)?, start))
    }

    /// Refuses a folder that holds another run or foreign event files. `goes_on`: it holds this
    /// run.
    fn refuse_taken(&self, logdir: &Logdir, goes_on: bool) -> Result<()> {
        if goes_on {
            return Ok(());
        }
        logdir.refuse_foreign_events()?;
        if logdir.holds_a_run() {
            if self.checkpoints.resume != Some(Resume::Auto) {
                return Err(logdir.is_taken());
            }
            output::complain("warning: the run has no checkpoint yet: it begins anew");
        }
        Ok(())
    }

    /// The description of the run, for the logs' first lines.
    fn start(&self, model: &Model, resolved: &Resolved, first_epoch: usize) -> RunStart {
        let Resolved { data, dtype, plan, .. } = resolved;
        let first = &plan.epochs[first_epoch.min(plan.epochs.len() - 1)];
        RunStart {
            arch: self.arch.to_string(),
            classes: data.classes().len(),
            parameters: model.parameters().elements() as u64,
            precision: dtype.to_string(),
            engine: model.describe(),
            world: plan.world,
            workers: self.settings().workers.get(),
            seed: plan.recipe.seed,
            first_epoch,
            epochs: plan.epochs.len(),
            images_train: data.train(&first.train_dir).len() as u64,
            images_val: data.validation(&first.val_dir).len() as u64,
            plan: plan
                .epochs
                .iter()
                .filter(|e| e.new_data || e.keep_dl)
                .map(|e| data.change(&plan.recipe, e))
                .collect(),
            epoch_cost: plan.epochs.iter().map(EpochPlan::pixels).collect(),
        }
    }
}
