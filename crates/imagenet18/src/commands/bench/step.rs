//! `bench step`: a training or evaluation step on random pixels.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use in18_comm::{Comm, Solo};
use in18_program::{Arch, Input, Metrics, Mode, Model, PendingMetrics, Size, Targets, UpdateScalars};
use in18_random::{Draws, Purpose};
use in18_recipe::{Precision, Recipe};
use in18_system::proc::peak_rss_bytes;
use in18_tensor::DType;
use in18_train::{
    Doing, DynamicScale, FirstStep, PATIENCE, Signals, Stage, StepName, StepScalars, TrainingStep, exchanged, finish,
    initialization, learner,
};
use serde_json::json;

pub use self::profile::{Profile, Row};
use crate::cli::{BenchStepArgs, Devices, EngineArgs};
use crate::engine::Engine;
use crate::exit::Usage;
use crate::rank_environment::RankEnvironment;
use crate::ranks::{LeakOnError, Rank};
use crate::recipe::{measured, precision_of};
use crate::{cores, engine, output, ranks};

mod profile;

/// Classes of the measured network: ImageNet's.
const CLASSES: usize = 1000;

/// Steps that are not counted, because they touch memory for the first time and warm caches.
const WARM_UP: usize = 2;

/// The measured updates' learning rate is small, so that the loss stays finite after many steps.
const AT: StepScalars = StepScalars { rate: 1e-3, momentum: 0.9, decay: 1.0, averages: [None; 2] };

/// A network and a batch to measure it on.
pub(super) struct Bench {
    // Field order is drop order: end a running exchange, then free the model's memory.
    comm: Box<dyn Comm>,
    pub model: Model,
    arch: Arch,
    recipe: Recipe,
    step: TrainingStep,
    scale: DynamicScale,
    /// Training steps so far.
    steps: usize,
    /// Seconds that the last step waited for the exchange after it had computed everything.
    waited: f64,
    pub mode: Mode,
    pub size: Size,
    pixels: Vec<u8>,
    labels: Vec<i32>,
    /// On rank 0, until the first step has ended.
    first: Option<FirstStep>,
}

impl Bench {
    /// Checks that all ranks are about to measure the same thing.
    fn agree(&mut self, arguments: &BenchStepArgs, dtype: DType, rank: &Rank) -> Result<()> {
        let Size { batch, height, width } = self.size;
        let run = json!({
            "arch": self.arch.to_string(),
            "size": [batch, height, width],
            "precision": dtype.to_string(),
            "parts": self.step.cuts(),
            "exchanged_bytes": self.model.exchanged_bytes(),
            "recipe": self.recipe,
            "steps": arguments.steps,
        });
        rank.check_same_run(&mut *self.comm, &run)
    }

    /// Starts a forward step; in training, also the backward half and the update. With several
    /// ranks, gradients are summed meanwhile.
    fn start_step(&mut self) -> Result<PendingMetrics> {
        if self.mode == Mode::Evaluation {
            return Ok(self.model.start_evaluation(Input {
                size: self.size,
                pixels: &self.pixels,
                targets: Targets::of(&self.labels),
            })?);
        }
        self.start_training(false)
    }

    /// Starts a training step and measures how long it waits for the exchange at its end. With
    /// `apart`, it first waits until the device has computed everything.
    fn start_training(&mut self, apart: bool) -> Result<PendingMetrics> {
        self.steps += 1;
        let average = &self.recipe.average;
        let due = (average.lookahead_keeps(self.steps, usize::MAX), average.ema_keeps(self.steps));
        let at = StepScalars { averages: StepScalars::averages(due.0, due.1), ..AT };
        let Bench { model, comm, step, scale, size, pixels, labels, first, waited, .. } = self;
        let input = Input { size: *size, pixels, targets: Targets::of(labels) };
        let mut start = Instant::now();
        let started = step.start((model, &mut **comm), input, at, scale, &mut |stage, model, comm| {
            if apart && stage != Stage::Computing {
                model.synchronize()?;
            }
            match stage {
                Stage::Computing => {}
                Stage::Exchanging => {
                    if let (Some(first), 2..) = (&first, comm.world()) {
                        first.does(Doing::Exchanging);
                    }
                    start = Instant::now();
                }
                Stage::Updating => *waited = start.elapsed().as_secs_f64(),
            }
            Ok(())
        })?;
        Ok(started.metrics)
    }

