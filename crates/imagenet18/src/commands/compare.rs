//! `imagenet18 compare`: trains recipes with several seeds side by side, and says which is better
//! by how much, and how sure that is.

mod outcome;
mod processes;
mod statistics;
mod variant;

use anyhow::Result;
use in18_report::{Series, comparison_page};
use in18_system::WholeFile;
use in18_train::TrainError;
use serde_json::json;

use self::outcome::Outcome;
use self::processes::{Job, run_all};
use self::statistics::Estimate;
use self::variant::Variant;
use crate::cli::CompareArgs;
use crate::exit::Ended;
use crate::output;

/// The table's columns.
const HEAD: [&str; 7] = ["recipe", "seeds", "compute", "top-1 %", "top-5 %", "minutes", "top-1 against the first"];

/// Trains what is not trained yet, and prints the comparison.
pub fn compare(arguments: &CompareArgs) -> Result<()> {
    let variants =
        arguments.recipes.iter().map(|written| Variant::read(written, arguments)).collect::<Result<Vec<Variant>>>()?;
    variant::check_names(&variants)?;
    for variant in &variants {
        variant.keep()?;
    }
    // Seed by seed, so that an early stop leaves pairs.
    let jobs: Vec<Job<'_>> = (0..arguments.seeds.get() as u64)
        .flat_map(|seed| variants.iter().map(move |variant| Job { variant, seed }))
        .collect();
    let code = run_all(&jobs, arguments)?;
    let mut results = Vec::new();
    for variant in &variants {
        let mut outcomes = Vec::new();
        for job in jobs.iter().filter(|job| job.variant.name == variant.name) {
            outcomes.extend(Outcome::read(&job.logdir(), variant.cost)?.map(|outcome| (job.seed, outcome)));
        }
        results.push(Summary::new(variant, outcomes));
    }
    report(&results, arguments)?;
    match code {
        0 => Ok(()),
        code => Err(Ended(code).into()),
    }
}

/// What a recipe's finished runs reached.
struct Summary<'a> {
    name: &'a str,
    outcomes: Vec<(u64, Outcome)>,
}

impl<'a> Summary<'a> {
    fn new(variant: &'a Variant, outcomes: Vec<(u64, Outcome)>) -> Self {
        Summary { name: &variant.name, outcomes }
    }

    fn estimate(&self, value: fn(&Outcome) -> f64) -> Option<Estimate> {
        Estimate::of(&self.outcomes.iter().map(|(_, outcome)| value(outcome)).collect::<Vec<f64>>())
    }

    /// The mean of the differences to `first`, over the seeds that both have.
    fn against(&self, first: &Summary<'_>) -> Option<Estimate> {
        let pairs = self.outcomes.iter().filter_map(|(seed, own)| {
            let (_, other) = first.outcomes.iter().find(|(other, _)| other == seed)?;
            Some(own.top1 - other.top1)
        });
        Estimate::of(&pairs.collect::<Vec<f64>>())
    }

    /// Mean top-1 after each epoch, by the compute up to there.
    fn curve(&self) -> Vec<(f64, f64)> {
        let epochs = self.outcomes.iter().map(|(_, outcome)| outcome.epochs.len()).min().unwrap_or(0);
        let mean = |of: &dyn Fn(&Outcome) -> f64| {
            self.outcomes.iter().map(|(_, outcome)| of(outcome)).sum::<f64>() / self.outcomes.len() as f64
        };
        (0..epochs).map(|epoch| (mean(&|it| it.epochs[epoch].0), mean(&|it| it.epochs[epoch].1))).collect()
    }

    fn row(&self, first: &Summary<'_>) -> Vec<String> {
        let shown = |estimate: Option<Estimate>| estimate.map_or_else(|| "–".to_owned(), |it| it.to_string());
        let mean = |value| self.estimate(value).map_or(f64::NAN, |estimate| estimate.mean);
        let (compute, unit): (f64, fn(&Outcome) -> f64) = (mean(|it| it.compute), |it| it.compute);
        let share = compute / first.estimate(unit).map_or(f64::NAN, |estimate| estimate.mean);
        let against = if std::ptr::eq(self, first) { String::new() } else { shown(self.against(first)) };
        vec![
            self.name.to_owned(),
            self.outcomes.len().to_string(),
            format!("{compute:.3e} ({share:.2})"),
            shown(self.estimate(|it| it.top1)),
            shown(self.estimate(|it| it.top5)),
            format!("{:.1}", mean(|it| it.seconds) / 60.0),
            against,
        ]
    }

    fn json(&self, first: &Summary<'_>) -> serde_json::Value {
        let runs = self.outcomes.iter().map(|(seed, it)| {
            json!({
                "seed": seed, "top1": it.top1, "top5": it.top5, "seconds": it.seconds, "compute": it.compute,
                "epochs": it.epochs,
            })
        });
        json!({
            "recipe": self.name,
            "top1": self.estimate(|it| it.top1).map(Estimate::json),
            "top5": self.estimate(|it| it.top5).map(Estimate::json),
            "compute": self.estimate(|it| it.compute).map(|it| it.mean),
            "top1_against_first": self.against(first).map(Estimate::json),
            "runs": runs.collect::<Vec<_>>(),
        })
    }
}

fn report(results: &[Summary<'_>], arguments: &CompareArgs) -> Result<()> {
    let first = &results[0];
    let rows: Vec<Vec<String>> = results.iter().map(|summary| summary.row(first)).collect();
    output::print(&if arguments.json {
        results.iter().map(|summary| format!("{}\n", summary.json(first))).collect()
    } else {
        table(&rows)
    })?;
    let series = results.iter().map(|summary| Series { name: summary.name.to_owned(), points: summary.curve() });
    let page = comparison_page(&HEAD, &rows, &series.collect::<Vec<Series>>());
    let path = arguments.logdir.join("compare.html");
    WholeFile::new(&path)
        .and_then(|file| file.write_durably(page.as_bytes()))
        .map_err(|cause| TrainError::Write { path: path.clone(), cause })?;
    output::complain(&format!("accuracy against compute: {}", path.display()));
    Ok(())
}

/// The rows in columns, with what the columns mean.
fn table(rows: &[Vec<String>]) -> String {
    let head: Vec<String> = HEAD.map(str::to_owned).to_vec();
    let all = || std::iter::once(&head).chain(rows);
    let widths: Vec<usize> =
        (0..HEAD.len()).map(|at| all().map(|row| row[at].chars().count()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in all() {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        text += cells.collect::<Vec<String>>().join("  ").trim_end();
        text.push('\n');
    }
    text + "compute: training images · (pixels/128)², of ResNet-18 or as dear, and in brackets relative to the first recipe\n\
            accuracies: of the last evaluation: mean ± half of the 95 % interval of the mean (standard deviation); \
            differences: of runs with the same seed\n"
}
