//! `imagenet18 train`: from arguments to a trained network.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use in18_comm::Comm;
use in18_dataset::OpenOptions;
use in18_optim::Sgd;
use in18_program::initial::Initialization;
use in18_program::{Arch, Model};
use in18_recipe::{Phases, Plan, PlanInput};
use in18_record::{Opening, Recorder, RunStart, epoch_table};
use in18_tensor::DType;
use in18_train::checkpoint::{CheckpointOptions, Tables};
use in18_train::identity::{NetworkIdentity, identity};
use in18_train::{
    Continued, Data, LossScale, LossScaling, Outcome, PATIENCE, Parts, Progress, RunOptions, Saving, Signals, Trainer,
};
use in18_weights::{Head, WeightFile};

use crate::cli::{
    CheckpointArgs, EngineArgs, EngineChoice, EvalArgs, GradientType, LossScaleChoice, NetworkArgs, Precision, Resume,
    TrainArgs,
};
use crate::commands::eval;
use crate::engine::Engine;
use crate::exit::{self, Ended, Usage};
use crate::logdir::{self, Logdir};
use crate::ranks::{Held, Place, Rank};
use crate::schedule::{Brought, Schedule};
use crate::{engine, output, ranks, resume, signals};

/// What a run needs, resolved.
pub struct Run {
    /// The data path.
    pub data: PathBuf,
    /// How its sets are opened.
    pub opening: OpenOptions,
    /// Whether epochs end before a last partial step.
    pub drop_last: bool,
    /// The network.
    pub arch: Arch,
    /// The schedule, as written.
    pub phases: Phases,
    /// Whether residual blocks start as the identity.
    pub init_bn0: bool,
    /// What a recipe brought, to be told of.
    pub brought: Option<Brought>,
    /// The network to start from, and what becomes of its classifier; none: random values.
    pub init: Option<(PathBuf, Head)>,
    /// What the trainer is told; loader threads and the loss's scaling follow from what is below.
    pub options: RunOptions,
    /// What computes.
    pub engine: EngineArgs,
    /// Loader threads; none: as many as this rank has cores.
    pub workers: Option<NonZeroUsize>,
    /// How long an exchange among ranks may take.
    pub step_timeout: Duration,
    /// What fp16's loss is multiplied with.
    pub loss_scale: LossScaleChoice,
    /// How ranks exchange gradients.
    pub gradients: GradientType,
    /// Batches between two lines of the log.
    pub print_freq: NonZeroUsize,
    /// The run's folder.
    pub logdir: PathBuf,
    /// How it is saved and continued.
    pub checkpoints: CheckpointArgs,
}

/// What an exchange under way uses. It ends, and so is dropped, while the network's memory is there; and both once it has been said
/// what went wrong, if anything did.
struct Joined {
    comm: Held<Box<dyn Comm>>,
    model: Option<Held<Model>>,
}

/// Trains, and prints the epoch table; with `--evaluate`, validates alone.
pub fn train(arguments: &TrainArgs) -> Result<()> {
    if arguments.checkpoints.evaluate {
        return evaluate(arguments);
    }
    ranks::before_joining(|| run(arguments))?.train().map(|_| ())
}

/// What the arguments mean.
fn run(arguments: &TrainArgs) -> Result<Run> {
    let Schedule { phases, arch, init_bn0, no_bn_wd, brought } = Schedule::of(arguments)?;
    Ok(Run {
        data: arguments.data.clone().context("expected DATA")?,
        opening: arguments.reading.options(),
        drop_last: arguments.drop_last,
        arch,
        phases,
        init_bn0,
        brought,
        init: arguments.init.clone().map(|path| (path, if arguments.new_head { Head::Replace } else { Head::Keep })),
        options: RunOptions {
            momentum: arguments.momentum,
            weight_decay: arguments.weight_decay,
            no_bn_wd,
            seed: arguments.seed,
            workers: NonZeroUsize::MIN,
            on_bad_image: arguments.on_bad_image.into(),
            short_epoch: arguments.short_epoch,
            shuffle: arguments.shuffle.into(),
            loss_scaling: LossScaling::Fixed(1.0),
            gradients: DType::F32,
            patience: PATIENCE,
        },
        engine: engine_of(arguments),
        workers: arguments.workers,
        step_timeout: Duration::from_secs(arguments.step_timeout),
        loss_scale: arguments.loss_scale.unwrap_or(FP16_LOSS_SCALE),
        gradients: arguments.gradients,
        print_freq: arguments.print_freq,
        logdir: folder(arguments, arch)?,
        checkpoints: arguments.checkpoints.clone(),
    })
}

