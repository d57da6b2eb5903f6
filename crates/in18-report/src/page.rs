//! The page itself.

use crate::figures::{figures, legend, swatch, timeline};
use crate::text::{count, escape, number, short};
use crate::{Reference, Run, State, tables};
use in18_record::duration;
use std::fmt::Write;

/// If a run has not ended and was silent for this many seconds, it counts as interrupted. Steps
/// reach the log in pieces, and a validation is silent.
const SILENCE: f64 = 1800.0;

/// The page of these runs, with a published run beside them if wanted. `now`, in seconds since
/// 1970, tells running runs from interrupted ones.
///
/// The page grows by about 150 kB with every long run; the number of steps does not matter.
#[must_use]
pub fn page(runs: &[Run], reference: Option<&Reference>, now: f64) -> String {
    let states: Vec<State> = runs.iter().map(|run| run.state(now, SILENCE)).collect();
    let title = match runs {
        [run] => run.name.clone(),
        _ => format!("{} runs compared", runs.len()),
    };
    let title = escape(&title);
    let mut body = format!("<header><p class=\"kicker\">imagenet18 training report</p>\n<h1>{title}</h1>\n");
    if let ([run], [state]) = (runs, states.as_slice()) {
        body += &heading(run, *state);
        body += "</header>\n";
        body += &tiles(run);
    } else {
        body += "</header>\n";
    }
    if runs.len() > 1 || reference.is_some() {
        let _ = write!(
            body,
            "<section>\n<h2>Comparison</h2>\n{}</section>\n",
            tables::comparison(runs, &states, reference)
        );
    }
    let charts = figures(runs, reference);
    let charts = if charts.is_empty() { "<p>No step is on record yet.</p>".to_owned() } else { charts };
    let _ = write!(
        body,
        "<section>\n<h2>Curves</h2>\n{}<div class=\"figures\">\n{charts}</div></section>\n",
        legend(runs, reference)
    );
    for (at, (run, state)) in runs.iter().zip(&states).enumerate() {
        body += &details(run, *state, (runs.len() > 1).then_some(at));
    }
    if let Some(reference) = reference {
        let _ = write!(
            body,
            "<section>\n<h2>{} {}</h2>\n{}</section>\n",
            swatch(None),
            escape(reference.name),
            tables::reference(reference)
        );
    }
    document(&title, &body)
}

/// A whole page. `title` and `body` are HTML.
pub(crate) fn document(title: &str, body: &str) -> String {
    let style = include_str!("style.css");
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n\
         <title>{title} – imagenet18</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
}

/// What was trained, and how the run stands.
fn heading(run: &Run, state: State) -> String {
    let mut out = String::new();
    if let Some(start) = &run.start {
        let devices = if start.world == 1 { "1 device".to_owned() } else { format!("{} devices", start.world) };
        let _ = writeln!(
            out,
            "<p class=\"what\">{}, {:.1} M parameters, {} classes; {} with {}, {devices}; {} training and {} validation \
             images; seed {}</p>",
            escape(&start.arch),
            start.parameters as f64 / 1e6,
            count(start.classes as u64),
            escape(&start.precision),
            escape(&start.engine),
            count(start.images_train),
            count(start.images_val),
            start.seed
        );
    }
    let class = if matches!(state, State::Done | State::Running) { "state" } else { "state bad" };
    let _ = writeln!(
        out,
        "<p class=\"{class}\">{}: {} of {} epochs done</p>",
        capital(state.words()),
        run.epochs.len(),
        run.planned_epochs()
    );
    for (epoch, step) in &run.resumed {
        let _ = writeln!(out, "<p class=\"note\">Continued in epoch {} after step {step}.</p>", epoch + 1);
    }
    if let Some(reason) = &run.stopped {
        let _ = writeln!(out, "<p class=\"warning\"><b>The run ended here</b> {}</p>", escape(reason));
    }
    if let Some(skipped) = run.epochs.last().map(|epoch| epoch.skipped).filter(|&skipped| skipped > 0) {
        let _ = writeln!(out, "<p class=\"note\">Images that could not be loaded: {}.</p>", count(skipped));
    }
    if let Some(warning) = run.warnings.last() {
        let others = match run.warnings.len() - 1 {
            0 => String::new(),
            n => format!(" <span class=\"unit\">(the last of {})</span>", n + 1),
        };
        let _ = writeln!(out, "<p class=\"warning\"><b>Warning</b> {}{others}</p>", escape(warning));
    }
    out
}

/// The result in a few large numbers.
fn tiles(run: &Run) -> String {
    let best = run.best();
    let at = best.map_or_else(|| "no epoch yet".to_owned(), |epoch| format!("epoch {}", epoch.epoch + 1));
    let memory = run.end.as_ref().and_then(|end| end.peak_rss_bytes);
    let mut tiles = vec![
        ("Best top-1", number(best.map_or(f64::NAN, |epoch| epoch.top1), 2), "%", at),
        ("Best top-5", number(run.best_top5().unwrap_or(f64::NAN), 2), "%", String::new()),
        ("Time", duration(run.seconds()), "", "validation included".to_owned()),
        ("Training speed", short(run.images_per_s()), "", "images/s, mean".to_owned()),
        ("Waiting for data", number(run.wait(), 1), "%", "of training".to_owned()),
    ];
    if let Some(bytes) = memory {
        tiles.push(("Peak memory", number(bytes as f64 / 1e6, 0), "MB", String::new()));
    }
    let mut out = String::from("<dl class=\"tiles\">\n");
    for (name, value, unit, note) in tiles {
        let _ = writeln!(
            out,
            "<div><dt>{name}</dt><dd><span class=\"value\">{value}</span> <span class=\"unit\">{unit}</span> \
             <span class=\"small\">{note}</span></dd></div>"
        );
    }
    out + "</dl>\n"
}

/// Plan and epochs. If there are other runs, they come under a heading of their own with the run's
/// name and settings.
fn details(run: &Run, state: State, color: Option<usize>) -> String {
    let mut out = String::from("<section>\n");
    if let Some(at) = color {
        let _ = write!(out, "<h2>{} {}</h2>\n{}", swatch(Some(at)), escape(&run.name), heading(run, state));
    } else {
        out += "<h2>Plan and epochs</h2>\n";
    }
    if !run.data.is_empty() {
        out += &timeline(run);
        out += &tables::plan(run);
    }
    if !run.epochs.is_empty() {
        out += &tables::epochs(run);
    }
    out + "</section>\n"
}

fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().collect::<String>() + letters.as_str()).unwrap_or_default()
}
