//! The original's line about a step, and when it is due. Three formats show it.

use crate::{EvalRecord, Event, Meter, StepRecord};
use std::num::NonZeroUsize;

/// Follows the steps of an epoch and of its validation and words a line for every
/// `print_freq`-th and the last: the latest value and, in brackets, the mean so far.
pub(crate) struct StepLines {
    print_freq: NonZeroUsize,
    training: Means,
    validation: Means,
}

#[derive(Default)]
struct Means {
    epoch: Option<usize>,
    time: Meter,
    loss: Meter,
    top1: Meter,
    top5: Meter,
    data: Meter,
}

impl StepLines {
    pub(crate) fn new(print_freq: NonZeroUsize) -> Self {
        Self { print_freq, training: Means::default(), validation: Means::default() }
    }

    /// Takes in an event and returns the line that is due at it, if any.
    pub(crate) fn line(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::Step(step) => {
                let text = self.training.step(step);
                self.due(step.step, step.steps).then_some(text)
            }
            Event::EvalStep(step) => {
                let text = self.validation.eval_step(step);
                self.due(step.step, step.steps).then_some(text)
            }
            _ => None,
        }
    }

    fn due(&self, step: usize, steps: usize) -> bool {
        step.is_multiple_of(self.print_freq.get()) || step == steps
    }
}

impl Means {
    fn step(&mut self, step: &StepRecord) -> String {
        self.enter(step.epoch);
        self.time.add(step.step_seconds, 1);
        self.data.add(step.data_seconds, 1);
        self.add(step.loss, step.top1, step.top5, step.images_total);
        let mut text = format!(
            "Epoch: [{}][{}/{}]\t{}\tData {}",
            step.epoch,
            step.step,
            step.steps,
            self.columns(),
            latest(&self.data, 3)
        );
        if let Some(rate) = step.network {
            text += &format!("\tBW {:.3} {:.3}", rate.received_gbit, rate.sent_gbit);
        }
        text
    }

    fn eval_step(&mut self, step: &EvalRecord) -> String {
        self.enter(step.epoch);
        self.time.add(step.step_seconds, 1);
        self.add(step.loss, step.top1, step.top5, step.images_total);
        format!("Test:  [{}][{}/{}]\t{}", step.epoch, step.step, step.steps, self.columns())
    }

    /// Starts afresh with every epoch. By the epoch's number and not by its first step: a run that
    /// is continued may enter an epoch in its middle.
    fn enter(&mut self, epoch: usize) {
        if self.epoch != Some(epoch) {
            *self = Self { epoch: Some(epoch), ..Self::default() };
        }
    }

    fn add(&mut self, loss: f64, top1: f64, top5: f64, images: u64) {
        self.loss.add(loss, images);
        self.top1.add(top1, images);
        self.top5.add(top5, images);
    }

    fn columns(&self) -> String {
        format!(
            "Time {}\tLoss {}\tAcc@1 {}\tAcc@5 {}",
            latest(&self.time, 3),
            latest(&self.loss, 4),
            latest(&self.top1, 3),
            latest(&self.top5, 3)
        )
    }
}

fn latest(meter: &Meter, digits: usize) -> String {
    format!("{:.digits$} ({:.digits$})", meter.last(), meter.mean())
}