    /// Waits for a step's results. With several ranks, these are summed as in training.
    fn finish_step(&mut self, pending: PendingMetrics) -> Result<()> {
        let metrics = finish(&mut self.model, &mut *self.comm, pending)?;
        self.comm.sum(&mut [metrics.loss_sum])?;
        if self.first.take().is_some() {
            self.model.forget_watcher();
        }
        check(&metrics)
    }

    /// For a device that computes beside this thread: seconds that it waits for the exchange after
    /// it has computed everything.
    fn waited_on_device(&mut self) -> Result<f64> {
        let pending = self.start_training(true)?;
        let waited = self.waited;
        self.finish_step(pending)?;
        Ok(waited)
    }

    /// Seconds that the exchange takes while nothing is computed.
    fn exchange_alone(&mut self) -> Result<f64> {
        let mut parts = Vec::new();
        let mut ready = |part, dtype| parts.push((part, dtype));
        let Bench { model, step, size, pixels, labels, .. } = self;
        let input = Input { size: *size, pixels, targets: Targets::of(labels) };
        let pending = model.start_training_in_parts(input, step.cuts(), &mut ready)?;
        model.metrics(pending)?;
        model.synchronize()?;
        self.comm.sum(&mut [0.0])?;
        let start = Instant::now();
        parts.into_iter().try_for_each(|(part, dtype)| self.comm.start_sum(part, dtype))?;
        self.comm.finish()?;
        self.model.synchronize()?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// Runs one step without an exchange. Calls `after` with the number of each ended operation.
    pub fn observed_step(&mut self, mut after: impl FnMut(usize)) -> Result<()> {
        let Bench { model, mode, size, pixels, labels, .. } = self;
        let scalars = UpdateScalars { rate: AT.rate, momentum: AT.momentum, gradient_scale: 1.0, decay: AT.decay };
        let input = Input { size: *size, pixels, targets: Targets::of(labels) };
        let metrics = model.observed_step(*mode, input, scalars, &mut after)?;
        check(&metrics)
    }
}

/// The arguments of the engine, with the recipe's type of activations where they name none.
fn with_precision_of(recipe: &Recipe, engine: &EngineArgs) -> EngineArgs {
    let precision = match engine.precision {
        Precision::Auto => recipe.network.precision,
        precision => precision,
    };
    EngineArgs { precision, ..engine.clone() }
}

/// The engine of an evaluation, which needs one device because it exchanges nothing.
fn alone(arguments: &EngineArgs) -> Result<Option<(Engine, Option<RankEnvironment>)>> {
    let are_several = arguments.devices != Devices::Auto && engine::count(arguments)? > 1;
    if are_several || RankEnvironment::of_this_process()?.is_some() {
        return Err(Usage("--eval: expected one device, since an evaluation exchanges nothing".to_owned()).into());
    }
    Ok(Some((engine::choose(arguments)?, None)))
}

/// The network to measure, not yet joined to other ranks, and the seconds that compiling took.
fn prepare(
    arguments: &BenchStepArgs,
    (recipe, arch): (Recipe, Arch),
    engine: Engine,
    rank: &Rank,
) -> Result<(Bench, f64)> {
    let dtype = engine.dtype;
    let side = arguments.size.get();
    let size =
        Size { batch: arguments.batch.get(), height: side, width: arguments.width.unwrap_or(arguments.size).get() };
    let mode = if arguments.eval { Mode::Evaluation } else { Mode::Training };
    let compiling = rank.is_first().then(|| first_step(size, Doing::Compiling));
    let (mut bench, compile_seconds) = alone_on(engine, (recipe, arch), (mode, size), rank.on_this_machine())?;
    drop(compiling);
    if arguments.no_overlap {
        bench.step = TrainingStep::in_parts_of(usize::MAX, &bench.model, bench.recipe.loss.scale);
    }
    let gradients = arguments.gradients.unwrap_or(bench.recipe.optimizer.gradients);
    bench.model.exchange_as(exchanged(gradients, dtype))?;
    Ok((bench, compile_seconds))
}

/// A network on random pixels that exchanges nothing, and the seconds that compiling took. Its
/// process shares the machine's memory with others; they are `processes` together.
pub(super) fn alone_on(
    engine: Engine,
    (recipe, arch): (Recipe, Arch),
    (mode, size): (Mode, Size),
    processes: usize,
) -> Result<(Bench, f64)> {
    let (network, dtype) = (arch.network(CLASSES), engine.dtype);
    let mut model = match mode {
        Mode::Training => learner(engine.kernels, network, dtype, (&recipe, 1), &[1; CLASSES])?,
        Mode::Evaluation => Model::new(engine.kernels, network, dtype)?,
    };
    model.share_memory(processes);
    initialization(&recipe).apply(&mut model)?;
    let start = Instant::now();
    // Before the pixels are made: a size that fits into no memory ends here, with a message.
    model.prepare(mode, size)?;
    let compile_seconds = start.elapsed().as_secs_f64();
    let mut draws = Draws::new(0, Purpose::Augmentation, (0, 0));
    let pixels = (0..size.batch * size.height * size.width * 3).map(|_| draws.below(256) as u8).collect();
    let labels = (0..size.batch).map(|_| draws.below(CLASSES as u64) as i32).collect();
    let bench = Bench {
        comm: Box::new(Solo),
        step: TrainingStep::new(&model, recipe.loss.scale),
        model,
        arch,
        recipe,
        scale: DynamicScale::default(),
        steps: 0,
        waited: 0.0,
        mode,
        size,
        pixels,
        labels,
        first: None,
    };
    Ok((bench, compile_seconds))
}

/// Prints what the first step is doing if it takes long.
fn first_step(size: Size, doing: Doing) -> FirstStep {
    let remedy =
        "lower --batch or --size, or take a smaller --arch; once it is done, --profile shows what took how long";
    let name = StepName { place: "step 1".to_owned(), size, remedy: remedy.to_owned() };
    FirstStep::watch(name, doing, PATIENCE, |line| output::complain(&format!("warning: {line}")))
}

fn check(metrics: &Metrics) -> Result<()> {
    ensure!(metrics.loss_sum.is_finite(), "the loss is {}: the step computes nonsense", metrics.loss_sum);
    Ok(())
}

/// Measures the median step; with `--profile`, also where its time goes.
pub(super) fn step(arguments: &BenchStepArgs) -> Result<()> {
    let (recipe, arch) = measured(arguments.recipe.as_deref(), arguments.arch, &arguments.fields)?;
    let wanted = with_precision_of(&recipe, &arguments.engine);
    let choose = || match arguments.eval {
        true => alone(&wanted),
        false => engine::choose_rank(&wanted),
    };
    let Some((engine, environment)) = ranks::before_joining(choose)? else { return Ok(()) };
    let rank = Rank { environment, gpus: engine.kernels.is_apart(), step_timeout: Duration::from_secs(600) };
    let dtype = engine.dtype;
    let (mut prepared, compile_seconds) = ranks::before_joining(|| {
        let recipe = recipe.computed_in(precision_of(dtype));
        prepare(arguments, (recipe, arch), engine, &rank)
    })?;
    prepared.comm = rank.join(&Signals::default())?;
    let mut bench = LeakOnError::new(prepared, &rank);
    let agreed = bench.agree(arguments, dtype, &rank);
    rank.report_before_leaving(agreed)?;
    if rank.is_first() {
        let first = first_step(bench.size, Doing::Computing);
        first.follow(&mut bench.model);
        bench.first = Some(first);
    }

    // As in training: where a device computes beside this thread, one step is launched before the
    // results of the last are read.
    let ahead = usize::from(bench.model.is_apart());
    let (mut times, mut waits, mut running) = (Vec::new(), Vec::new(), VecDeque::new());
    let (mut finished, mut last) = (0, Instant::now());
    while times.len() < arguments.steps.get() {
        running.push_back(bench.start_step()?);
        if running.len() > ahead
            && let Some(first) = running.pop_front()
        {
            bench.finish_step(first)?;
            let now = Instant::now();
            finished += 1;
            if finished > WARM_UP {
                times.push(now.duration_since(last).as_secs_f64());
                waits.push(bench.waited);
            }
            last = now;
        }
    }
    for left in running {
        bench.finish_step(left)?;
    }
    let exchange = match rank.world() {
        1 => None,
        _ => Some(Exchange::measure(&mut bench, &mut waits)?),
    };
    // No rank ends while another still measures.
    bench.comm.sum(&mut [0.0])?;
    if !rank.is_first() {
        return Ok(());
    }
    let seconds = median(&mut times);
    let measured = Measured { precision: dtype.to_string(), seconds, compile_seconds, world: rank.world(), exchange };
    measured.report(arguments, &bench)?;
    if arguments.profile {
        let profile = Profile::measure(&mut bench, arguments.steps.get())?;
        output::print(&profile.table(seconds))?;
    }
    Ok(())
}

/// The median; of an even number of values, the upper of the middle two.
pub(super) fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// What summing gradients over the ranks costs.
struct Exchange {
    bytes: usize,
    parts: usize,
    /// Seconds that the exchange takes while nothing is computed.
    alone_seconds: f64,
    /// Seconds that a step waits for the exchange at its end.
    waited_seconds: f64,
}

impl Exchange {
    fn measure(bench: &mut Bench, waits: &mut [f64]) -> Result<Self> {
        let mut alone = Vec::with_capacity(waits.len());
        for _ in 0..waits.len() {
            alone.push(bench.exchange_alone()?);
        }
        if bench.model.is_apart() {
            // With such a device, this thread does not wait for the exchange, but the device does.
            for wait in waits.iter_mut() {
                *wait = bench.waited_on_device()?;
            }
        }
        let (bytes, parts) = (bench.model.exchanged_bytes(), bench.step.cuts().len());
        Ok(Exchange { bytes, parts, alone_seconds: median(&mut alone), waited_seconds: median(waits) })
    }