/// What fp16's loss is multiplied with if nobody says otherwise: the original's default.
pub const FP16_LOSS_SCALE: LossScaleChoice = LossScaleChoice::Fixed(1024.0);

/// What computes; the original's `--fp16` counts where fp16 can be had.
fn engine_of(arguments: &TrainArgs) -> EngineArgs {
    let mut engine = arguments.engine.clone();
    if arguments.original.fp16 && (engine.engine == EngineChoice::Torch || engine::takes_gpus(&engine)) {
        engine.precision = Precision::Fp16;
    }
    engine
}

/// `--evaluate`: what `eval` does, with size and folder of the plan's epoch.
fn evaluate(arguments: &TrainArgs) -> Result<()> {
    if let Some(place) = Place::of_this_process()? {
        let got = format!("got {} that a launcher started", place.world);
        return Err(Usage(format!("--evaluate: expected one process, {got}: it is not divided among ranks")).into());
    }
    engine::check(&engine_of(arguments))?;
    let Schedule { phases, arch, .. } = Schedule::of(arguments)?;
    let path = arguments.data.clone().context("expected DATA")?;
    let data = Data::open(&path, &phases, &arguments.reading.options())?;
    let plan = Plan::resolve(&phases, &PlanInput::by_train_dir(1, data.train_images()))?;
    let tables = Tables::of_network(&arch.network(data.classes().len()));
    let found = resume::find(&arguments.checkpoints, &folder(arguments, arch)?, &tables)?;
    let validated = found.as_ref().map_or(0, |checkpoint| checkpoint.about.progress.epochs.len().saturating_sub(1));
    let checkpoint = found.map(|checkpoint| checkpoint.path).or_else(|| arguments.init.clone());
    let checkpoint =
        checkpoint.ok_or_else(|| Usage("--evaluate: expected a network by --resume or --init, got none".to_owned()))?;
    let epoch = arguments.checkpoints.start_epoch.unwrap_or(validated);
    let epochs = plan.epochs.len();
    let epoch = plan.epochs.get(epoch);
    let epoch =
        epoch.ok_or_else(|| Usage(format!("--evaluate: expected an epoch below {epochs}, the plan's number")))?;
    let positive = |number: usize| NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN);
    eval(&EvalArgs {
        data: path,
        network: NetworkArgs { checkpoint, arch: Some(arch) },
        size: positive(epoch.size).try_into()?,
        rect: epoch.rect_val,
        tta: None,
        batch: positive(epoch.val_batch),
        valdir: epoch.val_dir.clone(),
        workers: arguments.workers,
        reading: arguments.reading.clone(),
        engine: engine_of(arguments),
        json: false,
    })
}

/// The run's folder: the one that is named, that of the checkpoint, or a new one.
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

impl Run {
    /// Trains the network, saves it, and prints the epoch table and where everything is. None where this process only started
    /// the ranks, which did it.
    pub fn train(&self) -> Result<Option<Outcome>> {
        let chosen = ranks::before_joining(|| engine::choose_rank(&self.engine))?;
        let Some((engine, place)) = chosen else { return Ok(None) };
        let signals = signals::watch()?;
        let rank = Rank { place, gpus: engine.kernels.is_apart(), step_timeout: self.step_timeout };
        let outcome = self.train_as(&rank, engine, signals);
        match outcome {
            // Every rank has come to the same end, and rank 0 says so.
            Err(error) if !rank.is_first() && exit::is_everyones(&error) => Err(Ended(exit::code(&error)).into()),
            outcome => outcome.map(Some),
        }
    }

