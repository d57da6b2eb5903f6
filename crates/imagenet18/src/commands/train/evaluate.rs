//! `imagenet18 train --evaluate`: does what `eval` does, with the size and the folder of one of the
//! plan's epochs.

use std::num::{NonZeroU32, NonZeroUsize};

use anyhow::{Context, Result};
use in18_recipe::{EpochPlan, Plan, PlanInput};
use in18_train::checkpoint::Tables;
use in18_train::{Data, Views};

use super::folder;
use crate::cli::{EvalArgs, NetworkArgs, ReadingArgs, TrainArgs};
use crate::commands::eval;
use crate::exit::Usage;
use crate::rank_environment::RankEnvironment;
use crate::recipe::{Chosen, engine_of};
use crate::{engine, resume};

/// Validates the network of a checkpoint or of `--init`.
pub(super) fn evaluate(arguments: &TrainArgs) -> Result<()> {
    if let Some(place) = RankEnvironment::of_this_process()? {
        let got = format!("got {} that a launcher started", place.world);
        return Err(Usage(format!("--evaluate: expected one process, {got}: it is not divided among ranks")).into());
    }
    let Chosen { recipe, arch, .. } = Chosen::of(arguments)?;
    let engine = engine_of(&recipe, &arguments.engine);
    engine::check(&engine)?;
    let path = arguments.data.clone().context("expected DATA")?;
    let data = Data::open(&path, &recipe, &arguments.reading.options())?;
    let plan = Plan::resolve(&recipe, &PlanInput::by_train_dir(1, data.train_images()))?;
    let tables = Tables::of_network(&arch.network(data.classes().len()));
    let found = resume::find(&arguments.checkpoints, &folder(arguments, arch)?, &tables)?;
    let validated = found.as_ref().map_or(0, |checkpoint| checkpoint.about.progress.epochs.len().saturating_sub(1));
    let checkpoint = found.map(|checkpoint| checkpoint.path).or_else(|| recipe.initial.from.clone().map(Into::into));
    let checkpoint =
        checkpoint.ok_or_else(|| Usage("--evaluate: expected a network by --resume or --init, got none".to_owned()))?;
    let epoch = arguments.checkpoints.start_epoch.unwrap_or(validated);
    let epochs = plan.epochs.len();
    let epoch: &EpochPlan = plan
        .epochs
        .get(epoch)
        .ok_or_else(|| Usage(format!("--evaluate: expected an epoch below {epochs}, the plan's number")))?;
    let Views { tta, size, crop, rectangular, batch } = Views::of(&plan, epoch);
    eval(&EvalArgs {
        data: path,
        network: NetworkArgs { checkpoint, arch: Some(arch) },
        size: NonZeroU32::new(size).unwrap_or(NonZeroU32::MIN),
        crop,
        rect: rectangular,
        tta,
        batch: NonZeroUsize::new(batch).unwrap_or(NonZeroUsize::MIN),
        valdir: epoch.val_dir.clone(),
        workers: arguments.workers,
        reading: ReadingArgs { exif: recipe.data.exif, ..arguments.reading.clone() },
        engine,
        json: false,
    })
}
