//! `--resume`: which checkpoint a run goes on from, and whether it may.

use std::path::Path;

use anyhow::Result;
use in18_recipe::Plan;
use in18_train::checkpoint::{Checkpoint, Found, Tables, newest};
use in18_train::identity::differences;
use in18_train::{CheckpointError, Progress};
use serde_json::Value;

use crate::cli::{CheckpointArgs, Resume};
use crate::logdir;
use crate::output;

/// The checkpoint that the arguments name, if they name one and there is one; `logdir` is the run's folder.
pub fn find(arguments: &CheckpointArgs, logdir: &Path, tables: &Tables) -> Result<Option<Checkpoint>> {
    let found = match &arguments.resume {
        None => return Ok(None),
        Some(Resume::Auto) => newest(&logdir::checkpoints(logdir), tables)?,
        Some(Resume::From(path)) if path.is_dir() => Some(newest_of(path, tables)?),
        Some(Resume::From(path)) => return Ok(Some(Checkpoint::read(path, tables)?)),
    };
    let Some(Found { checkpoint, damaged }) = found else { return Ok(None) };
    for error in damaged {
        output::complain(&format!("warning: {error}; going on from {} instead", checkpoint.path.display()));
    }
    Ok(Some(checkpoint))
}

/// The newest of a run's folder, or of its folder of checkpoints.
fn newest_of(folder: &Path, tables: &Tables) -> Result<Found> {
    let inner = logdir::checkpoints(folder);
    let folder = if inner.is_dir() { &inner } else { folder };
    let none =
        || CheckpointError::NotACheckpoint { path: folder.to_owned(), got: "a folder without checkpoints".to_owned() };
    Ok(newest(folder, tables)?.ok_or_else(none)?)
}

/// What a run of so many ranks is, and its plan.
pub type ByRanks<'a> = &'a dyn Fn(usize) -> Result<(Value, Plan)>;

/// Where the run goes on, after what the checkpoint is has been compared to what the run is. A checkpoint of another number of
/// ranks, and otherwise of this run, is as good.
///
/// # Errors
/// [`CheckpointError::Differs`] unless `--resume-anyway`; [`CheckpointError::Beyond`].
pub fn progress(
    checkpoint: &Checkpoint,
    (identity, plan): (&Value, &Plan),
    by_ranks: ByRanks<'_>,
    arguments: &CheckpointArgs,
) -> Result<Progress> {
    let path = checkpoint.path.clone();
    let mut progress = checkpoint.about.progress.clone();
    let theirs = &checkpoint.about.identity;
    if let Some(differences) = differences(theirs, identity) {
        if let Some((ranks, their_plan)) = other_ranks(theirs, plan, by_ranks)? {
            let (step, steps) = (progress.step, their_plan.epochs.get(progress.epoch).map_or(0, |epoch| epoch.steps));
            progress.step = match plan.epochs.get(progress.epoch) {
                Some(epoch) if step == steps => epoch.steps,
                // Ranks take images in turn, so that all have seen a beginning of the epoch's order together.
                Some(epoch) => (step * ranks / plan.world).min(epoch.steps),
                None => step,
            };
            let (path, epoch, now) = (path.display(), progress.epoch, plan.world);
            output::complain(&format!(
                "note: {path} is of {ranks} ranks, and goes on with {now}: step {step} of epoch {epoch} becomes step {}",
                progress.step
            ));
        } else {
            let error = CheckpointError::Differs { path: path.clone(), differences: differences.clone() };
            if !arguments.resume_anyway {
                return Err(error.into());
            }
            output::complain(&format!("warning: {}: going on although {differences}", path.display()));
            let epoch = progress.epoch;
            let planned = |identity: &Value| identity["plan"]["epochs"].get(epoch).cloned();
            if progress.step > 0 && planned(theirs) != planned(identity) {
                // Its steps that are done are not those of the epoch as it is planned now.
                output::complain(&format!("warning: epoch {epoch} is planned otherwise now and begins anew"));
                progress.start_epoch(epoch);
            }
        }
    }
    if let Some(epoch) = arguments.start_epoch {
        progress.start_epoch(epoch);
    }
    let (epochs, got) = (plan.epochs.len(), progress.epoch);
    if got > epochs {
        return Err(CheckpointError::Beyond { path, epochs, got }.into());
    }
    Ok(progress)
}

/// The number of ranks that a checkpoint is of, and their plan, if that number is all that differs.
fn other_ranks(theirs: &Value, plan: &Plan, by_ranks: ByRanks<'_>) -> Result<Option<(usize, Plan)>> {
    let ranks = theirs["plan"]["world"].as_u64().map_or(0, |world| world as usize);
    if ranks == 0 || ranks == plan.world {
        return Ok(None);
    }
    let (identity, their_plan) = by_ranks(ranks)?;
    Ok(differences(theirs, &identity).is_none().then_some((ranks, their_plan)))
}
