//! `bench step`: a training or evaluation step on random pixels.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use in18_comm::Comm;
use in18_optim::Sgd;
use in18_program::initial::Initialization;
use in18_program::{Metrics, Mode, Model, Size};
use in18_random::{Draws, Purpose};
use in18_train::{BUCKET_BYTES, optimizer, peak_rss_bytes, step_and_sum};

use super::profile::Profile;
use crate::cli::BenchStepArgs;
use crate::exit::Usage;
use crate::ranks::Rank;
use crate::{engine, output};

/// Classes of the measured network: ImageNet's.
const CLASSES: usize = 1000;

/// Steps that are not counted: they touch memory for the first time and warm caches.
const WARM_UP: usize = 2;

/// The rate of the measured updates: small, so that the loss stays a number however many steps there are.
const RATE: f32 = 1e-3;

/// A network and a batch to measure it on.
pub(super) struct Bench {
    // Before the model, and so dropped before it: an exchange under way ends while its memory is there.
    comm: Box<dyn Comm>,
    pub model: Model,
    optimizer: Sgd,
    /// Where gradients are cut for their exchange.
    cuts: Vec<usize>,
    /// Seconds that the last step waited for the exchange when there was nothing left to compute.
    waited: f64,
    pub mode: Mode,
    pub size: Size,
    pixels: Vec<u8>,
    labels: Vec<i32>,
}

impl Bench {
    /// A forward step; in training with the backward half and the update.
    fn step(&mut self) -> Result<()> {
        let metrics = match self.mode {
            Mode::Training => self.train_step()?,
            Mode::Evaluation => self.model.evaluate(self.size, &self.pixels, &self.labels)?,
        };
        self.update()?;
        check(&metrics)
    }

    /// Forward and backward; with several ranks, gradients are summed meanwhile, and metrics after it as in training.
    fn train_step(&mut self) -> Result<Metrics> {
        let Bench { model, comm, cuts, size, pixels, labels, .. } = self;
        let metrics = step_and_sum(model, &mut **comm, cuts, *size, pixels, labels)?;
        let start = Instant::now();
        comm.finish()?;
        self.waited = start.elapsed().as_secs_f64();
        comm.sum(&mut [metrics.loss_sum])?;
        Ok(metrics)
    }

