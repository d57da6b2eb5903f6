//! The loss with its gradient, and the counts of correct guesses.

use in18_tensor::Tensor;

use super::memory::Memory;
use super::{Operation, to_f32};
use crate::KernelError;
use crate::op::{CrossEntropy, CrossEntropyBackward, TOP_K};

impl Operation for CrossEntropy {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let classes = self.logits.shape[1];
        let logits = memory.load(&self.logits)?;
        let labels = load_labels(memory, "CrossEntropy", &self.labels, classes)?;
        let (mut loss, mut first, mut among_top) = (0.0, 0, 0);
        for (logits, &label) in logits.chunks_exact(classes).zip(&labels) {
            loss -= log_softmax(logits)[label];
            let [is_first, is_among_top] = guesses(logits, label);
            first += usize::from(is_first);
            among_top += usize::from(is_among_top);
        }
        memory.store(&self.metrics, &[loss as f32, first as f32, among_top as f32])
    }
}

impl Operation for CrossEntropyBackward {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let [n, classes] = [self.logits.shape[0], self.logits.shape[1]];
        let logits = memory.load(&self.logits)?;
        let labels = load_labels(memory, "CrossEntropyBackward", &self.labels, classes)?;
        let scale = f64::from(memory.load(&self.scale)?[0]);
        let mut dlogits = Vec::with_capacity(n * classes);
        for (logits, &label) in logits.chunks_exact(classes).zip(&labels) {
            for (class, log_probability) in log_softmax(logits).into_iter().enumerate() {
                let one_hot = if class == label { 1.0 } else { 0.0 };
                dlogits.push(scale * (log_probability.exp() - one_hot) / n as f64);
            }
        }
        memory.store(&self.dlogits, &to_f32(dlogits))
    }
}

/// Whether the label is the best guess, and whether it is among the best [`TOP_K`].
pub(super) fn guesses(logits: &[f32], label: usize) -> [bool; 2] {
    let ahead = (0..logits.len()).filter(|&class| is_ahead(logits, class, label)).count();
    [ahead == 0, ahead < TOP_K]
}

/// The log softmax of one image. Logits are shifted by the highest one, so that no exponential
/// overflows.
pub(super) fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let highest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let shifted = logits.iter().map(|&logit| f64::from(logit) - highest);
    let log_sum = shifted.clone().map(f64::exp).sum::<f64>().ln();
    shifted.map(|logit| logit - log_sum).collect()
}

/// Whether a class is guessed before another: the higher logit first, at a tie the lower number,
/// and NaN last.
fn is_ahead(logits: &[f32], class: usize, other: usize) -> bool {
    let (a, b) = (logits[class], logits[other]);
    match (a.is_nan(), b.is_nan()) {
        (false, false) => a > b || (a == b && class < other),
        (true, true) => class < other,
        (a_is_nan, _) => !a_is_nan,
    }
}

pub(super) fn load_labels(
    memory: &Memory,
    operation: &'static str,
    labels: &Tensor,
    classes: usize,
) -> Result<Vec<usize>, KernelError> {
    let in_range = |label: f32| {
        if label >= 0.0 && label < classes as f32 {
            return Ok(label as usize);
        }
        let expected = format!("from 0 up to and not including {classes}");
        Err(KernelError::Operand { operation, operand: "a label", expected, got: label.to_string() })
    };
    memory.load(labels)?.into_iter().map(in_range).collect()
}
