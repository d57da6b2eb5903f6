//! `--resume`: which checkpoint a run continues from, and whether it may.

use std::path::Path;

use anyhow::Result;
use in18_recipe::{EpochPlan, Plan};
use in18_train::checkpoint::{Checkpoint, Found, Tables, newest};
use in18_train::identity::{as_of_today, differences};
use in18_train::{CheckpointError, Progress, Settings};
use serde_json::Value;

use crate::cli::{CheckpointArgs, Resume};
use crate::logdir;
use crate::output;

/// The checkpoint that the arguments name, if any. `logdir` is the run's folder.
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

/// The newest checkpoint in a run's folder, or in its folder of checkpoints.
fn newest_of(folder: &Path, tables: &Tables) -> Result<Found> {
    let inner = logdir::checkpoints(folder);
    let folder = if inner.is_dir() { &inner } else { folder };
    let none =
        || CheckpointError::NotACheckpoint { path: folder.to_owned(), got: "a folder without checkpoints".to_owned() };
    Ok(newest(folder, tables)?.ok_or_else(none)?)
}

/// Gives the run's identity and plan for a number of ranks.
pub type ByRanks<'a> = &'a dyn Fn(usize) -> Result<(Value, Plan)>;

/// Where the run continues, after the checkpoint's identity has been compared with the run's. A
/// checkpoint that differs only in the number of ranks is accepted.
///
/// # Errors
/// [`CheckpointError::Differs`] unless `--resume-anyway`; [`CheckpointError::Beyond`].
pub fn progress(
    checkpoint: &Checkpoint,
    (identity, plan, settings): (&Value, &Plan, Settings),
    by_ranks: ByRanks<'_>,
    arguments: &CheckpointArgs,
) -> Result<Progress> {
    let path = checkpoint.path.clone();
    let mut progress = checkpoint.about.progress.clone();
    let theirs = &as_of_today(checkpoint.about.identity.clone());
    if let Some(differences) = differences(theirs, identity) {
        if let Some((ranks, their_plan)) = other_ranks(theirs, plan, by_ranks)? {
            let (epoch, step) = (progress.epoch, progress.step);
            let steps = |plan: &Plan| plan.epochs.get(epoch).map_or(0, |epoch| settings.steps_of(epoch.steps));
            let (their_steps, now_steps) = (steps(&their_plan), steps(plan));
            progress.step = match (their_plan.epochs.get(epoch), plan.epochs.get(epoch)) {
                (Some(theirs), Some(ours)) if step != their_steps && varies(theirs) => {
                    same_images(theirs.images_through(step) * ranks, plan.world, ours).min(now_steps)
                }
                _ => same_place(step, (ranks, their_steps), (plan.world, now_steps)),
            };
            let (path, now) = (path.display(), plan.world);
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
                // The steps that are done are not steps of this epoch as it is planned now.
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

/// The number of steps after which `ranks` ranks have seen the images that `their_ranks` ranks had
/// seen after `step`. `steps` and `their_steps` are the epoch's lengths. Ranks take images in turn,
/// so together they have always seen a beginning of the epoch's order.
fn same_place(step: usize, (their_ranks, their_steps): (usize, usize), (ranks, steps): (usize, usize)) -> usize {
    if step == their_steps { steps } else { (step * their_ranks / ranks).min(steps) }
}

/// Whether the batch changes within an epoch.
fn varies(epoch: &EpochPlan) -> bool {
    epoch.stretches.iter().any(|stretch| stretch.batch != epoch.batch)
}

/// The most steps of `epoch` after which `ranks` ranks have seen no more than so many images.
fn same_images(images: usize, ranks: usize, epoch: &EpochPlan) -> usize {
    (0..=epoch.steps).rfind(|&step| epoch.images_through(step) * ranks <= images).unwrap_or(0)
}

/// How many ranks the run of a checkpoint had, by the checkpoint's identity.
pub fn ranks_of(identity: &Value) -> Option<usize> {
    identity["plan"]["world"].as_u64().and_then(|world| usize::try_from(world).ok()).filter(|&world| world > 0)
}

/// The number of ranks of a checkpoint's run, and their plan, if all else is as in this run.
fn other_ranks(theirs: &Value, plan: &Plan, by_ranks: ByRanks<'_>) -> Result<Option<(usize, Plan)>> {
    let Some(ranks) = ranks_of(theirs).filter(|&ranks| ranks != plan.world) else { return Ok(None) };
    let (identity, their_plan) = by_ranks(ranks)?;
    Ok(differences(theirs, &identity).is_none().then_some((ranks, their_plan)))
}

#[cfg(test)]
mod tests {
    use super::same_place;

    #[test]
    fn ranks_go_on_where_others_stopped() {
        // An epoch of 24 batches, by two ranks first, then by one or three.
        assert_eq!(same_place(5, (2, 12), (1, 24)), 10);
        assert_eq!(same_place(5, (2, 12), (3, 8)), 3);
        assert_eq!(same_place(12, (2, 12), (3, 8)), 8);
        assert_eq!(same_place(0, (2, 12), (3, 8)), 0);
        // An epoch that is cut to 10 steps for any number of ranks: if two did it all, one did,
        // too.
        assert_eq!(same_place(10, (2, 10), (1, 10)), 10);
        assert_eq!(same_place(10, (1, 10), (2, 10)), 10);
        assert_eq!(same_place(6, (2, 10), (1, 10)), 10);
    }
}