    /// Seconds that the exchange takes with nothing else to do.
    fn exchange_alone(&mut self) -> Result<f64> {
        let mut parts = Vec::new();
        self.model
            .train_step_in_parts(self.size, &self.pixels, &self.labels, &self.cuts, &mut |part| parts.push(part))?;
        self.comm.sum(&mut [0.0])?;
        let start = Instant::now();
        parts.into_iter().try_for_each(|part| self.comm.start_sum(part))?;
        self.comm.finish()?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// The same, calling `after` with each operation's number, and with none after the update.
    pub fn observed_step(&mut self, mut after: impl FnMut(Option<usize>)) -> Result<()> {
        let (at, mut operation) = ((self.mode, self.size), |op| after(Some(op)));
        let metrics = self.model.observed_step(at, &self.pixels, &self.labels, &mut operation)?;
        self.update()?;
        after(None);
        check(&metrics)
    }

    fn update(&mut self) -> Result<()> {
        if self.mode == Mode::Training {
            let scale = (self.comm.world() as f32).recip();
            self.model.update(&self.optimizer.updates(RATE, scale, self.model.trainable_arenas()))?;
        }
        Ok(())
    }
}

fn check(metrics: &Metrics) -> Result<()> {
    ensure!(metrics.loss_sum.is_finite(), "the loss is {}: the step computes nonsense", metrics.loss_sum);
    Ok(())
}

/// Measures the median step, and with `--profile` where its time goes.
pub(super) fn step(arguments: &BenchStepArgs) -> Result<()> {
    let Some((engine, place)) = engine::choose_rank(&arguments.engine)? else { return Ok(()) };
    let rank = Rank { place, step_timeout: Duration::from_secs(600) };
    if rank.world() > 1 && arguments.eval {
        return Err(Usage("--eval: expected one device, since an evaluation exchanges nothing".to_owned()).into());
    }
    let dtype = engine.dtype;
    let mut model = Model::new(engine.kernels, arguments.arch.network(CLASSES), dtype)?;
    Initialization { seed: 0, bn0: false }.apply(&mut model)?;
    let optimizer = optimizer(&model, 0.9, 1e-4, false);
    let side = arguments.size.get();
    let size =
        Size { batch: arguments.batch.get(), height: side, width: arguments.width.unwrap_or(arguments.size).get() };
    let mode = if arguments.eval { Mode::Evaluation } else { Mode::Training };
    let start = Instant::now();
    // Before the pixels are made: a size that no memory holds ends here, with a message.
    model.prepare(mode, size)?;
    let compile_seconds = start.elapsed().as_secs_f64();
    let mut draws = Draws::new(0, Purpose::Augmentation, (0, 0));
    let pixels = (0..size.batch * size.height * size.width * 3).map(|_| draws.below(256) as u8).collect();
    let labels = (0..size.batch).map(|_| draws.below(CLASSES as u64) as i32).collect();
    let cuts = model.gradient_cuts(if arguments.no_overlap { usize::MAX } else { BUCKET_BYTES });
    let comm = rank.join()?;
    let mut bench = Bench { model, optimizer, comm, cuts, waited: 0.0, mode, size, pixels, labels };

    let (mut times, mut waits) = (Vec::new(), Vec::new());
    for step in 0..WARM_UP + arguments.steps.get() {
        let start = Instant::now();
        bench.step()?;
        if step >= WARM_UP {
            times.push(start.elapsed().as_secs_f64());
            waits.push(bench.waited);
        }
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

/// The middle value; the upper one of two.
pub(super) fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// What summing gradients over the ranks costs.
struct Exchange {
    bytes: usize,
    parts: usize,
    /// With nothing else to do.
    alone_seconds: f64,
    /// That a step waits for it at its end.
    waited_seconds: f64,
}

impl Exchange {
    fn measure(bench: &mut Bench, waits: &mut [f64]) -> Result<Self> {
        let mut alone = Vec::with_capacity(waits.len());
        for _ in 0..waits.len() {
            alone.push(bench.exchange_alone()?);
        }
        let (bytes, parts) = (bench.model.parameters().bytes(), bench.cuts.len());
        Ok(Exchange { bytes, parts, alone_seconds: median(&mut alone), waited_seconds: median(waits) })
    }

    /// Percent of it that was hidden behind the backward half.
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
        let (arch, engine) = (arguments.arch, bench.model.describe());
        let Size { batch, height, width } = bench.size;
        let images_per_s = (world * batch) as f64 / seconds;
        let flops: u64 = bench.model.operations(bench.mode, bench.size)?.iter().map(|op| op.flops()).sum();
        let gflops = *world as f64 * flops as f64 / seconds / 1e9;
        let peak_rss_mb = peak_rss_bytes().map_or(0, |bytes| bytes / (1 << 20));
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
                "arch": arch.name(),
                "size": height,
                "width": width,
                "batch": batch,
                "precision": precision,
                "eval": arguments.eval,
                "step_ms": rounded(seconds * 1e3, 1),
                "images_per_s": rounded(images_per_s, 2),
                "gflop_per_s": rounded(gflops, 1),
                "compile_ms": rounded(compile_seconds * 1e3, 0),
                "threads": arguments.engine.threads.unwrap_or_else(engine::cores).get(),
                "peak_rss_mb": peak_rss_mb,
                "ranks": world,
                "exchange": exchange,
            });
            return output::print(&format!("{line}\n"));
        }
        let what = if arguments.eval { "evaluation" } else { "training" };
        let batch = if *world == 1 { batch.to_string() } else { format!("{world} x {batch}") };
        output::print(&format!(
            "{what} {arch}, {height} x {width} px, batch {batch}, {precision}: {:.1} ms a step, {images_per_s:.2} images/s, \
             {gflops:.0} Gflop/s, peak memory {peak_rss_mb} MiB, compiled in {compile_seconds:.2} s, {engine}\n",
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
