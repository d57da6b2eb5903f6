//! `bench sweep`: every operation's rate beside the machine's peak, over networks, sizes and
//! batches.
//!
//! A cliff is an operation that takes many times as long as its arithmetic needs. The peak is
//! measured in the same run: a large matrix product in the computing type, by the provider's
//! fastest code. Arithmetic is counted as if every convolution were direct, so Winograd's
//! convolutions may exceed the peak. A CPU with a matrix unit (AMX) has a peak in bf16 that no
//! convolution reaches without using that unit.

use std::time::Instant;

use anyhow::Result;
use in18_kernels::Kernels;
use in18_program::{Arch, Mode, Size};
use in18_recipe::Recipe;
use in18_system::proc;
use in18_tensor::DType;
use serde_json::json;

use super::step::{Profile, Row, alone_on};
use crate::cli::BenchSweepArgs;
use crate::{engine, output};

/// Rows and columns of the matrices that are multiplied to find the peak. They are large enough to
/// reach it, and take 50 MB in fp32.
const PRODUCT_SIDE: usize = 2048;

/// How many times that product is computed; the fastest run counts.
const PRODUCT_RUNS: usize = 7;

/// Operations whose rate is below this share of the peak count as slow.
const LOW: f64 = 0.25;

/// How many operations the table of a step shows.
const SHOWN: usize = 10;

/// Operations that take less than this share of a step are not listed among the slowest.
const LEAST_SHARE: f64 = 0.005;

/// Measures all steps and prints where time is lost.
pub(super) fn sweep(arguments: &BenchSweepArgs) -> Result<()> {
    let mut chosen = engine::choose(&arguments.engine)?;
    let (dtype, described) = (chosen.dtype, chosen.kernels.describe());
    let peak = peak(&mut *chosen.kernels, dtype)?;
    drop(chosen);
    let cpu = proc::cpu_model().unwrap_or_else(|| "an unknown CPU".to_owned());
    if arguments.json {
        let line = json!({ "cpu": cpu, "engine": described, "precision": dtype.to_string(), "peak_gflops": peak });
        output::print(&format!("{line}\n"))?;
    } else {
        let peak = match peak {
            Some(peak) => format!("peak {peak:.0} Gflop/s, of a product of {PRODUCT_SIDE}x{PRODUCT_SIDE} matrices"),
            None => "this engine tells no peak: shares are of the fastest operation of each step".to_owned(),
        };
        output::print(&format!("{cpu}, {described}, {dtype}: {peak}\n"))?;
    }
    for &arch in &arguments.arch {
        for extents in &arguments.sizes {
            for batch in &arguments.batch {
                let size = Size { batch: batch.get(), height: extents.height.get(), width: extents.width.get() };
                for mode in [Mode::Training, Mode::Evaluation] {
                    match Step::measure(arguments, arch, (mode, size), peak) {
                        Ok(step) => output::print(&if arguments.json { step.lines() } else { step.table() })?,
                        // A step that does not fit into memory says nothing about the others.
                        Err(error) => output::complain(&format!(
                            "warning: {arch}, {} x {} pixels, batch {batch} is left out: {error:#}",
                            size.height, size.width
                        )),
                    }
                }
            }
        }
    }
    Ok(())
}

/// Gflop/s of a large matrix product, if the provider has one.
fn peak(kernels: &mut dyn Kernels, dtype: DType) -> Result<Option<f64>> {
    let Some(product) = kernels.compile_product(PRODUCT_SIDE, dtype)? else { return Ok(None) };
    let mut fastest = f64::INFINITY;
    for _ in 0..PRODUCT_RUNS {
        let start = Instant::now();
        kernels.run(product, 0..1)?;
        kernels.synchronize()?;
        fastest = fastest.min(start.elapsed().as_secs_f64());
    }
    Ok(Some(2.0 * (PRODUCT_SIDE as f64).powi(3) / fastest / 1e9))
}

/// A step's operations, lowest rate first. Operations with hardly any arithmetic come last.
struct Step {
    arch: Arch,
    mode: Mode,
    size: Size,
    rows: Vec<Row>,
    /// Gflop/s.
    peak: f64,
}

impl Step {
    fn measure(arguments: &BenchSweepArgs, arch: Arch, (mode, size): (Mode, Size), peak: Option<f64>) -> Result<Self> {
        let (mut bench, _) = alone_on(engine::choose(&arguments.engine)?, (Recipe::default(), arch), (mode, size), 1)?;
        // The first step touches memory for the first time, so it is not measured.
        bench.observed_step(|_| ())?;
        let rows = Profile::measure(&mut bench, arguments.steps.get())?.by_implementation();
        Ok(Step::new(arch, (mode, size), rows, peak))
    }

    fn new(arch: Arch, (mode, size): (Mode, Size), mut rows: Vec<Row>, peak: Option<f64>) -> Self {
        rows.sort_by(|a, b| (a.flops == 0).cmp(&(b.flops == 0)).then(gflops(a).total_cmp(&gflops(b))));
        let peak = peak.unwrap_or_else(|| rows.iter().map(gflops).fold(f64::MIN_POSITIVE, f64::max));
        Step { arch, mode, size, rows, peak }
    }