    /// Percent of the exchange that was hidden behind the backward half.
    fn hidden(&self) -> f64 {
        100.0 * (1.0 - self.waited_seconds / self.alone_seconds).clamp(0.0, 1.0)
    }
}

struct Measured {
    precision: String,
    seconds: f64,
    compile_seconds: f64,
    world: usize,
    exchange: Option<Exchange>,
}

impl Measured {
    fn report(&self, arguments: &BenchStepArgs, bench: &Bench) -> Result<()> {
        let Self { precision, seconds, compile_seconds, world, exchange } = self;
        let (arch, engine) = (bench.arch, bench.model.describe());
        let Size { batch, height, width } = bench.size;
        let images_per_s = (world * batch) as f64 / seconds;
        let flops = bench.model.flops(bench.mode, bench.size)?;
        let gflops = *world as f64 * flops as f64 / seconds / 1e9;
        let peak_rss_mb = peak_rss_bytes().map_or(0, |bytes| bytes / (1 << 20));
        let device_mb = bench.model.device_memory().map(|memory| memory.max_cached / (1 << 20));
        let rounded = |value: f64, digits: i32| (value * 10f64.powi(digits)).round() / 10f64.powi(digits);
        if arguments.json {
            let exchange = exchange.as_ref().map(|exchange| {
                serde_json::json!({
                    "mb": rounded(exchange.bytes as f64 / 1e6, 1),
                    "parts": exchange.parts,
                    "alone_ms": rounded(exchange.alone_seconds * 1e3, 1),
                    "waited_ms": rounded(exchange.waited_seconds * 1e3, 1),
                    "hidden_percent": rounded(exchange.hidden(), 1),
                })
            });
            let line = serde_json::json!({
                "engine": engine,
                "arch": arch.to_string(),
                "size": height,
                "width": width,
                "batch": batch,
                "precision": precision,
                "eval": arguments.eval,
                "step_ms": rounded(seconds * 1e3, 1),
                "images_per_s": rounded(images_per_s, 2),
                "gflop_per_s": rounded(gflops, 1),
                "compile_ms": rounded(compile_seconds * 1e3, 0),
                "threads": arguments.engine.threads.unwrap_or_else(cores::available).get(),
                "peak_rss_mb": peak_rss_mb,
                "device_mb": device_mb,
                "ranks": world,
                "exchange": exchange,
            });
            return output::print(&format!("{line}\n"));
        }
        let on_device = device_mb.map_or_else(String::new, |mib| format!(" and {mib} MiB of the device's"));
        let what = if arguments.eval { "evaluation" } else { "training" };
        let batch = if *world == 1 { batch.to_string() } else { format!("{world} x {batch}") };
        output::print(&format!(
            "{what} {arch}, {height} x {width} px, batch {batch}, {precision}: {:.1} ms a step, {images_per_s:.2} images/s, \
             {gflops:.0} Gflop/s, peak memory {peak_rss_mb} MiB{on_device}, compiled in {compile_seconds:.2} s, {engine}\n",
            seconds * 1e3
        ))?;
        let Some(exchange) = exchange else { return Ok(()) };
        let Exchange { bytes, parts, alone_seconds, waited_seconds } = exchange;
        output::print(&format!(
            "exchange of {:.1} MB of gradients in {parts} parts: {:.1} ms alone, {:.1} ms waited for after the backward half, \
             {:.0} % hidden behind it\n",
            *bytes as f64 / 1e6,
            alone_seconds * 1e3,
            waited_seconds * 1e3,
            exchange.hidden()
        ))
    }
}
