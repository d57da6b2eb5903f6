//! Losses with their gradients, and the update, by hand or from PyTorch.

use in18_kernels::conformance::{Bench, Case, Kind, Stepping};
use in18_kernels::op::{
    ClipGradients, CrossEntropy, CrossEntropyBackward, Lars, MIXED, SGD_SCALARS, Sgd, SoftLoss, SoftLossBackward,
};
use in18_kernels::reference::Reference;
use in18_tensor::{DType, Shape};

use super::{ANY, assert_close, run};

#[test]
fn loss_and_counts() {
    struct Loss {
        name: &'static str,
        classes: usize,
        logits: &'static [f32],
        labels: &'static [f32],
        /// Summed loss, first guesses, first five.
        metrics: [f32; 3],
    }
    const LN_2: f32 = std::f32::consts::LN_2;
    const NAN: f32 = f32::NAN;
    let cases = [
        Loss {
            name: "two equal classes: the first is guessed",
            classes: 2,
            logits: &[0.0, 0.0, 7.0, 7.0],
            labels: &[0.0, 1.0],
            metrics: [2.0 * LN_2, 1.0, 2.0],
        },
        Loss {
            name: "three classes are all among five",
            classes: 3,
            logits: &[0.0, 0.0, LN_2, LN_2, 0.0, 0.0],
            labels: &[2.0, 2.0],
            // ln 4 - ln 2, ln 4
            metrics: [3.0 * LN_2, 1.0, 2.0],
        },
        Loss {
            name: "the fifth counts and the sixth does not",
            classes: 7,
            logits: &[-70.0, -60.0, -50.0, -40.0, -30.0, -20.0, -10.0, -70.0, -60.0, -50.0, -40.0, -30.0, -20.0, -10.0],
            labels: &[2.0, 1.0],
            // twice ln(1 + e^-10 + …) beside the differences
            metrics: [40.0 + 50.0 + 9.08e-5, 0.0, 1.0],
        },
        Loss {
            name: "five ties before",
            classes: 6,
            logits: &[0.0; 12],
            labels: &[4.0, 5.0],
            metrics: [2.0 * 1.7917595, 0.0, 1.0],
        },
        Loss {
            name: "large logits do not overflow",
            classes: 2,
            logits: &[1e30, -1e30, 3000.0, 3000.0],
            labels: &[0.0, 0.0],
            metrics: [LN_2, 2.0, 2.0],
        },
        Loss {
            name: "NaN is below all others, and the loss shows it",
            classes: 3,
            logits: &[NAN, -1e30, NAN, NAN, NAN, 0.0, NAN, NAN, NAN],
            labels: &[1.0, 0.0, 0.0],
            metrics: [NAN, 2.0, 3.0],
        },
    ];
    for loss in cases {
        let count = loss.labels.len();
        let mut case = Case::new(loss.name);
        let logits = case.input("logits", Kind::Parameter, Shape::new(&[count, loss.classes]), loss.logits.to_vec());
        let labels = case.input("labels", Kind::Labels, Shape::new(&[count]), loss.labels.to_vec());
        let metrics = case.output("metrics", Kind::Parameter, Shape::new(&[3]), ANY);
        case.push(CrossEntropy { logits, labels, metrics });
        assert_close(loss.name, run(&case, DType::F32).get(metrics), &loss.metrics);
    }
}

#[test]
fn gradient_of_the_mean_loss() {
    let ln_3 = 3f32.ln();
    let mut case = Case::new("loss");
    let logits = case.input("logits", Kind::Parameter, Shape::new(&[2, 2]), vec![0.0, ln_3, 0.0, 0.0]);
    let labels = case.input("labels", Kind::Labels, Shape::new(&[2]), vec![1.0, 0.0]);
    let dlogits = case.output("dlogits", Kind::Parameter, Shape::new(&[2, 2]), ANY);
    let scale = case.input("scale", Kind::Parameter, Shape::new(&[1]), vec![1.0]);
    case.push(CrossEntropyBackward { logits, labels, scale, dlogits });
    assert_close("loss", run(&case, DType::F32).get(dlogits), &[0.125, -0.125, -0.25, 0.25]);
}

#[test]
fn a_label_without_a_class_is_refused() {
    for label in [-1.0, 2.0] {
        let mut case = Case::new("label");
        let logits = case.input("logits", Kind::Parameter, Shape::new(&[1, 2]), vec![0.0; 2]);
        let labels = case.input("labels", Kind::Labels, Shape::new(&[1]), vec![label]);
        let metrics = case.output("metrics", Kind::Parameter, Shape::new(&[3]), ANY);
        case.push(CrossEntropy { logits, labels, metrics });
        let mut reference = Reference::new();
        let error = Bench::new(&mut reference, DType::F32).unwrap().run(&case, Stepping::Whole).err().unwrap();
        let expected = format!("CrossEntropy: a label must be from 0 up to and not including 2, got {label}");
        assert_eq!(error.to_string(), expected);
    }
}

