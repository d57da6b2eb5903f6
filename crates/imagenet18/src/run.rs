//! A training run, from its recipe to a trained network, on one rank or several.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use in18_comm::Comm;
use in18_dataset::OpenOptions;
use in18_loader::OnBadImage;
use in18_program::{Arch, Model};
use in18_recipe::Recipe;
use in18_record::{Recorder, epoch_table};
use in18_train::checkpoint::CheckpointOptions;
use in18_train::{Continued, Outcome, Parts, Saving, Signals, Trainer, learner};

use self::resolved::Resolved;
use crate::cli::{CheckpointArgs, EngineArgs, Stop};
use crate::engine::Engine;
use crate::exit::{self, Ended};
use crate::logdir::Logdir;
use crate::ranks::{LeakOnError, Rank};
use crate::recipe::Brought;
use crate::{engine, output, ranks, resume, signals};

mod beginning;
mod logs;
mod resolved;

/// A run as the user asked for it: a recipe, and how to run it.
pub struct Run {
    /// What decides what is learnt.
    pub recipe: Recipe,
    /// The recipe's network.
    pub arch: Arch,
    /// What `--recipe` brought, to be printed.
    pub brought: Option<Brought>,
    /// The data path.
    pub data: PathBuf,
    /// How the image sets are opened.
    pub reading: OpenOptions,
    /// The engine, with the recipe's type of activations.
    pub engine: EngineArgs,
    /// Number of loader threads; `None`: as many as this rank has cores.
    pub workers: Option<NonZeroUsize>,
    /// What happens at an image that cannot be loaded.
    pub on_bad_image: OnBadImage,
    /// Whether epochs end after a few batches.
    pub short_epoch: bool,
    /// The accuracy at which the run ends; `None`: as the run that it continues.
    pub stop_at: Option<Stop>,
    /// How long an exchange among ranks may take.
    pub step_timeout: Duration,
    /// Batches between two lines of the log.
    pub print_freq: NonZeroUsize,
    /// The run's folder.
    pub logdir: PathBuf,
    /// How the run is saved and continued.
    pub checkpoints: CheckpointArgs,
}

/// What a running exchange uses. Field order is drop order: close the connection, then free the
/// network's memory. Both are dropped only after this rank has printed its error, if it has one.
struct Joined {
    comm: LeakOnError<Box<dyn Comm>>,
    model: Option<LeakOnError<Model>>,
}

impl Run {
    /// Trains the network, saves it, and prints the epoch table and where everything is. Returns
    /// `None` in a process that only launched the ranks, which have trained the network.
    pub fn train(&self) -> Result<Option<Outcome>> {
        let chosen = ranks::before_joining(|| engine::choose_rank(&self.engine))?;
        let Some((engine, environment)) = chosen else { return Ok(None) };
        let signals = signals::watch()?;
        let rank = Rank { environment, gpus: engine.kernels.is_apart(), step_timeout: self.step_timeout };
        let outcome = self.train_as(&rank, engine, signals);
        match outcome {
            // Every rank ends with the same error, and rank 0 prints it.
            Err(error) if !rank.is_first() && exit::is_everyones(&error) => Err(Ended(exit::code(&error)).into()),
            outcome => outcome.map(Some),
        }
    }

    fn train_as(&self, rank: &Rank, engine: Engine, signals: Signals) -> Result<Outcome> {
        // Join first, so that the others notice at once if this rank finds something wrong.
        let mut joined = Joined { comm: LeakOnError::new(rank.join(&signals)?, rank), model: None };
        let outcome = rank.report_before_leaving(self.train_joined(rank, engine, signals, &mut joined))?;
        let Joined { comm, model } = &mut joined;
        comm.disarm();
        model.iter_mut().for_each(LeakOnError::disarm);
        Ok(outcome)
    }

    fn train_joined(&self, rank: &Rank, engine: Engine, signals: Signals, joined: &mut Joined) -> Result<Outcome> {
        let Joined { comm, model } = joined;
        rank.wait_for_first(&mut ***comm)?;
        let mut resolved = self.resolve(rank.world(), engine.dtype)?;
        if let Some(brought) = self.brought.as_ref().filter(|_| rank.is_first()) {
            brought.lines(rank.world()).iter().for_each(|line| output::complain(line));
        }
        // Only rank 0 has the run's folder.
        let logdir = rank.is_first().then(|| Logdir::open(&self.logdir)).transpose()?;
        let model = model.insert(LeakOnError::new(self.model(engine, &resolved, rank)?, rank));
        rank.release_others(&mut ***comm)?;
        rank.check_same_run(&mut ***comm, &resolved.identity)?;
        let (progress, resumed) = match &logdir {
            Some(logdir) => self.beginning(model, &resolved, logdir)?,
            None => Default::default(),
        };
        let progress = rank.broadcast_state(&mut ***comm, model, progress)?;
        let from = resumed.as_ref().map(|checkpoint| Continued {
            checkpoint: checkpoint.path.display().to_string(),
            world: resume::ranks_of(&checkpoint.about.identity).unwrap_or(rank.world()),
        });
        let (mut recorder, start) = match &logdir {
            Some(logdir) => self.logs(logdir, resumed, model, &resolved, progress.epoch)?,
            None => (Recorder::new(Vec::new()), None),
        };
        let (saving, saved) = self.saving(logdir.as_ref(), signals, &resolved);
        let Resolved { data, plan, .. } = &mut resolved;
        let parts = Parts { comm: &mut ***comm, model, data, recorder: &mut recorder };
        let outcome = Trainer::new(parts, plan, self.settings(), saving, progress)?.run(start, from, &saved);
        // A failed log does not end a run, but its user wants to know.
        for failure in recorder.close() {
            output::complain(&format!("warning: {failure}"));
        }
        let outcome = outcome?;
        if let Some(logdir) = &logdir {
            let table = epoch_table(&outcome.epochs);
            output::print(&format!("{table}network {}, logs in {}\n", saved.display(), logdir.path().display()))?;
        }
        Ok(outcome)
    }

    /// The network with its optimizer, before its values are set.
    fn model(&self, engine: Engine, resolved: &Resolved, rank: &Rank) -> Result<Model> {
        let network = self.arch.network(resolved.data.classes().len());
        let images = resolved.data.class_images();
        let mut model =
            learner(engine.kernels, network, engine.dtype, (&resolved.plan.recipe, resolved.plan.world), &images)?;
        model.share_memory(rank.on_this_machine());
        Ok(model)
    }

    /// How the run is saved, and where its network goes. Only rank 0, which has the folder, writes.
    fn saving(&self, logdir: Option<&Logdir>, signals: Signals, resolved: &Resolved) -> (Saving, PathBuf) {
        let folder = |path: fn(&Logdir) -> PathBuf| logdir.map_or_else(PathBuf::new, path);
        let checkpoints = CheckpointOptions {
            folder: folder(Logdir::checkpoints),
            best: folder(Logdir::best),
            best_top5: self.checkpoints.best_top5,
            every_seconds: self.checkpoints.checkpoint_minutes * 60.0,
            keep: self.checkpoints.keep,
        };
        let (network, identity) = (resolved.network.clone(), resolved.identity.clone());
        (Saving { checkpoints, signals, network, identity }, folder(Logdir::parameters))
    }
}
