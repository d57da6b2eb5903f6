//! `imagenet18 train`: from arguments to a trained network.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::{Context, Result};
use in18_program::initial::Initialization;
use in18_program::{Arch, Model};
use in18_recipe::{Phases, Plan, PlanInput};
use in18_record::{RunStart, epoch_table};
use in18_train::{Data, Outcome, RunOptions, Trainer};

use crate::cli::{Precision, TrainArgs};
use crate::logdir::{self, Logdir};
use crate::{engine, output, schedule};

/// What a run needs, resolved.
pub struct Run {
    /// The data path.
    pub data: PathBuf,
    /// The network.
    pub arch: Arch,
    /// The schedule, as written.
    pub phases: Phases,
    /// Whether residual blocks start as the identity.
    pub init_bn0: bool,
    /// What the trainer is told.
    pub options: RunOptions,
    /// Type of activations.
    pub precision: Precision,
    /// Threads that compute; none: as many as there are cores.
    pub threads: Option<NonZeroUsize>,
    /// Batches between two lines of the log.
    pub print_freq: NonZeroUsize,
    /// The run's folder.
    pub logdir: PathBuf,
}

/// Trains, and prints the epoch table.
pub fn train(arguments: &TrainArgs) -> Result<()> {
    let run = Run {
        data: arguments.data.clone().context("expected DATA")?,
        arch: arguments.arch,
        phases: schedule::phases(arguments.phases.as_deref(), arguments.recipe.as_deref())?,
        init_bn0: arguments.init_bn0,
        options: RunOptions {
            momentum: arguments.momentum,
            weight_decay: arguments.weight_decay,
            no_bn_wd: arguments.no_bn_wd,
            seed: arguments.seed,
            workers: arguments.workers.unwrap_or_else(engine::cores),
            short_epoch: arguments.short_epoch,
        },
        precision: arguments.precision,
        threads: arguments.threads,
        print_freq: arguments.print_freq,
        logdir: arguments.logdir.clone().unwrap_or_else(|| logdir::stamped(&format!("runs/{}", arguments.arch))),
    };
    run.train().map(|_| ())
}

impl Run {
    /// Trains the network, saves it, and prints the epoch table and where everything is.
    pub fn train(&self) -> Result<Outcome> {
        let mut data = Data::open(&self.data, &self.phases)?;
        let plan = Plan::resolve(&self.phases, &PlanInput::by_train_dir(1, data.train_images()))?;
        let engine = engine::choose(self.precision, self.threads)?;
        let logdir = Logdir::create(&self.logdir)?;
        let network = self.arch.network(data.classes().len());
        let mut model = Model::new(engine.kernels, network, engine.dtype)?;
        let initialization = Initialization { seed: self.options.seed, bn0: self.init_bn0 };
        initialization.apply(&mut model)?;

        let first = &plan.epochs[0];
        let start = RunStart {
            arch: self.arch.to_string(),
            classes: data.classes().len(),
            parameters: model.parameters().elements() as u64,
            precision: engine.dtype.to_string(),
            engine: model.describe(),
            world: 1,
            workers: self.options.workers.get(),
            seed: self.options.seed,
            first_epoch: 0,
            epochs: plan.epochs.len(),
            images_train: data.train(&first.train_dir).len() as u64,
            images_val: data.validation(&first.val_dir).len() as u64,
            epoch_cost: plan.epochs.iter().map(|epoch| (epoch.images * epoch.size * epoch.size) as f64).collect(),
        };
        let mut recorder = logdir.recorder(self.print_freq)?;
        let trainer = Trainer::new(&mut model, &mut data, &plan, self.options.clone(), &mut recorder);
        let saved = logdir.parameters();
        let outcome = trainer.run(start, &saved);
        // A log that failed does not end a run, but its user wants to know.
        for failure in recorder.close() {
            output::complain(&format!("warning: {failure}"));
        }
        let outcome = outcome?;
        let table = epoch_table(&outcome.epochs);
        output::print(&format!("{table}network {}, logs in {}\n", saved.display(), logdir.path().display()))?;
        Ok(outcome)
    }
}
