//! `imagenet18 bench`: measures this machine.

use std::num::NonZeroUsize;
use std::time::Instant;

use anyhow::{Result, ensure};
use in18_program::initial::Initialization;
use in18_program::{Mode, Model, Size};
use in18_random::{Draws, Purpose};
use in18_train::{optimizer, peak_rss_bytes};

use crate::cli::{BenchArgs, BenchCommand, BenchStepArgs};
use crate::{engine, output};

/// Classes of the measured network: ImageNet's.
const CLASSES: usize = 1000;

/// Steps that are not counted: they compile, touch memory for the first time and warm caches.
const WARM_UP: usize = 2;

/// Measures what was asked for.
pub fn bench(arguments: &BenchArgs) -> Result<()> {
    match &arguments.what {
        BenchCommand::Step(arguments) => step(arguments),
    }
}

fn step(arguments: &BenchStepArgs) -> Result<()> {
    let engine = engine::choose(arguments.precision, arguments.threads)?;
    let dtype = engine.dtype;
    let mut model = Model::new(engine.kernels, arguments.arch.network(CLASSES), dtype)?;
    Initialization { seed: 0, bn0: false }.apply(&mut model)?;
    let optimizer = optimizer(&model, 0.9, 1e-4, false);
    let side = arguments.size.get();
    let size = Size { batch: arguments.batch.get(), height: side, width: side };
    // Before the pixels are made: a size that no memory holds ends here, with a message.
    model.prepare(if arguments.eval { Mode::Evaluation } else { Mode::Training }, size)?;
    let mut draws = Draws::new(0, Purpose::Augmentation, (0, 0));
    let pixels: Vec<u8> = (0..size.batch * side * side * 3).map(|_| draws.below(256) as u8).collect();
    let labels: Vec<i32> = (0..size.batch).map(|_| draws.below(CLASSES as u64) as i32).collect();

    let mut times = Vec::new();
    for counted in (0..WARM_UP + arguments.steps.get()).map(|step| step >= WARM_UP) {
        let start = Instant::now();
        let metrics = if arguments.eval {
            model.evaluate(size, &pixels, &labels)?
        } else {
            let metrics = model.train_step(size, &pixels, &labels)?;
            // A small rate, so that the loss stays a number however many steps are measured.
            model.update(&optimizer.updates(1e-3, model.trainable_arenas()))?;
            metrics
        };
        if counted {
            times.push(start.elapsed().as_secs_f64());
        }
        ensure!(metrics.loss_sum.is_finite(), "the loss is {}: the step computes nonsense", metrics.loss_sum);
    }
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    let threads = arguments.threads.unwrap_or_else(engine::cores);
    let peak_rss_mb = peak_rss_bytes().map_or(0, |bytes| bytes / (1 << 20));
    report(arguments, &model.describe(), &dtype.to_string(), median, peak_rss_mb, threads)
}

fn report(
    arguments: &BenchStepArgs,
    engine: &str,
    precision: &str,
    seconds: f64,
    peak_rss_mb: u64,
    threads: NonZeroUsize,
) -> Result<()> {
    let images_per_s = arguments.batch.get() as f64 / seconds;
    let (arch, size, batch) = (arguments.arch, arguments.size, arguments.batch);
    if arguments.json {
        let line = serde_json::json!({
            "engine": engine,
            "arch": arch.name(),
            "size": size.get(),
            "batch": batch.get(),
            "precision": precision,
            "eval": arguments.eval,
            "step_ms": (seconds * 1e4).round() / 10.0,
            "images_per_s": (images_per_s * 100.0).round() / 100.0,
            "threads": threads.get(),
            "peak_rss_mb": peak_rss_mb,
        });
        output::print(&format!("{line}\n"))
    } else {
        let what = if arguments.eval { "evaluation" } else { "training" };
        output::print(&format!(
            "{what} {arch}, {size} px, batch {batch}, {precision}: {:.1} ms a step, {images_per_s:.2} images/s, \
             peak memory {peak_rss_mb} MiB, {engine}\n",
            seconds * 1e3
        ))
    }
}