    fn train_as(&self, rank: &Rank, engine: Engine, signals: Signals) -> Result<Outcome> {
        // First of all, so that the others notice at once if this rank finds something wrong.
        let mut joined = Joined { comm: Held::new(rank.join(&signals)?, rank), model: None };
        let outcome = rank.say_first(self.train_joined(rank, engine, signals, &mut joined))?;
        let Joined { comm, model } = &mut joined;
        comm.done();
        model.iter_mut().for_each(Held::done);
        Ok(outcome)
    }

    fn train_joined(&self, rank: &Rank, engine: Engine, signals: Signals, joined: &mut Joined) -> Result<Outcome> {
        let Joined { comm, model } = joined;
        rank.follow(&mut ***comm)?;
        let mut data = Data::open(&self.data, &self.phases, &self.opening)?;
        let plan = self.plan(&data, rank.world())?;
        if let Some(brought) = self.brought.as_ref().filter(|_| rank.is_first()) {
            brought.lines(rank.world()).iter().for_each(|line| output::complain(line));
        }
        let network = NetworkIdentity {
            arch: self.arch.to_string(),
            classes: data.classes().to_vec(),
            precision: engine.dtype.to_string(),
            init_bn0: self.init_bn0,
        };
        let mut options = self.options.clone();
        options.workers = self.workers.unwrap_or_else(engine::cores);
        if engine.dtype == DType::F16 {
            options.loss_scaling = match self.loss_scale {
                LossScaleChoice::Fixed(scale) => LossScaling::Fixed(scale),
                LossScaleChoice::Dynamic(_) => LossScaling::Dynamic,
            };
        }
        if self.gradients == GradientType::Compute {
            options.gradients = engine.dtype;
        }
        let this_run = identity(&network, &options, &plan, &data);
        // Rank 0 alone has the run's folder.
        let logdir = rank.is_first().then(|| Logdir::open(&self.logdir)).transpose()?;
        let built = Model::new(engine.kernels, self.arch.network(data.classes().len()), engine.dtype)?;
        let model = model.insert(Held::new(built, rank));
        let optimizer = Sgd { weight_decay: options.weight_decay, no_bn_wd: options.no_bn_wd };
        let update = optimizer.update(model.parameters());
        model.set_update(&update)?;
        if rank.world() > 1 {
            model.exchange_as(options.gradients)?;
        }
        model.share_memory(rank.on_this_machine());
        rank.lead(&mut ***comm)?;
        rank.agree(&mut ***comm, &this_run)?;
        let mut resumed = None;
        let mut progress = Progress::default();
        if let Some(logdir) = &logdir {
            resumed = resume::find(&self.checkpoints, logdir.path(), &Tables::of(model))?;
            progress = match &resumed {
                Some(checkpoint) => {
                    model.load_state(&checkpoint.state)?;
                    let by_ranks = |world| {
                        let plan = self.plan(&data, world)?;
                        Ok((identity(&network, &options, &plan, &data), plan))
                    };
                    resume::progress(checkpoint, (&this_run, &plan, &options), &by_ranks, &self.checkpoints)?
                }
                None => self.begin(model, &plan)?,
            };
        }
        let progress = rank.share(&mut ***comm, model, progress)?;
        let from = resumed.as_ref().map(|checkpoint| Continued {
            checkpoint: checkpoint.path.display().to_string(),
            world: resume::ranks_of(&checkpoint.about.identity).unwrap_or(rank.world()),
        });
        let (mut recorder, start) = match &logdir {
            Some(logdir) => {
                // The logs of the checkpoint's own run go on; another folder's begin.
                let marks = resumed.filter(|own| logdir.holds(&own.path)).map(|own| own.about.marks);
                self.refuse_taken(logdir, marks.is_some())?;
                let (first, world) = (progress.epoch, rank.world());
                let start = marks.is_none().then(|| self.start(model, &data, &plan, engine.dtype, (first, world)));
                let opening = marks.as_ref().map_or(Opening::New, Opening::Continue);
                (logdir.recorder(opening, self.print_freq)?, start)
            }
            None => (Recorder::new(Vec::new()), None),
        };
        let folder = |path: fn(&Logdir) -> PathBuf| logdir.as_ref().map_or_else(PathBuf::new, path);
        let checkpoints = CheckpointOptions {
            folder: folder(Logdir::checkpoints),
            best: folder(Logdir::best),
            best_top5: self.checkpoints.best_top5,
            every_seconds: self.checkpoints.checkpoint_minutes * 60.0,
            keep: self.checkpoints.keep,
        };
        let saving = Saving { checkpoints, signals, network, identity: this_run };
        let saved = folder(Logdir::parameters);
        let parts = Parts { comm: &mut ***comm, model, data: &mut data, recorder: &mut recorder };
        let trainer = Trainer::new(parts, &plan, options, saving, progress)?;
        let outcome = trainer.run(start, from, &saved);
        // A log that failed does not end a run, but its user wants to know.
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

    /// The plan for so many ranks.
    fn plan(&self, data: &Data, world: usize) -> Result<Plan> {
        let input = PlanInput::by_train_dir(world, data.train_images()).drop_last(self.drop_last);
        Ok(Plan::resolve(&self.phases, &input)?)
    }

    /// Refuses a folder that holds another run or another's event files; `goes_on`: it is this one's.
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

    /// Initial values; with `--start-epoch`, at that epoch.
    fn begin(&self, model: &mut Model, plan: &Plan) -> Result<Progress> {
        Initialization { seed: self.options.seed, bn0: self.init_bn0 }.apply(model)?;
        if let Some((path, head)) = &self.init {
            let file = WeightFile::read(path)?;
            // Whatever it says it is: `--arch` says what is trained, and a file of another network is refused.
            file.load(model, file.arch(Some(self.arch))?, *head)?;
        }
        let mut progress = Progress::default();
        if let LossScaleChoice::Dynamic(first) = self.loss_scale {
            progress.loss_scale = LossScale::starting_at(first);
        }
        if let Some(epoch) = self.checkpoints.start_epoch {
            let epochs = plan.epochs.len();
            if epoch >= epochs {
                return Err(Usage(format!("--start-epoch: expected an epoch below {epochs}, got {epoch}")).into());
            }
            progress.start_epoch(epoch);
        }
        Ok(progress)
    }

    /// What is trained, for the logs' first lines.
    fn start(
        &self,
        model: &Model,
        data: &Data,
        plan: &Plan,
        dtype: DType,
        (first_epoch, world): (usize, usize),
    ) -> RunStart {
        let first = &plan.epochs[first_epoch.min(plan.epochs.len() - 1)];
        RunStart {
            arch: self.arch.to_string(),
            classes: data.classes().len(),
            parameters: model.parameters().elements() as u64,
            precision: dtype.to_string(),
            engine: model.describe(),
            world,
            workers: self.workers.unwrap_or_else(engine::cores).get(),
            seed: self.options.seed,
            first_epoch,
            epochs: plan.epochs.len(),
            images_train: data.train(&first.train_dir).len() as u64,
            images_val: data.validation(&first.val_dir).len() as u64,
            plan: plan.epochs.iter().filter(|e| e.new_data || e.keep_dl).map(|e| data.change(e)).collect(),
            epoch_cost: plan.epochs.iter().map(|epoch| (epoch.images * epoch.size * epoch.size) as f64).collect(),
        }
    }
}
