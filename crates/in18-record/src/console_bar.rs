//! The console of a run that is watched on a terminal: a progress bar, and lines above it.
//!
//! indicatif only draws here. Rate and time left are computed from the events' stamps, because
//! indicatif's own would count the pauses for validation, and because libraries read no clock.

use crate::console_lines::lasting_line;
use crate::recorder::Sink;
use crate::text::duration;
use crate::{Event, Meter, RecordError, RunStart, Stamp, StepRecord};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar for each epoch with rate, loss, accuracy, and the time left for the run. Lines above the
/// bar stay. For a file or a pipe there is [`ConsoleLines`](crate::ConsoleLines).
pub struct ConsoleBar {
    bar: ProgressBar,
    epoch: Option<usize>,
    seconds: Meter,
    left: TimeLeft,
}

impl ConsoleBar {
    /// Draws to standard error's terminal (`ProgressDrawTarget::stderr()`) or to another target.
    #[must_use]
    pub fn new(target: ProgressDrawTarget) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), target);
        // The templates are constants. If indicatif refuses one, the bar has its default look.
        if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:24} {pos}/{len} {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { bar, epoch: None, seconds: Meter::default(), left: TimeLeft::default() }
    }

    /// Draws to standard error.
    #[must_use]
    pub fn stderr() -> Self {
        Self::new(ProgressDrawTarget::stderr())
    }

    fn step(&mut self, stamp: Stamp, step: &StepRecord) {
        if self.epoch != Some(step.epoch) {
            self.epoch = Some(step.epoch);
            self.seconds = Meter::default();
        }
        // Each image weighs as much as its share of the step's time.
        self.seconds.add(step.step_seconds / step.images_total.max(1) as f64, step.images_total);
        // The rate of the epoch so far, because a single step's rate jumps too much to be read.
        let rate = self.seconds.mean().recip();
        let left = self.left.after(stamp, step);
        self.show(
            format!("epoch {}", step.epoch),
            step.step,
            step.steps,
            format!(
                "{rate:.0} images/s, loss {:.4}, top-1 {:.2} %, {} left",
                step.means.loss,
                step.means.top1,
                left.map_or_else(|| "-".to_owned(), duration)
            ),
        );
    }

    fn show(&self, prefix: String, position: usize, length: usize, message: String) {
        self.bar.set_prefix(prefix);
        self.bar.set_length(length as u64);
        self.bar.set_message(message);
        self.bar.set_position(position as u64);
    }
}

impl Sink for ConsoleBar {
    fn record(&mut self, stamp: Stamp, event: &Event) -> Result<(), RecordError> {
        match event {
            Event::Step(step) => self.step(stamp, step),
            Event::EvalStep(step) => {
                self.show(format!("validation {}", step.epoch), step.step, step.steps, String::new())
            }
            _ => {
                if let Event::RunStart(run) = event {
                    self.left = TimeLeft::new(stamp, run);
                }
                if let Some(text) = lasting_line(event) {
                    self.bar.println(text);
                }
                if matches!(event, Event::RunEnd(_)) {
                    self.bar.finish_and_clear();
                }
            }
        }
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<(), RecordError> {
        self.bar.finish_and_clear();
        Ok(())
    }
}

/// The time left for the run: the cost that is left, at the speed so far.
#[derive(Default)]
struct TimeLeft {
    /// The relative cost of each epoch.
    cost: Vec<f64>,
    started: f64,
    /// The cost before the first step that was seen.
    cost_before: Option<f64>,
}

impl TimeLeft {
    fn new(stamp: Stamp, run: &RunStart) -> Self {
        let known = run.epoch_cost.len() == run.epochs;
        Self {
            cost: if known { run.epoch_cost.clone() } else { vec![1.0; run.epochs] },
            started: stamp.seconds,
            cost_before: None,
        }
    }

