//! `imagenet18 train`: from arguments to a run.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use in18_program::Arch;

use self::evaluate::evaluate;
use crate::cli::{Resume, TrainArgs};
use crate::exit::{self, Ended, Usage};
use crate::recipe::{Chosen, engine_of};
use crate::run::Run;
use crate::{logdir, ranks};

mod evaluate;

/// Trains, and prints the epoch table. With `--evaluate`, only validates.
pub fn train(arguments: &TrainArgs) -> Result<()> {
    if arguments.checkpoints.evaluate {
        return evaluate(arguments);
    }
    let outcome = ranks::before_joining(|| run(arguments))?.train()?;
    // The logs say it already, on the console, too.
    let missed = outcome.is_some_and(|outcome| outcome.missed.is_some());
    if missed { Err(Ended(exit::MISSED).into()) } else { Ok(()) }
}

/// The run that the arguments describe.
fn run(arguments: &TrainArgs) -> Result<Run> {
    let Chosen { recipe, arch, brought } = Chosen::of(arguments)?;
    Ok(Run {
        data: arguments.data.clone().context("expected DATA")?,
        reading: arguments.reading.options(),
        engine: engine_of(&recipe, &arguments.engine),
        recipe,
        arch,
        brought,
        workers: arguments.workers,
        on_bad_image: arguments.on_bad_image.into(),
        short_epoch: arguments.short_epoch,
        stop_at: arguments.stop_at,
        step_timeout: Duration::from_secs(arguments.step_timeout),
        print_freq: arguments.print_freq,
        logdir: folder(arguments, arch)?,
        checkpoints: arguments.checkpoints.clone(),
    })
}

/// The run's folder: the given one, else that of the checkpoint, else a new one.
fn folder(arguments: &TrainArgs, arch: Arch) -> Result<PathBuf> {
    if let Some(logdir) = &arguments.logdir {
        return Ok(logdir.clone());
    }
    match &arguments.checkpoints.resume {
        Some(Resume::Auto) => {
            Err(Usage("--resume auto: expected --logdir with it, got none: name the run's folder".to_owned()).into())
        }
        Some(Resume::From(path)) if logdir::checkpoints(path).is_dir() => Ok(path.clone()),
        _ => Ok(logdir::stamped(&format!("runs/{arch}"))),
    }
}
