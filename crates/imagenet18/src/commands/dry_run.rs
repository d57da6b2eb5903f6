//! `imagenet18 train --dry-run`: the plan, epoch by epoch.

use std::num::NonZeroUsize;

use anyhow::{Context, Result};
use in18_recipe::{EpochPlan, Plan, PlanInput};
use in18_train::Data;

use crate::cli::TrainArgs;
use crate::{output, schedule};

/// Prints the plan. With `--images` it needs no folder; without, it lists the training folders but opens no image.
pub fn dry_run(arguments: &TrainArgs) -> Result<()> {
    let phases = schedule::phases(arguments.phases.as_deref(), arguments.recipe.as_deref())?;
    let world = arguments.world.get();
    let input = match arguments.images.map(NonZeroUsize::get) {
        Some(images) => PlanInput::uniform(world, images),
        None => {
            let data = arguments.data.as_deref().context("expected DATA")?;
            PlanInput::by_train_dir(world, Data::open(data, &phases, &arguments.reading.options())?.train_images())
        }
    };
    let plan = Plan::resolve(&phases, &input.drop_last(arguments.drop_last))?;
    if arguments.json {
        let lines: Vec<String> = plan.epochs.iter().map(|epoch| format!("{}\n", json(epoch))).collect();
        output::print(&lines.concat())
    } else {
        output::print(&table(&plan))
    }
}

fn json(epoch: &EpochPlan) -> serde_json::Value {
    serde_json::json!({
        "epoch": epoch.epoch,
        "size": epoch.size,
        "batch": epoch.batch,
        "steps": epoch.steps,
        "train_dir": epoch.train_dir,
        "val_dir": epoch.val_dir,
        "val_batch": epoch.val_batch,
        "min_scale": epoch.min_scale,
        "rect_val": epoch.rect_val,
        "lr_first": epoch.lr_first(),
        "lr_last": epoch.lr_last(),
    })
}

fn table(plan: &Plan) -> String {
    let mut text = format!(
        "{} device(s), {} epochs, {} steps\n\
         epoch  size  batch  steps  val batch  rect  min scale    lr first     lr last  train dir, val dir\n",
        plan.world,
        plan.epochs.len(),
        plan.total_steps()
    );
    for epoch in &plan.epochs {
        text += &format!(
            "{:>5}  {:>4}  {:>5}  {:>5}  {:>9}  {:>4}  {:>9}  {:>10.6}  {:>10.6}  {:?}, {:?}\n",
            epoch.epoch,
            epoch.size,
            epoch.batch,
            epoch.steps,
            epoch.val_batch,
            if epoch.rect_val { "yes" } else { "no" },
            epoch.min_scale,
            epoch.lr_first(),
            epoch.lr_last(),
            epoch.train_dir,
            epoch.val_dir,
        );
    }
    text
}
