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

/// Where the run goes on, after what the checkpoint is has been compared to what the run is.
///
/// # Errors
/// [`CheckpointError::Differs`] unless `--resume-anyway`; [`CheckpointError::Beyond`].
pub fn progress(
    checkpoint: &Checkpoint,
    identity: &Value,
    plan: &Plan,
    arguments: &CheckpointArgs,
) -> Result<Progress> {
    let path = checkpoint.path.clone();
    let mut progress = checkpoint.about.progress.clone();
    if let Some(differences) = differences(&checkpoint.about.identity, identity) {
        let error = CheckpointError::Differs { path: path.clone(), differences: differences.clone() };
        if !arguments.resume_anyway {
            return Err(error.into());
        }
        output::complain(&format!("warning: {}: going on although {differences}", path.display()));
        let epoch = progress.epoch;
        let planned = |identity: &Value| identity["plan"]["epochs"].get(epoch).cloned();
        if progress.step > 0 && planned(&checkpoint.about.identity) != planned(identity) {
            // Its steps that are done are not those of the epoch as it is planned now.
            output::complain(&format!("warning: epoch {epoch} is planned otherwise now and begins anew"));
            progress.start_epoch(epoch);
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
