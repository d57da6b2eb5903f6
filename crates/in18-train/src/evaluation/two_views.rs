//! The loss and hits of two views of each image, in double precision.
//!
//! Everything is computed with logarithms of probabilities, so that the loss of an image whose class
//! is all but impossible stays finite, as it does with one view.

use in18_program::Metrics;
use in18_recipe::Tta;

/// A batch of which one view was seen.
pub(super) struct TwoViews<'a> {
    /// The first view's logits, (N, K).
    logits: &'a [f32],
    /// The logarithm of the sum of the first view's powers, (N); empty if logits are averaged.
    sums: Vec<f64>,
    /// (N): each image's class.
    targets: &'a [i32],
}

impl<'a> TwoViews<'a> {
    /// With the logits of the first view. `tta` says what is averaged: logits, or else
    /// probabilities.
    pub(super) fn new(logits: &'a [f32], targets: &'a [i32], tta: Tta) -> Self {
        let sums = match tta {
            Tta::FlipLogits => Vec::new(),
            Tta::None | Tta::Flip => rows(logits, targets.len()).map(|row| log_sum_exp(widened(row))).collect(),
        };
        TwoViews { logits, sums, targets }
    }

    /// The results, with the logits of the second view. An image is a hit at k if fewer than k
    /// classes are more probable than its own.
    pub(super) fn with(&self, logits: &[f32]) -> Metrics {
        let images = self.targets.len();
        let mut metrics = Metrics { images, loss_sum: 0.0, top1: 0, top5: 0 };
        let views = rows(self.logits, images).zip(rows(logits, images));
        for (image, ((one, other), &target)) in views.zip(self.targets).enumerate() {
            let (loss, better) = match self.sums.get(image) {
                Some(&sum) => of_probabilities((one, sum), (other, log_sum_exp(widened(other))), target as usize),
                None => of_logits(one, other, target as usize),
            };
            metrics.loss_sum += loss;
            metrics.top1 += usize::from(better < 1);
            metrics.top5 += usize::from(better < 5);
        }
        metrics
    }
}

/// Loss, and the number of more probable classes, by the mean of two views' probabilities. Beside
/// each view's logits stands the logarithm of the sum of their powers.
fn of_probabilities((one, sum): (&[f32], f64), (other, other_sum): (&[f32], f64), target: usize) -> (f64, usize) {
    let views = |class: usize| (f64::from(one[class]) - sum, f64::from(other[class]) - other_sum);
    let mean = |(a, b): (f64, f64)| {
        let (low, high) = if a < b { (a, b) } else { (b, a) };
        high + (low - high).exp().ln_1p() - std::f64::consts::LN_2
    };
    let own = mean(views(target));
    // A mean is no larger than the larger of two, which spares most classes the logarithm.
    let is_better = |class: usize| {
        let views = views(class);
        (views.0 > own || views.1 > own) && mean(views) > own
    };
    (-own, (0..one.len()).filter(|&class| is_better(class)).count())
}

/// The same by the mean of two views' logits.
fn of_logits(one: &[f32], other: &[f32], target: usize) -> (f64, usize) {
    let means = one.iter().zip(other).map(|(&a, &b)| f64::midpoint(f64::from(a), f64::from(b)));
    let own = f64::midpoint(f64::from(one[target]), f64::from(other[target]));
    let better = means.clone().filter(|&mean| mean > own).count();
    (log_sum_exp(means) - own, better)
}

/// The rows of (N, K) values.
fn rows(logits: &[f32], images: usize) -> std::slice::Chunks<'_, f32> {
    logits.chunks((logits.len() / images.max(1)).max(1))
}

fn widened(row: &[f32]) -> impl Iterator<Item = f64> + Clone {
    row.iter().map(|&logit| f64::from(logit))
}

/// ln Σ exp(x).
fn log_sum_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = values.clone().fold(f64::NEG_INFINITY, f64::max);
    most + values.map(|value| (value - most).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// Logits of two views, and what PyTorch's float64 makes of them: `scripts/golden/views.py`.
    #[derive(Deserialize)]
    struct Golden {
        name: String,
        classes: usize,
        logits: [Vec<f32>; 2],
        targets: Vec<i32>,
        flip: Expected,
        flip_logits: Expected,
    }

    #[derive(Deserialize)]
    struct Expected {
        loss_sum: f64,
        top1: usize,
        top5: usize,
    }

    #[test]
    fn means_of_probabilities_and_of_logits_are_pytorchs() {
        let cases: Vec<Golden> = serde_json::from_str(include_str!("../../tests/golden/views.json")).unwrap();
        assert!(cases.len() >= 4);
        for Golden { name, classes, logits: [one, other], targets, flip, flip_logits } in cases {
            assert_eq!((one.len(), other.len()), (targets.len() * classes, targets.len() * classes), "{name}");
            for (tta, expected) in [(Tta::Flip, flip), (Tta::FlipLogits, flip_logits)] {
                let got = TwoViews::new(&one, &targets, tta).with(&other);
                assert_eq!((got.images, got.top1, got.top5), (targets.len(), expected.top1, expected.top5), "{name}");
                let error = (got.loss_sum - expected.loss_sum).abs() / expected.loss_sum;
                assert!(error < 1e-13, "{name}, {tta}: {} for {}", got.loss_sum, expected.loss_sum);
            }
        }
    }

    #[test]
    fn what_is_not_a_number_shows_in_the_loss() {
        for tta in [Tta::Flip, Tta::FlipLogits] {
            for (one, other) in [([f32::NAN, 1.0], [0.0, 1.0]), ([0.0, 1.0], [0.0, f32::NAN])] {
                assert!(TwoViews::new(&one, &[1], tta).with(&other).loss_sum.is_nan(), "{tta}");
            }
        }
    }
}
