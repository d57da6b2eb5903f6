//! The original's line about a step, and when it is due. Three formats have it.

use crate::{EvalRecord, Event, Means, StepRecord};
use std::num::NonZeroUsize;

/// Writes a line for every `print_freq`-th step of an epoch or validation, and for the last step. A
/// line has the latest values and, in brackets, the means so far.
#[derive(Clone, Copy)]
pub(crate) struct StepLines {
    print_freq: NonZeroUsize,
}

impl StepLines {
    pub(crate) fn new(print_freq: NonZeroUsize) -> Self {
        Self { print_freq }
    }

    /// The line of an event, if one is due.
    pub(crate) fn line(&self, event: &Event) -> Option<String> {
        if !self.is_due(event) {
            return None;
        }
        match event {
            Event::Step(step) => Some(training(step)),
            Event::EvalStep(step) => Some(validation(step)),
            _ => None,
        }
    }

    /// Whether an event is a step whose line is due.
    pub(crate) fn is_due(&self, event: &Event) -> bool {
        let (step, steps) = match event {
            Event::Step(step) => (step.step, step.steps),
            Event::EvalStep(step) => (step.step, step.steps),
            _ => return false,
        };
        step.is_multiple_of(self.print_freq.get()) || step == steps
    }
}

fn training(step: &StepRecord) -> String {
    let mut text = format!(
        "Epoch: [{}][{}/{}]\t{}\tData {}",
        step.epoch,
        step.step,
        step.steps,
        columns(step.step_seconds, step.loss, step.top1, step.top5, &step.means),
        latest(step.data_seconds, step.means.data_seconds, 3)
    );
    if let Some(rate) = step.network {
        text += &format!("\tBW {:.3} {:.3}", rate.received_gbit, rate.sent_gbit);
    }
    text
}

fn validation(step: &EvalRecord) -> String {
    let columns = columns(step.step_seconds, step.loss, step.top1, step.top5, &step.means);
    format!("Test:  [{}][{}/{}]\t{columns}", step.epoch, step.step, step.steps)
}

fn columns(seconds: f64, loss: f64, top1: f64, top5: f64, means: &Means) -> String {
    format!(
        "Time {}\tLoss {}\tAcc@1 {}\tAcc@5 {}",
        latest(seconds, means.step_seconds, 3),
        latest(loss, means.loss, 4),
        latest(top1, means.top1, 3),
        latest(top5, means.top5, 3)
    )
}

fn latest(value: f64, mean: f64, digits: usize) -> String {
    format!("{value:.digits$} ({mean:.digits$})")
}
