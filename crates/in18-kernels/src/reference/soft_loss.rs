//! Losses of soft targets, with their gradients.

use in18_tensor::Tensor;

use super::cross_entropy::{guesses, load_labels, log_softmax};
use super::memory::Memory;
use super::{Operation, to_f32};
use crate::KernelError;
use crate::op::{MIXED, SoftLoss, SoftLossBackward};

impl Operation for SoftLoss {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let images = images(memory, "SoftLoss", self.smoothing, [&self.logits, &self.labels, &self.shares])?;
        let weights = memory.load(&self.weights)?;
        let (mut loss, mut first, mut among_top) = (0.0, 0, 0);
        for Image { logits, label, targets, total } in images {
            let log_softmax = log_softmax(&logits);
            for (class, &target) in targets.iter().enumerate() {
                let z = f64::from(logits[class]);
                let term = match self.binary {
                    true => total * softplus(z) - target * z,
                    false => -target * log_softmax[class],
                };
                loss += f64::from(weights[class]) * term;
            }
            let [is_first, is_among_top] = guesses(&logits, label);
            first += usize::from(is_first);
            among_top += usize::from(is_among_top);
        }
        memory.store(&self.metrics, &[loss as f32, first as f32, among_top as f32])
    }
}

impl Operation for SoftLossBackward {
    fn run(&self, memory: &mut Memory) -> Result<(), KernelError> {
        let images = images(memory, "SoftLossBackward", self.smoothing, [&self.logits, &self.labels, &self.shares])?;
        let weights = memory.load(&self.weights)?;
        let scale = f64::from(memory.load(&self.scale)?[0]) / images.len() as f64;
        let mut dlogits = Vec::new();
        for Image { logits, targets, total, .. } in images {
            let weighted = |class: usize| f64::from(weights[class]) * targets[class];
            let whole: f64 = (0..targets.len()).map(weighted).sum();
            for (class, log_probability) in log_softmax(&logits).into_iter().enumerate() {
                let gradient = match self.binary {
                    true => f64::from(weights[class]) * (total * sigmoid(f64::from(logits[class])) - targets[class]),
                    false => log_probability.exp() * whole - weighted(class),
                };
                dlogits.push(scale * gradient);
            }
        }
        memory.store(&self.dlogits, &to_f32(dlogits))
    }
}

/// One image's part of a batch.
struct Image {
    logits: Vec<f32>,
    /// The first label.
    label: usize,
    /// By class.
    targets: Vec<f64>,
    /// How much the image counts.
    total: f64,
}

fn images(
    memory: &Memory,
    operation: &'static str,
    smoothing: f32,
    [logits, labels, shares]: [&Tensor; 3],
) -> Result<Vec<Image>, KernelError> {
    let (classes, smoothing) = (logits.shape[1], f64::from(smoothing));
    let labels = load_labels(memory, operation, labels, classes)?;
    let (logits, shares) = (memory.load(logits)?, memory.load(shares)?);
    let rows = logits.chunks_exact(classes).zip(labels.chunks_exact(MIXED)).zip(shares.chunks_exact(MIXED));
    let image = |((logits, labels), shares): ((&[f32], &[usize]), &[f32])| {
        let total: f64 = shares.iter().map(|&share| f64::from(share)).sum();
        let mut targets = vec![smoothing * total / classes as f64; classes];
        for (&label, &share) in labels.iter().zip(shares) {
            targets[label] += (1.0 - smoothing) * f64::from(share);
        }
        Image { logits: logits.to_vec(), label: labels[0], targets, total }
    };
    Ok(rows.map(image).collect())
}

/// `log(1 + exp(z))`, without an overflow.
fn softplus(z: f64) -> f64 {
    if z > 0.0 { z + (-z).exp().ln_1p() } else { z.exp().ln_1p() }
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}
