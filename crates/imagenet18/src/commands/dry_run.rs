//! `imagenet18 train --dry-run`: the plan, epoch by epoch.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use anyhow::{Context, Result};
use in18_program::{Mode, Network, Size};
use in18_recipe::{Average, Curve, EpochPlan, Evaluate, EvaluationSize, Plan, PlanInput, Recipe, Tta};
use in18_train::{Data, learner};

use crate::cli::{EngineArgs, TrainArgs};
use crate::rank_environment::{self, RankEnvironment};
use crate::recipe::{Chosen, engine_of};
use crate::{engine, output};

/// Prints the plan. With `--images` it needs no folder. Without, it lists the training folders but
/// opens no image.
pub fn dry_run(arguments: &TrainArgs) -> Result<()> {
    if !rank_environment::is_reporter() {
        return Ok(());
    }
    let Chosen { recipe, arch, brought } = Chosen::of(arguments)?;
    let world = match (arguments.world, RankEnvironment::of_this_process()?) {
        (Some(world), _) => world.get(),
        (None, Some(found)) => found.world,
        (None, None) => engine::count(&arguments.engine)?,
    };
    let (input, images) = match arguments.images.map(NonZeroUsize::get) {
        Some(images) => (PlanInput::uniform(world, images), vec![1; IMAGENET_CLASSES]),
        None => {
            let data = arguments.data.as_deref().context("expected DATA")?;
            let data = Data::open(data, &recipe, &arguments.reading.options())?;
            (PlanInput::by_train_dir(world, data.train_images()), data.class_images())
        }
    };
    let plan = Plan::resolve(&recipe, &input)?;
    let network = arch.network(images.len());
    let needs = Needs::of(&plan, &engine_of(&recipe, &arguments.engine), (&network, &images))?;
    if let Some(brought) = brought {
        brought.lines(world).iter().for_each(|line| output::complain(line));
    }
    if arguments.json {
        let lines = plan.epochs.iter().zip(&needs.epochs);
        let lines: Vec<String> =
            lines.map(|(epoch, bytes)| format!("{}\n", json(&recipe, epoch, needs.state + bytes))).collect();
        output::print(&lines.concat())
    } else {
        output::print(&table(&plan, &needs))
    }
}

/// Number of classes if no folder says it.
const IMAGENET_CLASSES: usize = 1000;

/// The memory that a plan needs on each device.
struct Needs {
    /// Bytes of parameters, velocities, gradients and statistics.
    state: usize,
    /// Bytes of activations, by epoch: the larger of training and validation. Rectangular
    /// validation counts as square.
    epochs: Vec<usize>,
}

impl Needs {
    fn of(plan: &Plan, engine: &EngineArgs, (network, images): (&Network, &[usize])) -> Result<Self> {
        let engine = engine::choose_any(engine)?;
        let model = learner(engine.kernels, network.clone(), engine.dtype, (&plan.recipe, plan.world), images)?;
        let mut known: HashMap<(Mode, [usize; 2]), usize> = HashMap::new();
        let mut epochs = Vec::with_capacity(plan.epochs.len());
        for epoch in &plan.epochs {
            let training = epoch.stretches.iter().map(|stretch| (Mode::Training, [stretch.size, stretch.batch]));
            let mut bytes = 0;
            for key in training.chain([(Mode::Evaluation, [epoch.val_size, epoch.val_batch])]) {
                let (mode, [size, batch]) = key;
                let needs = match known.get(&key) {
                    Some(bytes) => *bytes,
                    None => model.work_bytes(mode, Size { batch, height: size, width: size })?,
                };
                known.insert(key, needs);
                bytes = needs.max(bytes);
            }
            epochs.push(bytes);
        }
        Ok(Needs { state: model.state_bytes(), epochs })
    }
}

