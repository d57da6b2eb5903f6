//! The page's tables.

use crate::figures::{rates, swatch};
use crate::text::{count, escape, number, percent, row};
use crate::{Reference, Run, State};
use in18_record::{DataChange, duration};

/// A run's phases.
pub(crate) fn plan(run: &Run) -> String {
    let rows = run.phases().into_iter().map(|phase| {
        let data = &phase.data;
        row(&[
            match phase.until - data.epoch {
                0 | 1 => format!("{}", data.epoch + 1),
                _ => format!("{}–{}", data.epoch + 1, phase.until),
            },
            format!("{}", data.size),
            format!("{}", data.batch),
            rates(phase.rates),
            number(data.min_scale, 3),
            escape(&views(data)),
            format!("<span class=\"path\">{}</span>", escape(&data.train_dir)),
            format!("<span class=\"path\">{}</span>", escape(&data.val_dir)),
        ])
    });
    let head = [
        "Epochs",
        "Size, px",
        "Batch",
        "Learning rate",
        "Least crop",
        "Validation",
        "Training images",
        "Validation images",
    ];
    table("Plan; rates as far as the run has come", &head, rows, 5)
}

/// Which views validation sees.
fn views(data: &DataChange) -> String {
    let shape = (!data.rect_val).then(|| "square".to_owned());
    shape.into_iter().chain(data.views()).collect::<Vec<_>>().join(", ")
}

/// A run's epochs.
pub(crate) fn epochs(run: &Run) -> String {
    let best = run.best().map(|epoch| epoch.epoch);
    let rows = run.epochs.iter().map(|epoch| {
        let top1 = number(epoch.top1, 2);
        row(&[
            format!("{}", epoch.epoch + 1),
            duration(epoch.hours * 3600.0),
            format!("{}", epoch.size),
            number(epoch.train_loss, 4),
            number(epoch.val_loss, 4),
            if best == Some(epoch.epoch) { format!("<strong>{top1}</strong>") } else { top1 },
            number(epoch.top5, 2),
            number(epoch.images_per_s, 1),
            number(percent(epoch.data_seconds, epoch.train_seconds), 1),
            duration(epoch.eval_seconds),
        ])
    });
    let head = [
        "Epoch",
        "Time",
        "Size, px",
        "Training loss",
        "Loss",
        "Top-1 %",
        "Top-5 %",
        "Images/s",
        "Data wait %",
        "Validation time",
    ];
    table("Epochs, counted from 1; the best top-1 is bold", &head, rows, usize::MAX)
}

/// A table that compares runs.
pub(crate) fn comparison(runs: &[Run], states: &[State], reference: Option<&Reference>) -> String {
    let ours = runs.iter().zip(states).enumerate().map(|(at, (run, state))| {
        let start = run.start.as_ref();
        row(&[
            format!("{} {}", swatch(Some(at)), escape(&run.name)),
            state.words().to_owned(),
            escape(start.map_or("–", |start| &start.arch)),
            escape(start.map_or("–", |start| &start.precision)),
            format!("{} of {}", run.epochs.len(), run.planned_epochs()),
            number(run.best().map_or(f64::NAN, |epoch| epoch.top1), 2),
            number(run.best_top5().unwrap_or(f64::NAN), 2),
            duration(run.seconds()),
            number(run.images_per_s(), 1),
            number(run.wait(), 1),
        ])
    });
    let theirs = reference.map(|reference| {
        let last = reference.epochs.last();
        let best =
            |value: fn(&crate::ReferenceEpoch) -> f64| reference.epochs.iter().map(value).fold(f64::NAN, f64::max);
        row(&[
            format!("{} {}", swatch(None), escape(reference.name)),
            "published".to_owned(),
            "resnet50".to_owned(),
            "fp16".to_owned(),
            count(reference.epochs.len() as u64),
            number(best(|epoch| epoch.top1), 2),
            number(best(|epoch| epoch.top5), 2),
            duration(last.map_or(f64::NAN, |last| last.hours * 3600.0)),
            "–".to_owned(),
            "–".to_owned(),
        ])
    });
    let head = [
        "Run",
        "State",
        "Network",
        "Type",
        "Epochs",
        "Best top-1 %",
        "Best top-5 %",
        "Time",
        "Images/s",
        "Data wait %",
    ];
    table("Runs compared", &head, ours.chain(theirs), usize::MAX)
}

/// A published table.
pub(crate) fn reference(reference: &Reference) -> String {
    let rows = reference.epochs.iter().map(|epoch| {
        row(&[format!("{}", epoch.epoch), number(epoch.hours, 4), number(epoch.top1, 4), number(epoch.top5, 4)])
    });
    table(reference.source, &["Epoch", "Hours", "Top-1 %", "Top-5 %"], rows, usize::MAX)
}

/// A table of finished cells.
pub(crate) fn plain(caption: &str, head: &[&str], rows: &[Vec<String>]) -> String {
    let row = |cells: &Vec<String>| {
        let cells: String = cells.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
        format!("<tr>{cells}</tr>\n")
    };
    table(caption, head, rows.iter().map(row), usize::MAX)
}

/// A table whose columns from `words` on hold words. A wide table scrolls by itself.
fn table(caption: &str, head: &[&str], rows: impl Iterator<Item = String>, words: usize) -> String {
    let cells: String = head
        .iter()
        .enumerate()
        .map(|(at, name)| format!("<th scope=\"col\"{}>{name}</th>", if at >= words { " class=\"words\"" } else { "" }))
        .collect();
    let caption = escape(caption);
    let rows: String = rows.collect();
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\"><table><caption>{caption}</caption>\n\
         <thead><tr>{cells}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n"
    )
}
