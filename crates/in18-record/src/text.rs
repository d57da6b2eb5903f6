//! Wording that several formats share.
//!
//! The lines of `event.log` are the original's (`training/train_imagenet_nv.py`), so that scripts
//! for the original's log can read them.

use crate::{EpochRecord, Event, GoalReached, LoaderRecord, RunEnd, RunStart};

/// What `event.log` says about an event, possibly in several lines; `None` for most steps.
pub(crate) fn event_lines(event: &Event) -> Option<String> {
    Some(match event {
        Event::RunStart(_) => "~~epoch\thours\ttop1\ttop5".to_owned(),
        Event::DataChange(data) => format!(
            "Dataset changed.\nImage size: {}\nBatch size: {}\nTrain Directory: {}\nValidation Directory: {}",
            data.size, data.batch, data.train_dir, data.val_dir
        ),
        Event::BatchChange { batch, .. } => format!("Batch size changed: {batch}"),
        // `{:?}` prints a float as Python does: 1.0, not 1.
        Event::RateChange { from, to, .. } => match from {
            Some(from) => format!("Changing LR from {from:?} to {to:?}"),
            None => format!("Changing LR from None to {to:?}"),
        },
        Event::EpochEnd(epoch) => {
            format!("~~{}\t{:.5}\t\t{:.3}\t\t{:.3}", epoch.epoch, epoch.hours, epoch.top1, epoch.top5)
        }
        Event::Warning { text } => format!("Warning: {text}"),
        Event::GoalReached(goal) => goal_reached(goal),
        Event::Stopped { reason } => format!("The run ends here: {reason}"),
        // The log of a continued run reads as if nothing had happened.
        Event::Resumed { .. } | Event::Checkpoint { .. } => return None,
        Event::Step(_)
        | Event::EvalStep(_)
        | Event::LossScale { .. }
        | Event::Loader(_)
        | Event::Saved { .. }
        | Event::Note { .. }
        | Event::RunEnd(_)
        | Event::Unknown => return None,
    })
}

/// What is trained, in a line.
pub(crate) fn run_start(run: &RunStart) -> String {
    format!(
        "{}, {} classes, {:.1} M parameters, {} with {}, {}; {} training and {} validation images, epochs {} to {}, seed {}",
        run.arch,
        run.classes,
        run.parameters as f64 / 1e6,
        run.precision,
        run.engine,
        match run.world {
            1 => "1 device".to_owned(),
            devices => format!("{devices} devices"),
        },
        run.images_train,
        run.images_val,
        run.first_epoch,
        run.epochs.saturating_sub(1),
        run.seed
    )
}

/// A change of the loss's scale, in a line.
pub(crate) fn loss_scale(epoch: usize, step: usize, scale: f64, overflow: bool, overflows: u64) -> String {
    match overflow {
        true => format!(
            "Epoch {epoch}, step {step}: gradients overflowed (number {overflows}), the step is skipped, loss scale {scale}"
        ),
        false => format!("Epoch {epoch}, step {step}: loss scale {scale}"),
    }
}

/// Where the loader's time went, in a line or two.
pub(crate) fn loader(loader: &LoaderRecord) -> String {
    let LoaderRecord { read_seconds, decode_seconds, resize_seconds, slot_seconds, .. } = *loader;
    let all = read_seconds + decode_seconds + resize_seconds + slot_seconds;
    let [read, decode, resize, slot] =
        [read_seconds, decode_seconds, resize_seconds, slot_seconds].map(|part| percent(part, all));
    let shares = format!(
        "Loader threads: {read:.1} % reading, {decode:.1} % decoding, {resize:.1} % resizing, {slot:.1} % waiting for a free place"
    );
    loader.advice.iter().fold(shares, |text, advice| format!("{text}\n{advice}"))
}

/// A summary of an epoch in one line, for people. Epochs count from 0, as in the phases.
pub(crate) fn epoch_summary(epoch: &EpochRecord) -> String {
    format!(
        "Epoch {}: top-1 {:.2} %, top-5 {:.2} %, loss {:.4} (training {:.4}), {:.1} images/s at {} px, waited {:.1} % for data, {} in all",
        epoch.epoch,
        epoch.top1,
        epoch.top5,
        epoch.val_loss,
        epoch.train_loss,
        epoch.images_per_s,
        epoch.size,
        percent(epoch.data_seconds, epoch.train_seconds),
        duration(epoch.hours * 3600.0)
    )
}

/// Where a continued run continues, in a line.
pub(crate) fn resumed(epoch: usize, step: usize, from: &str, world: Option<usize>) -> String {
    let devices = world.map_or_else(String::new, |world| format!(", on {world} devices now"));
    format!("Continued at epoch {epoch} after step {step} from {from}{devices}")
}

/// Why and when a run ends before the end of its plan, in a line.
pub(crate) fn goal_reached(goal: &GoalReached) -> String {
    let GoalReached { goal, epoch, hours, images_seen, top1, top5 } = goal;
    format!(
        "{goal} is reached in epoch {epoch}, after {hours:.5} hours and {images_seen} images: top-1 {top1:.3} %, top-5 {top5:.3} %"
    )
}

/// A run's totals in a line.
pub(crate) fn run_end(run: &RunEnd) -> String {
    let memory = match run.peak_rss_bytes {
        Some(bytes) => format!(", peak memory {:.0} MB", bytes as f64 / 1e6),
        None => String::new(),
    };
    format!(
        "Trained {} epochs in {}: top-1 {:.3} %, top-5 {:.3} %; training {} at {:.1} images/s, {:.1} % of it \
         waiting for data, validation {}{memory}",
        run.epochs,
        duration(run.seconds),
        run.top1,
        run.top5,
        duration(run.train_seconds),
        run.images_seen as f64 / run.train_seconds,
        percent(run.data_seconds, run.train_seconds),
        duration(run.eval_seconds)
    )
}

/// `0:07`, `12:34`, `1:02:03`: hours, minutes and seconds, rounded; `-` if negative or not finite.
#[must_use]
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "-".to_owned();
    }
    let whole = seconds.round() as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { 100.0 * part / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_read_like_a_clock() {
        for (seconds, want) in [
            (0.0, "0:00"),
            (7.4, "0:07"),
            (59.6, "1:00"),
            (754.0, "12:34"),
            (3723.0, "1:02:03"),
            (360_000.0, "100:00:00"),
            (-1.0, "-"),
            (f64::NAN, "-"),
            (f64::INFINITY, "-"),
        ] {
            assert_eq!(duration(seconds), want, "{seconds}");
        }
    }
}
