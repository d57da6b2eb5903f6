//! The page's charts: which curves of a run are in which chart.

use crate::chart::{Chart, Curve, Line};
use crate::text::{escape, short};
use crate::{Reference, ReferenceEpoch, Run, Sample};
use in18_record::EpochRecord;
use std::fmt::Write;

/// All charts, in the page's order.
pub(crate) fn figures(runs: &[Run], reference: Option<&Reference>) -> String {
    let time = Unit::of(runs, reference);
    let over_epochs = || "epochs".to_owned();
    let by_time = |value: fn(&EpochRecord) -> f64, published: fn(&ReferenceEpoch) -> f64| {
        let ours = epochs(runs, |epoch| (epoch.hours * 3600.0 / time.seconds, value(epoch)));
        ours.into_iter()
            .chain(theirs(reference, |epoch| (epoch.hours * 3600.0 / time.seconds, published(epoch))))
            .collect()
    };
    let by_epoch = |value: fn(&EpochRecord) -> f64, published: fn(&ReferenceEpoch) -> f64| {
        let ours = epochs(runs, |epoch| (epoch.epoch as f64 + 1.0, value(epoch)));
        ours.into_iter().chain(theirs(reference, |epoch| (epoch.epoch as f64, published(epoch)))).collect()
    };
    let mut loss = steps(runs, |step| step.loss);
    for curve in &mut loss {
        curve.label += ", training";
    }
    loss.extend(epochs(runs, |epoch| (epoch.epoch as f64 + 1.0, epoch.val_loss)).into_iter().map(|mut curve| {
        curve.label += ", validation";
        curve
    }));
    let chart = |id, title, x, y, from_zero, curves| Chart { id, title, x, y, from_zero, curves }.html();
    let percent = "%";
    [
        chart(
            "top1-time",
            "Top-1 accuracy by time",
            time.name.to_owned(),
            percent,
            true,
            by_time(|e| e.top1, |e| e.top1),
        ),
        chart(
            "top5-time",
            "Top-5 accuracy by time",
            time.name.to_owned(),
            percent,
            true,
            by_time(|e| e.top5, |e| e.top5),
        ),
        chart("top1-epoch", "Top-1 accuracy by epoch", over_epochs(), percent, true, by_epoch(|e| e.top1, |e| e.top1)),
        chart("top5-epoch", "Top-5 accuracy by epoch", over_epochs(), percent, true, by_epoch(|e| e.top5, |e| e.top5)),
        chart("loss", "Loss: training fine, validation with dots", over_epochs(), "nats", false, loss),
        chart("rate", "Learning rate", over_epochs(), "", true, steps(runs, |step| step.lr)),
        chart("speed", "Training speed", over_epochs(), "images/s", true, steps(runs, |step| step.images_per_s)),
        chart("wait", "Waiting for data", over_epochs(), "% of a step", true, steps(runs, |step| step.wait)),
    ]
    .concat()
}

/// A legend of the runs' colours.
pub(crate) fn legend(runs: &[Run], reference: Option<&Reference>) -> String {
    if runs.len() < 2 && reference.is_none() {
        return String::new();
    }
    let mut out = String::from("<ul class=\"legend\">");
    let entries = runs.iter().enumerate().map(|(at, run)| (swatch(Some(at)), run.name.as_str()));
    for (swatch, name) in entries.chain(reference.map(|reference| (swatch(None), reference.name))) {
        let _ = write!(out, "<li>{swatch} {}</li>", escape(name));
    }
    out + "</ul>\n"
}

/// A small piece of a run's line.
pub(crate) fn swatch(color: Option<usize>) -> String {
    let (class, dashes) = match color {
        None => ("reference".to_owned(), ""),
        Some(color) => (format!("line c{}", color % 6), if color >= 6 { " stroke-dasharray=\"6 3\"" } else { "" }),
    };
    format!(
        "<svg class=\"swatch\" viewBox=\"0 0 22 8\" aria-hidden=\"true\"><path class=\"{class}\"{dashes} d=\"M1 4H21\"/></svg>"
    )
}

/// A run's phases as a bar. A phase is as wide as it has epochs, and darker with larger images.
pub(crate) fn timeline(run: &Run) -> String {
    let phases = run.phases();
    let epochs = run.planned_epochs().max(1) as f64;
    let largest = phases.iter().map(|phase| phase.data.size).max().unwrap_or(1) as f64;
    let mut out = String::from("<ol class=\"timeline\" aria-hidden=\"true\">");
    for phase in &phases {
        let width = 100.0 * (phase.until - phase.data.epoch) as f64 / epochs;
        let shade = 0.10 + 0.22 * phase.data.size as f64 / largest;
        let _ = write!(
            out,
            "<li style=\"flex:{width:.3} 1 0;--shade:{shade:.3}\"><b>{} px</b> <span>× {}</span></li>",
            phase.data.size, phase.data.batch
        );
    }
    out + "</ol>\n"
}

/// A phase's learning rates in words.
pub(crate) fn rates(rates: Option<[f64; 3]>) -> String {
    match rates {
        None => "–".to_owned(),
        Some(rates) => {
            let mut rates = rates.map(short).to_vec();
            rates.dedup();
            rates.join(" → ")
        }
    }
}

/// The unit of a time axis.
#[derive(Clone, Copy)]
struct Unit {
    name: &'static str,
    seconds: f64,
}

impl Unit {
    fn of(runs: &[Run], reference: Option<&Reference>) -> Self {
        let published = reference.and_then(|reference| reference.epochs.last()).map_or(0.0, |last| last.hours * 3600.0);
        let longest = runs.iter().map(Run::seconds).fold(published, f64::max);
        match longest {
            seconds if seconds >= 7200.0 => Self { name: "hours", seconds: 3600.0 },
            seconds if seconds >= 120.0 => Self { name: "minutes", seconds: 60.0 },
            _ => Self { name: "seconds", seconds: 1.0 },
        }
    }
}

fn epochs(runs: &[Run], point: impl Fn(&EpochRecord) -> (f64, f64)) -> Vec<Curve> {
    let curve = |(at, run): (usize, &Run)| Curve {
        label: run.name.clone(),
        color: Some(at),
        line: Line::Marked,
        points: run.epochs.iter().map(&point).collect(),
    };
    runs.iter().enumerate().map(curve).collect()
}

fn steps(runs: &[Run], value: impl Fn(&Sample) -> f64) -> Vec<Curve> {
    let curve = |(at, run): (usize, &Run)| Curve {
        label: run.name.clone(),
        color: Some(at),
        line: Line::Fine,
        points: run.steps.iter().map(|step| (step.epochs, value(step))).collect(),
    };
    runs.iter().enumerate().map(curve).collect()
}

fn theirs(reference: Option<&Reference>, point: impl Fn(&ReferenceEpoch) -> (f64, f64)) -> Option<Curve> {
    let reference = reference?;
    let points = reference.epochs.iter().map(point).collect();
    Some(Curve { label: reference.name.to_owned(), color: None, line: Line::Reference, points })
}
