use in18_tensor::Shape;

use crate::conformance::inputs::{Inputs, beta_clear_of_zero};
use crate::conformance::{Case, Kind, Precision, Tolerance};
use crate::op::{BatchNorm, BatchNormAddRelu, BatchNormBackward, BatchNormInference, BatchNormReluBackward};

const EPSILON: f32 = 1e-5;
const MOMENTUM: f32 = 0.1;

const SHAPES: &[[usize; 4]] = &[
    [2, 16, 8, 8],
    [5, 24, 7, 9],
    [1, 64, 16, 16],
    [2, 3, 5, 5],
    [8, 32, 14, 14],
    [2, 512, 1, 1],
    [5, 128, 2, 3],
    [3, 40, 5, 3],
    [1, 16, 1, 1],
];

pub(super) fn cases(precision: Precision) -> Vec<Case> {
    let mut cases = Vec::new();
    for &[n, c, h, w] in SHAPES {
        for relu in [false, true] {
            cases.push(training(precision, Shape::nchw(n, c, h, w), relu));
            cases.push(inference(precision, Shape::nchw(n, c, h, w), relu));
        }
        cases.push(add_relu(precision, Shape::nchw(n, c, h, w)));
    }
    cases
}

/// Both halves in one program, so that each provider's backward half works on its own forward
/// half's results. No result lies near zero (see [`beta_clear_of_zero`]), so that every provider's
/// ReLU lets the same elements through.
fn training(precision: Precision, shape: Shape, relu: bool) -> Case {
    let mut case = Case::new(format!("BatchNorm and BatchNormBackward {shape}{}", with(relu)));
    let mut inputs = Inputs::new(case.name(), precision.dtype);
    let channels = Shape::new(&[shape[1]]);
    let src_values = inputs.channels(shape);
    let mut gamma_values = inputs.plain(shape[1], 0.5, 1.0);
    gamma_values[0] = 0.0; // as --init-bn0 leaves it
    let beta_values = beta_clear_of_zero(&src_values, shape, &gamma_values, EPSILON);
    let ddst_values = inputs.activation(shape);

    // Statistics and gradients may cancel to nothing: one value a channel has no variance, and two
    // leave no gradient. So they are judged by the size of their terms: sources have size 1 or so,
    // gradients of sources gamma · ddst / σ.
    let statistic = Tolerance::SINGLE.with_floor(1.0);
    let pixels = shape[2] * shape[3];
    let terms = ddst_values.iter().enumerate().map(|(i, &ddst)| {
        let c = i / pixels % shape[1];
        (f64::from(ddst) * f64::from(gamma_values[c]) / deviation(&src_values, shape, c)).powi(2)
    });
    let dsrc_terms = (terms.sum::<f64>() / shape.elements() as f64).sqrt();
    let parameter_gradient = Tolerance::SINGLE.with_floor(((shape[0] * pixels) as f64).sqrt());

    let src = case.input("src", Kind::Activation, shape, src_values);
    let gamma = case.input("gamma", Kind::Parameter, channels, gamma_values);
    let beta = case.input("beta", Kind::Parameter, channels, beta_values);
    let ddst = case.input("ddst", Kind::Activation, shape, ddst_values);
    let running = inputs.plain(shape[1], 0.0, 1.0);
    let running_mean = case.updated("running_mean", Kind::Parameter, channels, running, statistic);
    let running: Vec<f32> = inputs.plain(shape[1], 0.0, 1.0).iter().map(|v| 0.5 + v.abs()).collect();
    let running_variance = case.updated("running_variance", Kind::Parameter, channels, running, statistic);
    let dst = case.output("dst", Kind::Activation, shape, precision.activation());
    let mean = case.output("mean", Kind::Parameter, channels, statistic);
    let inverse_deviation = case.output("inverse_deviation", Kind::Parameter, channels, statistic);
    let dsrc = case.output("dsrc", Kind::Activation, shape, precision.activation().with_floor(dsrc_terms));
    let dgamma = case.output("dgamma", Kind::Parameter, channels, parameter_gradient);
    let dbeta = case.output("dbeta", Kind::Parameter, channels, parameter_gradient);
    case.push(BatchNorm {
        epsilon: EPSILON,
        momentum: MOMENTUM,
        relu,
        src,
        gamma,
        beta,
        running_mean,
        running_variance,
        dst,
        mean,
        inverse_deviation,
    });
    if relu {
        case.push(BatchNormReluBackward { src, dst, gamma, beta, ddst, mean, inverse_deviation, dsrc, dgamma, dbeta });
    } else {
        case.push(BatchNormBackward { src, gamma, ddst, mean, inverse_deviation, dsrc, dgamma, dbeta });
    }
    case
}