fn json(recipe: &Recipe, epoch: &EpochPlan, device_bytes: usize) -> serde_json::Value {
    let mut line = serde_json::json!({
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
        "device_bytes": device_bytes,
    });
    if epoch.stretches.len() > 1 {
        line["stretches"] = serde_json::json!(epoch.stretches);
    }
    let Evaluate { tta, size, crop, .. } = recipe.evaluate;
    if size != EvaluationSize::Training {
        line["val_size"] = epoch.val_size.into();
    }
    if let Some(share) = crop.share() {
        line["val_crop"] = share.into();
    }
    if tta != Tta::None {
        line["tta"] = tta.to_string().into();
    }
    line
}

/// The smallest and the largest of numbers that go up or down, in the order in which they come: `96`
/// or `96-176`.
fn range(numbers: impl Iterator<Item = usize> + Clone) -> String {
    let (first, last) = (numbers.clone().next().unwrap_or_default(), numbers.last().unwrap_or_default());
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

/// The averages that are kept, a line each.
fn averages(average: &Average) -> String {
    let mut text = String::new();
    let &Average { ema_half_life, every, lookahead, .. } = average;
    if average.has_ema() {
        text += &format!("evaluated: a moving average of half-life {ema_half_life} steps, moved every {every}\n");
    }
    if average.has_lookahead() {
        text += &format!("slow weights: met every {lookahead} steps\n");
    }
    text
}

/// What moves over the run, what is kept of it, what is done to images beside cropping and
/// flipping, and which views validation sees, a line each.
fn curves(plan: &Plan) -> String {
    let mut text = String::new();
    if plan.recipe.optimizer.rate.is_some() {
        text += &format!("rate: {}\n", plan.epochs[0].lr);
    }
    if !matches!(plan.momentum(), Curve::Constant(_)) {
        text += &format!("momentum: {}\n", plan.momentum());
    }
    text += &averages(&plan.recipe.average);
    if let Some(changes) = plan.recipe.augment.describe() {
        text += &format!("images: {changes}\n");
    }
    for phase in &plan.recipe.phases.phases {
        if let Some(ramp) = phase.ramp() {
            text += &format!("size: {ramp}\n");
        }
    }
    text + &views(&plan.recipe.evaluate)
}

/// What validation sees beyond the training size's own squares or rectangles, as a line.
fn views(evaluate: &Evaluate) -> String {
    let mut words = Vec::new();
    if let EvaluationSize::Pixels(size) = evaluate.size {
        words.push(format!("{size} px"));
    }
    words.extend(evaluate.crop.share().map(|share| format!("crop {share}")));
    if evaluate.tta != Tta::None {
        words.push(format!("tta {}", evaluate.tta));
    }
    if words.is_empty() { String::new() } else { format!("validation: {}\n", words.join(", ")) }
}

fn table(plan: &Plan, needs: &Needs) -> String {
    let wide = plan.epochs.iter().any(|epoch| epoch.stretches.len() > 1);
    // A pair of sizes or batches takes more room.
    let (size_width, batch_width) = if wide { (7, 9) } else { (4, 5) };
    let mut text = format!(
        "{} device(s), {} epochs, {} steps; each device: {} MiB of parameters and what belongs to them, and by epoch\n\
         {}epoch  {:>size_width$}  {:>batch_width$}  steps  val batch  rect  min scale    lr first     lr last     MiB  train dir, val dir\n",
        plan.world,
        plan.length,
        plan.total_steps(),
        needs.state >> 20,
        curves(plan),
        "size",
        "batch",
    );
    for (epoch, bytes) in plan.epochs.iter().zip(&needs.epochs) {
        text += &format!(
            "{:>5}  {:>size_width$}  {:>batch_width$}  {:>5}  {:>9}  {:>4}  {:>9}  {:>10.6}  {:>10.6}  {:>6}  {:?}, {:?}\n",
            epoch.epoch,
            range(epoch.stretches.iter().map(|stretch| stretch.size)),
            range(epoch.stretches.iter().map(|stretch| stretch.batch)),
            epoch.steps,
            epoch.val_batch,
            if epoch.rect_val { "yes" } else { "no" },
            (epoch.min_scale * 1e4).round() / 1e4,
            epoch.lr_first(),
            epoch.lr_last(),
            bytes >> 20,
            epoch.train_dir,
            epoch.val_dir,
        );
    }
    text
}