    fn seconds(&self) -> f64 {
        self.rows.iter().map(|row| row.seconds).sum()
    }

    fn flops(&self) -> u64 {
        self.rows.iter().map(|row| row.flops).sum()
    }

    /// The share of a step's time in operations whose rate is below a quarter of the peak.
    fn low_share(&self) -> f64 {
        let low = self.rows.iter().filter(|row| row.flops > 0 && gflops(row) < LOW * self.peak);
        // The sum of nothing is -0.
        (0.0 + low.map(|row| row.seconds).sum::<f64>()) / self.seconds()
    }

    /// The share of a step's time in operations that only move memory.
    fn memory_share(&self) -> f64 {
        self.rows.iter().filter(|row| row.flops == 0).map(|row| row.seconds).sum::<f64>() / self.seconds()
    }

    fn mode(&self) -> &'static str {
        match self.mode {
            Mode::Training => "training",
            Mode::Evaluation => "evaluation",
        }
    }

    /// The table for people: totals, and the slowest operations.
    fn table(&self) -> String {
        let Size { batch, height, width } = self.size;
        let seconds = self.seconds();
        let mut text = format!(
            "\n{} {}, {height} x {width} px, batch {batch}: {:.1} ms, {:.0} Gflop/s ({:.0} % of peak); {:.0} % of the time in \
             products below a quarter of peak, {:.0} % in operations that only move memory\n",
            self.mode(),
            self.arch,
            seconds * 1e3,
            self.flops() as f64 / seconds / 1e9,
            self.flops() as f64 / seconds / 1e7 / self.peak,
            100.0 * self.low_share(),
            100.0 * self.memory_share(),
        );
        text += "       ms    share   Gflop/s  of peak  operation, implementation\n";
        let is_shown = |row: &&Row| row.flops > 0 && row.seconds >= LEAST_SHARE * seconds;
        for row in self.rows.iter().filter(is_shown).take(SHOWN) {
            text += &format!(
                "{:>9.2}  {:>5.1} %  {:>8.0}  {:>5.1} %  {}, {}\n",
                row.seconds * 1e3,
                100.0 * row.seconds / seconds,
                gflops(row),
                100.0 * gflops(row) / self.peak,
                row.label,
                row.implementation.as_deref().unwrap_or("not told"),
            );
        }
        text
    }

    /// The lines for programs: every operation.
    fn lines(&self) -> String {
        let Size { batch, height, width } = self.size;
        let rounded = |value: f64, digits: i32| (value * 10f64.powi(digits)).round() / 10f64.powi(digits);
        let line = |row: &Row| {
            let line = json!({
                "arch": self.arch.to_string(),
                "height": height,
                "width": width,
                "batch": batch,
                "eval": self.mode == Mode::Evaluation,
                "operation": row.label,
                "implementation": row.implementation,
                "count": row.count,
                "ms": rounded(row.seconds * 1e3, 4),
                "gflop_per_s": rounded(gflops(row), 2),
                "share_of_peak": rounded(gflops(row) / self.peak, 4),
                "share_of_step": rounded(row.seconds / self.seconds(), 4),
            });
            format!("{line}\n")
        };
        self.rows.iter().map(line).collect()
    }
}

/// An operation's Gflop/s; 0 if it does hardly any arithmetic.
fn gflops(row: &Row) -> f64 {
    if row.flops == 0 { 0.0 } else { row.flops as f64 / row.seconds / 1e9 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(label: &str, seconds: f64, gflop: u64) -> Row {
        Row { label: label.to_owned(), count: 1, seconds, flops: gflop * 1_000_000_000, ..Row::default() }
    }

    #[test]
    fn the_lowest_rate_comes_first_and_its_time_is_counted() {
        let rows = vec![row("fast", 1.0, 80), row("norm", 2.0, 0), row("cliff", 4.0, 4), row("tiny", 0.001, 0)];
        let size = Size { batch: 1, height: 32, width: 32 };
        let step = Step::new(Arch::RESNET18, (Mode::Training, size), rows, Some(100.0));
        let order: Vec<&str> = step.rows.iter().map(|row| row.label.as_str()).collect();
        assert_eq!(order[..2], ["cliff", "fast"]);
        assert!((step.low_share() - 4.0 / 7.001).abs() < 1e-9 && (step.memory_share() - 2.001 / 7.001).abs() < 1e-9);
        let table = step.table();
        assert!(table.contains("57 % of the time in products below a quarter of peak"), "{table}");
        assert!(table.lines().nth(3).unwrap().contains("1.0 %  cliff, not told"), "{table}");
        // Without a peak, the fastest operation's rate takes its place.
        let alone = Step::new(Arch::RESNET18, (Mode::Training, size), vec![row("only", 1.0, 80)], None);
        assert_eq!(alone.peak, 80.0);
    }
}