/// Results may lie near zero. Here nothing depends on which of them ReLU lets through.
fn add_relu(precision: Precision, shape: Shape) -> Case {
    let mut case = Case::new(format!("BatchNormAddRelu {shape}"));
    let mut inputs = Inputs::new(case.name(), precision.dtype);
    let channels = Shape::new(&[shape[1]]);
    let statistic = Tolerance::SINGLE.with_floor(1.0);
    let src = case.input("src", Kind::Activation, shape, inputs.channels(shape));
    let addend = case.input("addend", Kind::Activation, shape, inputs.activation(shape));
    let gamma = case.input("gamma", Kind::Parameter, channels, inputs.plain(shape[1], 0.5, 1.0));
    let beta = case.input("beta", Kind::Parameter, channels, inputs.plain(shape[1], 0.0, 1.0));
    let running = inputs.plain(shape[1], 0.0, 1.0);
    let running_mean = case.updated("running_mean", Kind::Parameter, channels, running, statistic);
    let running: Vec<f32> = inputs.plain(shape[1], 0.0, 1.0).iter().map(|v| 0.5 + v.abs()).collect();
    let running_variance = case.updated("running_variance", Kind::Parameter, channels, running, statistic);
    let dst = case.output("dst", Kind::Activation, shape, precision.steps().with_floor(1.0));
    let mean = case.output("mean", Kind::Parameter, channels, statistic);
    let inverse_deviation = case.output("inverse_deviation", Kind::Parameter, channels, statistic);
    let (epsilon, momentum) = (EPSILON, MOMENTUM);
    case.push(BatchNormAddRelu {
        epsilon,
        momentum,
        src,
        addend,
        gamma,
        beta,
        running_mean,
        running_variance,
        dst,
        mean,
        inverse_deviation,
    });
    case
}

fn inference(precision: Precision, shape: Shape, relu: bool) -> Case {
    let mut case = Case::new(format!("BatchNormInference {shape}{}", with(relu)));
    let mut inputs = Inputs::new(case.name(), precision.dtype);
    let channels = Shape::new(&[shape[1]]);
    let variance_values = inputs.plain(shape[1], 0.0, 1.0).iter().map(|v| 0.5 + v.abs()).collect();
    let src = case.input("src", Kind::Activation, shape, inputs.channels(shape));
    let gamma = case.input("gamma", Kind::Parameter, channels, inputs.plain(shape[1], 0.5, 1.0));
    let beta = case.input("beta", Kind::Parameter, channels, inputs.plain(shape[1], 0.0, 1.0));
    let running_mean = case.input("running_mean", Kind::Parameter, channels, inputs.plain(shape[1], 0.0, 1.0));
    let running_variance = case.input("running_variance", Kind::Parameter, channels, variance_values);
    let dst = case.output("dst", Kind::Activation, shape, precision.activation());
    case.push(BatchNormInference { epsilon: EPSILON, relu, src, gamma, beta, running_mean, running_variance, dst });
    case
}

/// √(variance + epsilon) of a channel.
fn deviation(src: &[f32], shape: Shape, c: usize) -> f64 {
    let planes = src.chunks_exact(shape[2] * shape[3]).skip(c).step_by(shape[1]);
    let values: Vec<f64> = planes.flatten().map(|&value| f64::from(value)).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
    (variance + f64::from(EPSILON)).sqrt()
}

fn with(relu: bool) -> &'static str {
    if relu { " with ReLU" } else { "" }
}