    /// The seconds that are left after a step; `None` while they are unknown.
    fn after(&mut self, stamp: Stamp, step: &StepRecord) -> Option<f64> {
        let this = *self.cost.get(step.epoch)?;
        let whole: f64 = self.cost[..step.epoch].iter().sum();
        let at = |steps: usize| whole + this * steps as f64 / step.steps.max(1) as f64;
        let before = *self.cost_before.get_or_insert_with(|| at(step.step - 1));
        let done = at(step.step) - before;
        let total: f64 = self.cost.iter().sum();
        let left = total - at(step.step);
        (done > 0.0).then(|| (stamp.seconds - self.started) * left / done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use indicatif::InMemoryTerm;

    fn bar(term: &InMemoryTerm) -> ConsoleBar {
        ConsoleBar::new(ProgressDrawTarget::term_like_with_hz(Box::new(term.clone()), 255))
    }

    #[test]
    fn shows_rate_loss_accuracy_and_time_left() {
        let term = InMemoryTerm::new(12, 130);
        let mut bar = bar(&term);
        // The events up to the last step of the first epoch.
        for (stamp, event) in samples::run().iter().take(6) {
            bar.record(*stamp, event).unwrap();
        }
        bar.bar.force_draw();
        insta::assert_snapshot!(term.contents(), @r"
        resnet18, 10 classes, 11.2 M parameters, bf16 with oneDNN 3.2.0, 1 device; 96 training and 40 validation images, epochs 0 to 1, se
        ed 0
        From epoch 0: 48 px, batch 32, images of photos/train, validation on photos/validation
        epoch 0 ======================== 3/3 128 images/s, loss 2.1500, top-1 12.50 %, 0:06 left
        ");
    }

    #[test]
    fn leaves_only_lines_behind() {
        let term = InMemoryTerm::new(30, 200);
        let mut bar = bar(&term);
        for (stamp, event) in samples::run() {
            bar.record(stamp, &event).unwrap();
        }
        Box::new(bar).close().unwrap();
        insta::assert_snapshot!(term.contents(), @r"
        resnet18, 10 classes, 11.2 M parameters, bf16 with oneDNN 3.2.0, 1 device; 96 training and 40 validation images, epochs 0 to 1, seed 0
        From epoch 0: 48 px, batch 32, images of photos/train, validation on photos/validation
        Epoch 0: top-1 17.50 %, top-5 62.50 %, loss 2.0625 (training 2.1500), 32.0 images/s at 48 px, waited 0.8 % for data, 0:05 in all
        From epoch 1: 64 px, batch 32, images of photos-sz/64/train, validation on photos/validation (rectangular)
        From epoch 1: batch 16
        Epoch 1 waited, for its disk is slow
        Epoch 1: top-1 77.50 %, top-5 97.50 %, loss 2.0625 (training 2.1500), 32.0 images/s at 48 px, waited 0.8 % for data, 0:09 in all
        Saved parameters: runs/a/model.safetensors
        Everything is in runs/a
        Warning: 2 photos were skipped
        Trained 2 epochs in 0:09: top-1 77.500 %, top-5 97.500 %; training 0:06 at 32.0 images/s, 0.8 % of it waiting for data, validation 0:03, peak memory 234 MB
        ");
    }

    #[test]
    fn the_time_left_follows_the_cost() {
        let run = RunStart { epochs: 2, epoch_cost: vec![1.0, 3.0], ..samples::run_start() };
        let mut left = TimeLeft::new(samples::stamp(0.0), &run);
        // Half of an epoch that is a quarter of the whole took 10 s: 70 s are left.
        assert_eq!(left.after(samples::stamp(5.0), &samples::step(0, 1, 4)), Some(75.0));
        assert_eq!(left.after(samples::stamp(10.0), &samples::step(0, 2, 4)), Some(70.0));
        assert_eq!(left.after(samples::stamp(80.0), &samples::step(1, 4, 4)), Some(0.0));
        // A continued run is judged by its own steps alone.
        let mut left = TimeLeft::new(samples::stamp(100.0), &run);
        assert_eq!(left.after(samples::stamp(110.0), &samples::step(1, 2, 4)), Some(20.0));
        assert_eq!(left.after(samples::stamp(120.0), &samples::step(2, 1, 4)), None);
    }
}
