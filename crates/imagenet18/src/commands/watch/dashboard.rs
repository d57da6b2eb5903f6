//! The state of a run, in a few lines of plain text.

use console::truncate_str;
use in18_record::duration;
use in18_report::{Run, Sample, State};

const BAR: usize = 30;
/// How many epochs the table shows.
const LATEST: usize = 8;
/// How many epochs the sparkline shows.
const SPARKS: usize = 40;

/// The dashboard. No line is wider than `width`.
pub fn lines(run: &Run, state: State, width: usize) -> Vec<String> {
    let mut lines = vec![match &run.start {
        Some(start) => {
            format!("{}: {}, {}, {} classes, {}", run.name, start.arch, start.precision, start.classes, state.words())
        }
        None => format!("{}: nothing is trained yet", run.name),
    }];
    if let Some(last) = run.steps.last() {
        lines.extend(progress(run, state, last));
    }
    if !run.epochs.is_empty() {
        lines.push(format!(
            "top-1     {}  best {:.2} %",
            sparkline(run),
            run.best().map_or(f64::NAN, |epoch| epoch.top1)
        ));
        lines.push(String::new());
        lines.push("epoch      time  size  train loss    loss  top-1 %  top-5 %  images/s".to_owned());
    }
    for epoch in &run.epochs[run.epochs.len().saturating_sub(LATEST)..] {
        lines.push(format!(
            "{:>5}  {:>8}  {:>4}  {:>10.4}  {:>6.4}  {:>7.2}  {:>7.2}  {:>8.1}",
            epoch.epoch,
            duration(epoch.hours * 3600.0),
            epoch.size,
            epoch.train_loss,
            epoch.val_loss,
            epoch.top1,
            epoch.top5,
            epoch.images_per_s
        ));
    }
    if let Some(warning) = run.warnings.last() {
        lines.push(format!("warning: {warning}"));
    }
    // One column stays free: a full line would move the cursor on, and redrawing would miss a line.
    lines.iter().map(|line| truncate_str(&plain(line), width.saturating_sub(1), "…").into_owned()).collect()
}

/// Replaces control characters, which a terminal would obey: logs and names may hold anything.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn progress(run: &Run, state: State, last: &Sample) -> Vec<String> {
    let epochs = run.planned_epochs();
    let done = last.epochs - (last.epochs.ceil() - 1.0).max(0.0);
    let filled = (done * BAR as f64).round() as usize;
    let recent: Vec<&Sample> = run.steps.iter().rev().take(20).collect();
    let mean = |value: fn(&Sample) -> f64| recent.iter().map(|step| value(step)).sum::<f64>() / recent.len() as f64;
    let mut lines = vec![
        format!(
            "epoch {:<3} [{}{}] {:>3.0} %  of {epochs} epochs",
            last.epochs.ceil().max(1.0) - 1.0,
            "=".repeat(filled.min(BAR)),
            " ".repeat(BAR - filled.min(BAR)),
            100.0 * done
        ),
        format!(
            "latest    loss {:.4}, {:.1} images/s, {:.1} % waiting for data, rate {}",
            mean(|step| step.loss),
            mean(|step| step.images_per_s),
            mean(|step| step.wait),
            last.lr
        ),
    ];
    let left = if state == State::Running { time_left(run, last, epochs) } else { None };
    lines.push(match left {
        Some(left) => format!("time      {}, about {} left", duration(run.seconds()), duration(left)),
        None => format!("time      {}", duration(run.seconds())),
    });
    lines
}

/// The remaining seconds, at the pace of the latest epoch with its validation. Later epochs with
/// larger images take longer.
fn time_left(run: &Run, last: &Sample, epochs: usize) -> Option<f64> {
    let from = run.steps.iter().rev().find(|step| step.epochs <= last.epochs - 1.0).or(run.steps.first())?;
    let pace = (last.seconds - from.seconds) / (last.epochs - from.epochs);
    pace.is_finite().then_some(pace * (epochs as f64 - last.epochs))
}

/// Top-1 of the latest epochs, as bars between the lowest and the highest.
fn sparkline(run: &Run) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let top1 = || run.epochs[run.epochs.len().saturating_sub(SPARKS)..].iter().map(|epoch| epoch.top1);
    let (low, high) = (top1().fold(f64::INFINITY, f64::min), top1().fold(f64::NEG_INFINITY, f64::max));
    let bar = |value: f64| {
        let share = if high > low { (value - low) / (high - low) } else { 0.5 };
        if share.is_finite() { BARS[(share * 7.0).round() as usize] } else { '×' }
    };
    top1().map(bar).collect()
}