/// PyTorch's `cross_entropy` (of class probabilities) and `binary_cross_entropy_with_logits`, both
/// with a weight, summed, in float64; the gradients are those of half the sum.
#[test]
fn losses_of_soft_targets_are_pytorchs() {
    let (two_by_three, pairs) = (Shape::new(&[2, 3]), Shape::new(&[2, MIXED]));
    for (binary, loss, gradient) in [
        (false, 3.602_947_5, [0.072_297_9, 0.009_825_2, -0.082_123_2, 0.456_090, -0.428_510_6, -0.027_579_4]),
        (true, 5.287_439, [0.090_510_7, 0.113_637_4, 0.182_880_4, 0.227_726_9, -0.177_245_1, 0.335_874]),
    ] {
        let mut case = Case::new("soft loss");
        let logits = case.input("logits", Kind::Parameter, two_by_three, vec![0.5, -1.0, 2.0, 3.0, 0.25, -0.5]);
        let labels = case.input("labels", Kind::Labels, pairs, vec![2.0, 0.0, 1.0, 1.0]);
        let shares = case.input("shares", Kind::Parameter, pairs, vec![0.75, 0.25, 0.5, 0.5]);
        let weights = case.input("weights", Kind::Parameter, Shape::new(&[3]), vec![0.5, 1.0, 2.0]);
        let scale = case.input("scale", Kind::Parameter, Shape::new(&[1]), vec![1.0]);
        let metrics = case.output("metrics", Kind::Parameter, Shape::new(&[3]), ANY);
        let dlogits = case.output("dlogits", Kind::Parameter, two_by_three, ANY);
        let smoothing = 0.125;
        case.push(SoftLoss { binary, smoothing, logits, labels, shares, weights, metrics });
        case.push(SoftLossBackward { binary, smoothing, logits, labels, shares, weights, scale, dlogits });
        let results = run(&case, DType::F32);
        assert_close("loss", results.get(metrics), &[loss, 1.0, 2.0]);
        assert_close("gradient", results.get(dlogits), &gradient);
    }
}

#[test]
fn descent() {
    let shape = Shape::new(&[2]);
    let mut case = Case::new("descent");
    let parameter = case.updated("parameter", Kind::Parameter, shape, vec![1.0, -2.0], ANY);
    let velocity = case.updated("velocity", Kind::Parameter, shape, vec![4.0, 0.0], ANY);
    let gradient = case.input("gradient", Kind::Parameter, shape, vec![1.0, 0.5]);
    let scalars = case.input("scalars", Kind::Scalars, Shape::new(&[SGD_SCALARS]), vec![0.5, 0.5, 1.0, 1.0]);
    let (weight_decay, decoupled, nesterov) = (0.25, false, false);
    case.push(Sgd { weight_decay, decoupled, nesterov, scalars, gradient, parameter, velocity });
    let outcome = run(&case, DType::F32);
    // 0.5 · 4 + (1 + 0.25 · 1); 0.5 · 0 + (0.5 - 0.25 · 2)
    assert_eq!(outcome.get(velocity), [3.25, 0.0]);
    assert_eq!(outcome.get(parameter), [1.0 - 1.625, -2.0]);
}

/// Gradients of norm 5, times a scale of 2.
#[test]
fn clipping() {
    for (max_norm, factor) in [(1.0, 0.1), (9.9, 0.99), (10.1, 1.0)] {
        let mut case = Case::new("clipping");
        let gradient = case.updated("gradient", Kind::Parameter, Shape::new(&[3]), vec![3.0, 0.0, -4.0], ANY);
        let scalars = case.input("scalars", Kind::Scalars, Shape::new(&[SGD_SCALARS]), vec![0.5, 0.5, -2.0, 1.0]);
        case.push(ClipGradients { max_norm, scalars, gradient });
        let outcome = run(&case, DType::F32);
        assert_close("clipped", outcome.get(gradient), &[3.0 * factor, 0.0, -4.0 * factor]);
    }
}

/// Parameters of norm 5, gradients of norm 10, a penalty of 1/2: a ratio of 0.2 · 5 / (10 + 2.5).
#[test]
fn layer_wise_adaptive_rates() {
    for (trust, rate) in [(0.2, 0.08), (0.0, 1.0)] {
        for nesterov in [false, true] {
            let shape = Shape::new(&[2]);
            let mut case = Case::new("layer-wise adaptive rates");
            let parameter = case.updated("parameter", Kind::Parameter, shape, vec![3.0, -4.0], ANY);
            let velocity = case.updated("velocity", Kind::Parameter, shape, vec![1.0, 2.0], ANY);
            let gradient = case.input("gradient", Kind::Parameter, shape, vec![4.0, 3.0]);
            let scalars = case.input("scalars", Kind::Scalars, Shape::new(&[SGD_SCALARS]), vec![1.0, 0.5, 2.0, 1.0]);
            case.push(Lars { weight_decay: 0.5, trust, nesterov, scalars, gradient, parameter, velocity });
            let outcome = run(&case, DType::F32);
            // 2 · 4 + 0.5 · 3; 2 · 3 - 0.5 · 4
            let steps = [9.5 * rate, 4.0 * rate];
            let v = [0.5 + steps[0], 1.0 + steps[1]];
            assert_close("velocity", outcome.get(velocity), &v);
            let moves = if nesterov { [steps[0] + 0.5 * v[0], steps[1] + 0.5 * v[1]] } else { v };
            assert_close("parameter", outcome.get(parameter), &[3.0 - moves[0], -4.0 - moves[1]]);
        }
    }
}
