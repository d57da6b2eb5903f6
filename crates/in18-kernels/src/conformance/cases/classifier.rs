//! The fp32 end of the network, which is the same whatever the activations are.

use in18_tensor::{DType, Shape};

use crate::conformance::inputs::Inputs;
use crate::conformance::{Case, Kind, Tolerance};
use crate::op::{CrossEntropy, CrossEntropyBackward, Linear, LinearBackwardData, LinearBackwardWeight, METRICS};

/// N, C, K.
const LINEAR: &[[usize; 3]] =
    &[[2, 64, 10], [5, 512, 1000], [1, 2048, 10], [3, 24, 3], [16, 128, 100], [1, 1, 1], [33, 7, 17]];

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = LINEAR.iter().flat_map(|&[n, c, k]| linear(n, c, k)).collect();
    for [n, k] in [[5, 10], [2, 1000], [1, 3], [64, 5], [7, 6], [1, 1]] {
        cases.extend(cross_entropy("", n, k, |inputs, count| inputs.plain(count, 0.0, 2.0)));
        cases.extend(cross_entropy(" large", n, k, |inputs, count| inputs.plain(count, 300.0, 100.0)));
        cases
            .extend(cross_entropy(" ties", n, k, |inputs, count| (0..count).map(|_| inputs.below(3) as f32).collect()));
    }
    cases.extend(cross_entropy(" NaN", 6, 8, |inputs, count| {
        (0..count).map(|_| if inputs.below(3) == 0 { f32::NAN } else { inputs.value() }).collect()
    }));
    cases
}

fn linear(n: usize, c: usize, k: usize) -> [Case; 3] {
    let (src_shape, dst_shape) = (Shape::new(&[n, c]), Shape::new(&[n, k]));
    let (weight_shape, bias_shape) = (Shape::new(&[k, c]), Shape::new(&[k]));
    let geometry = format!("{n}x{c} -> {n}x{k}");
    let mut inputs = Inputs::new(&geometry, DType::F32);
    let src_values = inputs.plain(n * c, 0.5, 1.0);
    let weight_values = inputs.plain(k * c, 0.0, (c as f32).sqrt().recip());
    let ddst_values = inputs.plain(n * k, 0.0, 1.0);

    let mut forward = Case::new(format!("Linear {geometry}"));
    let src = forward.input("src", Kind::Parameter, src_shape, src_values.clone());
    let weight = forward.input("weight", Kind::Parameter, weight_shape, weight_values.clone());
    let bias = forward.input("bias", Kind::Parameter, bias_shape, inputs.plain(k, 0.0, 1.0));
    let dst = forward.output("dst", Kind::Parameter, dst_shape, Tolerance::SINGLE);
    forward.push(Linear { src, weight, bias, dst });

    let mut backward_data = Case::new(format!("LinearBackwardData {geometry}"));
    let weight = backward_data.input("weight", Kind::Parameter, weight_shape, weight_values);
    let ddst = backward_data.input("ddst", Kind::Parameter, dst_shape, ddst_values.clone());
    let dsrc = backward_data.output("dsrc", Kind::Parameter, src_shape, Tolerance::SINGLE);
    backward_data.push(LinearBackwardData { weight, ddst, dsrc });

    let mut backward_weight = Case::new(format!("LinearBackwardWeight {geometry}"));
    let src = backward_weight.input("src", Kind::Parameter, src_shape, src_values);
    let ddst = backward_weight.input("ddst", Kind::Parameter, dst_shape, ddst_values);
    let dweight = backward_weight.output("dweight", Kind::Parameter, weight_shape, Tolerance::SINGLE);
    let dbias = backward_weight.output("dbias", Kind::Parameter, bias_shape, Tolerance::SINGLE);
    backward_weight.push(LinearBackwardWeight { src, ddst, dweight, dbias });

    [forward, backward_data, backward_weight]
}

fn cross_entropy(what: &str, n: usize, k: usize, logits: fn(&mut Inputs, usize) -> Vec<f32>) -> [Case; 2] {
    let (logits_shape, labels_shape) = (Shape::new(&[n, k]), Shape::new(&[n]));
    let mut inputs = Inputs::new(&format!("cross entropy{what} {n}x{k}"), DType::F32);
    let logits_values = logits(&mut inputs, n * k);
    let labels_values = inputs.labels(n, k);

    let mut forward = Case::new(format!("CrossEntropy {n}x{k}{what}"));
    let logits = forward.input("logits", Kind::Parameter, logits_shape, logits_values.clone());
    let labels = forward.input("labels", Kind::Labels, labels_shape, labels_values.clone());
    // The counts are at most N, a small number: one too many is far outside the tolerance.
    let metrics = forward.output("metrics", Kind::Parameter, Shape::new(&[METRICS]), Tolerance::SINGLE.with_floor(1.0));
    forward.push(CrossEntropy { logits, labels, metrics });

    let mut backward = Case::new(format!("CrossEntropyBackward {n}x{k}{what}"));
    let logits = backward.input("logits", Kind::Parameter, logits_shape, logits_values);
    let labels = backward.input("labels", Kind::Labels, labels_shape, labels_values);
    let scale_value = 8.0;
    let scale = backward.input("scale", Kind::Parameter, Shape::new(&[1]), vec![scale_value as f32]);
    let terms = Tolerance::SINGLE.with_floor(scale_value / (n * k) as f64);
    let dlogits = backward.output("dlogits", Kind::Parameter, logits_shape, terms);
    backward.push(CrossEntropyBackward { logits, labels, scale, dlogits });

    [forward, backward]
}
