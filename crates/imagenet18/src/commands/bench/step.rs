//! `bench step`: a training or evaluation step on random pixels.

use std::time::Instant;

use anyhow::{Result, ensure};
use in18_optim::Sgd;
use in18_program::initial::Initialization;
use in18_program::{Metrics, Mode, Model, Size};
use in18_random::{Draws, Purpose};
use in18_train::{optimizer, peak_rss_bytes};

use super::profile::Profile;
use crate::cli::BenchStepArgs;
use crate::{engine, output};

/// Classes of the measured network: ImageNet's.
const CLASSES: usize = 1000;

/// Steps that are not counted: they touch memory for the first time and warm caches.
const WARM_UP: usize = 2;

/// The rate of the measured updates: small, so that the loss stays a number however many steps there are.
const RATE: f32 = 1e-3;

/// A network and a batch to measure it on.
pub(super) struct Bench {
    pub model: Model,
    optimizer: Sgd,
    pub mode: Mode,
    pub size: Size,
    pixels: Vec<u8>,
    labels: Vec<i32>,
}

impl Bench {
    /// A forward step; in training with the backward half and the update.
    fn step(&mut self) -> Result<()> {
        let metrics = match self.mode {
            Mode::Training => self.model.train_step(self.size, &self.pixels, &self.labels)?,
            Mode::Evaluation => self.model.evaluate(self.size, &self.pixels, &self.labels)?,
        };
        self.update()?;
        check(&metrics)
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
            self.model.update(&self.optimizer.updates(RATE, 1.0, self.model.trainable_arenas()))?;
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
    let engine = engine::choose(&arguments.engine)?;
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
    let mut bench = Bench { model, optimizer, mode, size, pixels, labels };

    let mut times = Vec::new();
    for step in 0..WARM_UP + arguments.steps.get() {
        let start = Instant::now();
        bench.step()?;
        if step >= WARM_UP {
            times.push(start.elapsed().as_secs_f64());
        }
    }
    let seconds = median(&mut times);
    let measured = Measured { precision: dtype.to_string(), seconds, compile_seconds };
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

struct Measured {
    precision: String,
    seconds: f64,
    compile_seconds: f64,
}

impl Measured {
    fn report(&self, arguments: &BenchStepArgs, bench: &Bench) -> Result<()> {
        let Self { precision, seconds, compile_seconds } = self;
        let (arch, engine) = (arguments.arch, bench.model.describe());
        let Size { batch, height, width } = bench.size;
        let images_per_s = batch as f64 / seconds;
        let flops: u64 = bench.model.operations(bench.mode, bench.size)?.iter().map(|op| op.flops()).sum();
        let gflops = flops as f64 / seconds / 1e9;
        let peak_rss_mb = peak_rss_bytes().map_or(0, |bytes| bytes / (1 << 20));
        let rounded = |value: f64, digits: i32| (value * 10f64.powi(digits)).round() / 10f64.powi(digits);
        if arguments.json {
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
            });
            return output::print(&format!("{line}\n"));
        }
        let what = if arguments.eval { "evaluation" } else { "training" };
        output::print(&format!(
            "{what} {arch}, {height} x {width} px, batch {batch}, {precision}: {:.1} ms a step, {images_per_s:.2} images/s, \
             {gflops:.0} Gflop/s, peak memory {peak_rss_mb} MiB, compiled in {compile_seconds:.2} s, {engine}\n",
            seconds * 1e3
        ))
    }
}
