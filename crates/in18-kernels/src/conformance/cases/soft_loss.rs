//! Losses of soft targets.

use in18_tensor::{DType, Shape};

use crate::conformance::inputs::Inputs;
use crate::conformance::{Case, Kind, Tolerance};
use crate::op::{METRICS, MIXED, SoftLoss, SoftLossBackward};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for binary in [false, true] {
        for [n, k] in [[5, 10], [2, 1000], [1, 3], [64, 5], [7, 6], [1, 1]] {
            cases.extend(both_halves(binary, 0.1, "", [n, k], |inputs, count| inputs.plain(count, 0.0, 2.0)));
        }
        cases.extend(both_halves(binary, 0.0, " not smoothed", [9, 4], |inputs, count| inputs.plain(count, 0.0, 2.0)));
        cases.extend(both_halves(binary, 0.25, " large", [6, 10], |inputs, count| inputs.plain(count, 30.0, 50.0)));
        cases.extend(both_halves(binary, 0.1, " ties", [7, 6], |inputs, count| {
            (0..count).map(|_| inputs.below(3) as f32).collect()
        }));
    }
    cases
}

fn both_halves(
    binary: bool,
    smoothing: f32,
    what: &str,
    [n, k]: [usize; 2],
    logits: fn(&mut Inputs, usize) -> Vec<f32>,
) -> [Case; 2] {
    let (logits_shape, pairs, classes) = (Shape::new(&[n, k]), Shape::new(&[n, MIXED]), Shape::new(&[k]));
    let kind = if binary { " binary" } else { "" };
    let mut inputs = Inputs::new(&format!("soft loss{kind}{what} {n}x{k}"), DType::F32);
    let logits_values = logits(&mut inputs, n * k);
    let labels_values = inputs.labels(n * MIXED, k);
    // Whole images, mixed ones, one that counts twice, one that does not count.
    let kinds = [[1.0, 0.0], [0.75, 0.25], [0.5, 0.5], [2.0, 0.0], [0.0, 0.0], [0.3, 0.7]];
    let shares_values: Vec<f32> = kinds.into_iter().cycle().take(n).flatten().collect();
    let weights_values: Vec<f32> = (0..k).map(|_| 0.25 + inputs.below(8) as f32 / 4.0).collect();

    let mut forward = Case::new(format!("SoftLoss{kind} {n}x{k}{what}"));
    let logits = forward.input("logits", Kind::Parameter, logits_shape, logits_values.clone());
    let labels = forward.input("labels", Kind::Labels, pairs, labels_values.clone());
    let shares = forward.input("shares", Kind::Parameter, pairs, shares_values.clone());
    let weights = forward.input("weights", Kind::Parameter, classes, weights_values.clone());
    // The counts are at most N, a small number: one too many is far outside the tolerance.
    let metrics = forward.output("metrics", Kind::Parameter, Shape::new(&[METRICS]), Tolerance::SINGLE.with_floor(1.0));
    forward.push(SoftLoss { binary, smoothing, logits, labels, shares, weights, metrics });

    let mut backward = Case::new(format!("SoftLossBackward{kind} {n}x{k}{what}"));
    let logits = backward.input("logits", Kind::Parameter, logits_shape, logits_values);
    let labels = backward.input("labels", Kind::Labels, pairs, labels_values);
    let shares = backward.input("shares", Kind::Parameter, pairs, shares_values);
    let weights = backward.input("weights", Kind::Parameter, classes, weights_values);
    let scale_value = 8.0;
    let scale = backward.input("scale", Kind::Parameter, Shape::new(&[1]), vec![scale_value as f32]);
    let terms = Tolerance::SINGLE.with_floor(scale_value / n as f64);
    let dlogits = backward.output("dlogits", Kind::Parameter, logits_shape, terms);
    backward.push(SoftLossBackward { binary, smoothing, logits, labels, shares, weights, scale, dlogits });

    [forward, backward]
}
