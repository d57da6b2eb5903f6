//! Every backward half of the reference against numerical derivatives of its forward half.
//!
//! Let f be a forward half and r a random direction in the space of its results. Given the gradient
//! r, the backward half must return the gradient of `⟨r, f(x)⟩` with respect to x. Derivatives are
//! taken by the five-point rule `(8 (f(x+h) − f(x−h)) − (f(x+2h) − f(x−2h))) / 12h`, whose error is
//! O(h⁴). Inputs are multiples of 1/64 and h is a power of two, so no perturbation is rounded. What
//! remains is fp32's rounding of results, some 1e-7 / h.

use in18_kernels::Op;
use in18_kernels::conformance::inputs::{Inputs, beta_clear_of_zero};
use in18_kernels::conformance::{Bench, Case, Kind, Outcome, Stepping, Tolerance, ValueId};
use in18_kernels::op::{
    Add, AddRelu, AvgPool, AvgPoolBackward, BatchNorm, BatchNormBackward, BatchNormReluBackward, BlurPool,
    BlurPoolBackward, Conv, ConvBackwardData, ConvBackwardWeight, CrossEntropy, CrossEntropyBackward, GlobalAvgPool,
    GlobalAvgPoolBackward, Linear, LinearBackwardData, LinearBackwardWeight, METRICS, MIXED, MaxPool, MaxPoolBackward,
    ReluBackward, SoftLoss, SoftLossBackward, SumReluBackward, Window, avg_pool_output, blur_window,
};
use in18_kernels::reference::Reference;
use in18_tensor::{DType, Shape};

/// Other tests judge results by their last bits. Here results are only read.
const ANY: Tolerance = Tolerance::EXACT;

#[test]
fn convolution() {
    let shapes: &[(usize, usize, usize, [usize; 4], usize)] = &[
        // kernel, stride, padding, (N, I, H, W), O
        (1, 1, 0, [2, 3, 4, 3], 2),
        (1, 2, 0, [1, 2, 5, 4], 3),
        (3, 1, 1, [2, 2, 5, 4], 3),
        (3, 2, 1, [1, 3, 5, 6], 2),
        (3, 2, 1, [2, 2, 1, 1], 2),
        (3, 1, 0, [1, 2, 4, 6], 2),
        (7, 2, 3, [1, 2, 9, 6], 2),
        (7, 1, 3, [1, 1, 3, 8], 2),
    ];
    for &(kernel, stride, padding, [n, i, h, w], outputs) in shapes {
        let window = Window { kernel, stride, padding };
        let name = format!("convolution {kernel}x{kernel}/{stride} of {n}x{i}x{h}x{w}");
        let mut inputs = Inputs::new(&name, DType::F32);
        let src_shape = Shape::nchw(n, i, h, w);
        let weight_shape = Shape::new(&[outputs, i, kernel, kernel]);
        let dst_shape = Shape::nchw(n, outputs, window.output(h), window.output(w));
        let src_values = grid(&mut inputs, src_shape);
        let weight_values = grid(&mut inputs, weight_shape);
        let direction = grid(&mut inputs, dst_shape);

        let mut forward = Case::new(name.as_str());
        let src = forward.input("src", Kind::Activation, src_shape, src_values.clone());
        let weight = forward.input("weight", Kind::Parameter, weight_shape, weight_values.clone());
        let dst = forward.output("dst", Kind::Activation, dst_shape, ANY);
        forward.push(Conv { window, src, weight, dst });

        let mut backward = Case::new(name.as_str());
        let b_src = backward.input("src", Kind::Activation, src_shape, src_values);
        let b_weight = backward.input("weight", Kind::Parameter, weight_shape, weight_values);
        let ddst = backward.input("ddst", Kind::Activation, dst_shape, direction.clone());
        let dsrc = backward.output("dsrc", Kind::Activation, src_shape, ANY);
        let dweight = backward.output("dweight", Kind::Parameter, weight_shape, ANY);
        backward.push(ConvBackwardData { window, weight: b_weight, ddst, dsrc });
        backward.push(ConvBackwardWeight { window, src: b_src, ddst, dweight });

        let gradients = run(&backward);
        // The map is linear in either operand: any step works, and a long one hides the rounding.
        check(&mut forward, src, dst, &direction, gradients.get(dsrc), 0.5, 1e-5);
        check(&mut forward, weight, dst, &direction, gradients.get(dweight), 0.5, 1e-5);
    }
}

#[test]
fn batch_normalisation() {
    for [n, c, h, w] in [[2, 3, 3, 3], [1, 2, 5, 2], [6, 4, 1, 1], [3, 2, 1, 4]] {
        for relu in [false, true] {
            let shape = Shape::nchw(n, c, h, w);
            let channels = Shape::new(&[c]);
            let name = format!("batch normalisation of {shape}, relu: {relu}");
            let mut inputs = Inputs::new(&name, DType::F32);
            let epsilon = 1.0 / 64.0; // large enough to be seen if it were forgotten
            let src_values = grid(&mut inputs, shape);
            let gamma_values: Vec<f32> = grid(&mut inputs, channels).iter().map(|v| v + v.signum() * 0.5).collect();
            let beta_values = beta_clear_of_zero(&src_values, shape, &gamma_values, epsilon);
            // Beta is put on a grid of its own, so that its perturbations are not rounded either.
            let beta_values: Vec<f32> = beta_values.iter().map(|v| (v * 1024.0).round() / 1024.0).collect();
            let direction = grid(&mut inputs, shape);

            let mut case = Case::new(name.as_str());
            let src = case.input("src", Kind::Activation, shape, src_values);
            let gamma = case.input("gamma", Kind::Parameter, channels, gamma_values);
            let beta = case.input("beta", Kind::Parameter, channels, beta_values);
            let running_mean = case.updated("running_mean", Kind::Parameter, channels, vec![0.0; c], ANY);
            let running_variance = case.updated("running_variance", Kind::Parameter, channels, vec![1.0; c], ANY);
            let dst = case.output("dst", Kind::Activation, shape, ANY);
            let mean = case.output("mean", Kind::Parameter, channels, ANY);
            let inverse_deviation = case.output("inverse_deviation", Kind::Parameter, channels, ANY);
            let momentum = 0.1;
            let norm = |relu: bool| BatchNorm {
                epsilon,
                momentum,
                relu,
                src,
                gamma,
                beta,
                running_mean,
                running_variance,
                dst,
                mean,
                inverse_deviation,
            };
            let mut forward = case.clone();
            forward.push(norm(relu));
            let mut without_relu = case.clone();
            without_relu.push(norm(false));

            let ddst = case.input("ddst", Kind::Activation, shape, direction.clone());
            let dsrc = case.output("dsrc", Kind::Activation, shape, ANY);
            let dgamma = case.output("dgamma", Kind::Parameter, channels, ANY);
            let dbeta = case.output("dbeta", Kind::Parameter, channels, ANY);
            case.push(norm(relu));
            if relu {
                case.push(BatchNormReluBackward {
                    src,
                    dst,
                    gamma,
                    beta,
                    ddst,
                    mean,
                    inverse_deviation,
                    dsrc,
                    dgamma,
                    dbeta,
                });
            } else {
                case.push(BatchNormBackward { src, gamma, ddst, mean, inverse_deviation, dsrc, dgamma, dbeta });
            }

            // A step moves a result by up to 2h · gamma · max(1, x̂) / σ. That must not reach the
            // kink of ReLU.
            let step = if relu { 1.0 / 128.0 } else { 1.0 / 64.0 };
            let nearest = run(&without_relu).get(dst).iter().fold(f32::MAX, |nearest, v| nearest.min(v.abs()));
            assert!(!relu || nearest > 8.0 * step, "{name}: a result lies at {nearest}");

            let gradients = run(&case);
            check(&mut forward, src, dst, &direction, gradients.get(dsrc), step, 3e-4);
            check(&mut forward, gamma, dst, &direction, gradients.get(dgamma), step, 3e-4);
            check(&mut forward, beta, dst, &direction, gradients.get(dbeta), step, 3e-4);
        }
    }
}

#[test]
fn sums_and_relu() {
    let shape = Shape::nchw(2, 3, 3, 2);
    let mut inputs = Inputs::new("sums", DType::F32);
    let direction = grid(&mut inputs, shape);
    let b_values = grid(&mut inputs, shape);
    // a + b is a multiple of 1/32 and at least that far from 0.
    let clear = |inputs: &mut Inputs, b: &f32| (inputs.below(32) as f32 + 1.0) / 32.0 * sign(inputs) - b;
    let a_values: Vec<f32> = b_values.iter().map(|b| clear(&mut inputs, b)).collect();

    let mut forward = Case::new("add");
    let a = forward.input("a", Kind::Activation, shape, a_values);
    let b = forward.input("b", Kind::Activation, shape, b_values);
    let dst = forward.output("dst", Kind::Activation, shape, ANY);
    let mut add_relu = forward.clone();
    forward.push(Add { a, b, dst });
    add_relu.push(AddRelu { a, b, dst });

    // The gradient of each addend is the gradient of the sum.
    for addend in [a, b] {
        check(&mut forward, addend, dst, &direction, &direction, 0.25, 1e-5);
    }

    let result = run(&add_relu).get(dst).to_vec();
    let mut backward = Case::new("add and relu");
    let b_dst = backward.input("dst", Kind::Activation, shape, result.clone());
    let ddst = backward.input("ddst", Kind::Activation, shape, direction.clone());
    let dsrc = backward.output("dsrc", Kind::Activation, shape, ANY);
    backward.push(ReluBackward { dst: b_dst, ddst, dsrc });
    let gradients = run(&backward);
    for addend in [a, b] {
        check(&mut add_relu, addend, dst, &direction, gradients.get(dsrc), 1.0 / 128.0, 1e-4);
    }

    // Two gradients of one activation: one gets half of the direction, the other the rest.
    let part = grid(&mut inputs, shape);
    let rest: Vec<f32> = direction.iter().zip(&part).map(|(whole, part)| whole - part).collect();
    let mut backward = Case::new("sum and relu");
    let b_dst = backward.input("dst", Kind::Activation, shape, result);
    let ddst_a = backward.input("ddst_a", Kind::Activation, shape, part);
    let ddst_b = backward.input("ddst_b", Kind::Activation, shape, rest);
    let dsrc = backward.output("dsrc", Kind::Activation, shape, ANY);
    backward.push(SumReluBackward { dst: b_dst, ddst_a, ddst_b, dsrc });
    check(&mut add_relu, a, dst, &direction, run(&backward).get(dsrc), 1.0 / 128.0, 1e-4);
}

#[test]
fn max_pooling() {
    let halving = Window { kernel: 3, stride: 2, padding: 1 };
    let sliding = Window { kernel: 3, stride: 1, padding: 1 };
    let tiles = Window { kernel: 2, stride: 2, padding: 0 };
    let shapes = [(halving, [2, 2, 7, 5]), (halving, [1, 3, 1, 4]), (sliding, [1, 2, 4, 5]), (tiles, [2, 1, 5, 6])];
    for (window, [n, c, h, w]) in shapes {
        for negative in [false, true] {
            let shape = Shape::nchw(n, c, h, w);
            let dst_shape = Shape::nchw(n, c, window.output(h), window.output(w));
            let name = format!("max pooling of {shape} by {window:?}, all negative: {negative}");
            let mut inputs = Inputs::new(&name, DType::F32);
            let direction = grid(&mut inputs, dst_shape);

            let mut case = Case::new(name);
            let src = case.input("src", Kind::Activation, shape, inputs.distinct(shape, negative));
            let dst = case.output("dst", Kind::Activation, dst_shape, ANY);
            let workspace = case.workspace(Kind::MaxPoolWorkspace, dst_shape);
            case.push(MaxPool { window, src, dst, workspace });
            let mut forward = case.clone();
            let ddst = case.input("ddst", Kind::Activation, dst_shape, direction.clone());
            let dsrc = case.output("dsrc", Kind::Activation, shape, ANY);
            case.push(MaxPoolBackward { window, ddst, workspace, dsrc });
            // Values are 1/16 apart, and two steps are 1/32.
            check(&mut forward, src, dst, &direction, run(&case).get(dsrc), 1.0 / 64.0, 1e-3);
        }
    }
}

#[test]
fn average_pooling() {
    for [n, c, h, w] in [[2, 3, 4, 6], [1, 2, 5, 7], [2, 1, 1, 1], [1, 2, 1, 4], [3, 1, 3, 1]] {
        let (shape, dst_shape) = (Shape::nchw(n, c, h, w), Shape::nchw(n, c, avg_pool_output(h), avg_pool_output(w)));
        let name = format!("average pooling of {shape}");
        let mut inputs = Inputs::new(&name, DType::F32);
        let direction = grid(&mut inputs, dst_shape);
        let mut forward = Case::new(name);
        let src = forward.input("src", Kind::Activation, shape, grid(&mut inputs, shape));
        let dst = forward.output("dst", Kind::Activation, dst_shape, ANY);
        forward.push(AvgPool { src, dst });
        let mut backward = Case::new("");
        let ddst = backward.input("ddst", Kind::Activation, dst_shape, direction.clone());
        let dsrc = backward.output("dsrc", Kind::Activation, shape, ANY);
        backward.push(AvgPoolBackward { ddst, dsrc });
        check(&mut forward, src, dst, &direction, run(&backward).get(dsrc), 0.5, 1e-5);
    }
}

#[test]
fn blur_pooling() {
    let shapes = [[2, 3, 4, 6], [1, 2, 5, 7], [2, 1, 1, 1], [1, 2, 1, 4], [3, 1, 3, 1]];
    for ([n, c, h, w], stride) in shapes.into_iter().flat_map(|shape| [(shape, 1), (shape, 2)]) {
        let window = blur_window(stride);
        let (shape, dst_shape) = (Shape::nchw(n, c, h, w), Shape::nchw(n, c, window.output(h), window.output(w)));
        let name = format!("blur pooling of {shape} with stride {stride}");
        let mut inputs = Inputs::new(&name, DType::F32);
        let direction = grid(&mut inputs, dst_shape);
        let mut forward = Case::new(name);
        let src = forward.input("src", Kind::Activation, shape, grid(&mut inputs, shape));
        let dst = forward.output("dst", Kind::Activation, dst_shape, ANY);
        forward.push(BlurPool { stride, src, dst });
        let mut backward = Case::new("");
        let ddst = backward.input("ddst", Kind::Activation, dst_shape, direction.clone());
        let dsrc = backward.output("dsrc", Kind::Activation, shape, ANY);
        backward.push(BlurPoolBackward { stride, ddst, dsrc });
        check(&mut forward, src, dst, &direction, run(&backward).get(dsrc), 0.5, 1e-5);
    }
}

#[test]
fn global_mean() {
    for [n, c, h, w] in [[2, 3, 4, 5], [1, 2, 1, 1], [3, 1, 7, 7]] {
        let shape = Shape::nchw(n, c, h, w);
        let means = Shape::new(&[n, c]);
        let mut inputs = Inputs::new("global mean", DType::F32);
        let direction = grid(&mut inputs, means);
        let mut forward = Case::new(format!("global mean of {shape}"));
        let src = forward.input("src", Kind::Activation, shape, grid(&mut inputs, shape));
        let dst = forward.output("dst", Kind::Parameter, means, ANY);
        forward.push(GlobalAvgPool { src, dst });
        let mut backward = Case::new("");
        let ddst = backward.input("ddst", Kind::Parameter, means, direction.clone());
        let dsrc = backward.output("dsrc", Kind::Activation, shape, ANY);
        backward.push(GlobalAvgPoolBackward { ddst, dsrc });
        check(&mut forward, src, dst, &direction, run(&backward).get(dsrc), 0.5, 1e-5);
    }
}

#[test]
fn linear_map() {
    for [n, c, k] in [[3, 4, 5], [1, 7, 2], [4, 1, 1]] {
        let (src_shape, dst_shape) = (Shape::new(&[n, c]), Shape::new(&[n, k]));
        let (weight_shape, bias_shape) = (Shape::new(&[k, c]), Shape::new(&[k]));
        let mut inputs = Inputs::new("linear", DType::F32);
        let src_values = grid(&mut inputs, src_shape);
        let weight_values = grid(&mut inputs, weight_shape);
        let direction = grid(&mut inputs, dst_shape);

        let mut forward = Case::new(format!("linear map {n}x{c} -> {n}x{k}"));
        let src = forward.input("src", Kind::Parameter, src_shape, src_values.clone());
        let weight = forward.input("weight", Kind::Parameter, weight_shape, weight_values.clone());
        let bias = forward.input("bias", Kind::Parameter, bias_shape, grid(&mut inputs, bias_shape));
        let dst = forward.output("dst", Kind::Parameter, dst_shape, ANY);
        forward.push(Linear { src, weight, bias, dst });

        let mut backward = Case::new("");
        let b_src = backward.input("src", Kind::Parameter, src_shape, src_values);
        let b_weight = backward.input("weight", Kind::Parameter, weight_shape, weight_values);
        let ddst = backward.input("ddst", Kind::Parameter, dst_shape, direction.clone());
        let dsrc = backward.output("dsrc", Kind::Parameter, src_shape, ANY);
        let dweight = backward.output("dweight", Kind::Parameter, weight_shape, ANY);
        let dbias = backward.output("dbias", Kind::Parameter, bias_shape, ANY);
        backward.push(LinearBackwardData { weight: b_weight, ddst, dsrc });
        backward.push(LinearBackwardWeight { src: b_src, ddst, dweight, dbias });

        let gradients = run(&backward);
        check(&mut forward, src, dst, &direction, gradients.get(dsrc), 0.5, 1e-5);
        check(&mut forward, weight, dst, &direction, gradients.get(dweight), 0.5, 1e-5);
        check(&mut forward, bias, dst, &direction, gradients.get(dbias), 0.5, 1e-5);
    }
}

#[test]
fn cross_entropy() {
    for [n, k] in [[4, 10], [3, 3], [1, 2]] {
        let (logits_shape, labels_shape) = (Shape::new(&[n, k]), Shape::new(&[n]));
        let mut inputs = Inputs::new("cross entropy", DType::F32);
        let logits_values = grid(&mut inputs, logits_shape);
        let labels_values = inputs.labels(n, k);

        let mut forward = Case::new(format!("cross entropy of {n}x{k}"));
        let logits = forward.input("logits", Kind::Parameter, logits_shape, logits_values.clone());
        let labels = forward.input("labels", Kind::Labels, labels_shape, labels_values.clone());
        let metrics = forward.output("metrics", Kind::Parameter, Shape::new(&[METRICS]), ANY);
        forward.push(CrossEntropy { logits, labels, metrics });

        let mut backward = Case::new("");
        let b_logits = backward.input("logits", Kind::Parameter, logits_shape, logits_values);
        let b_labels = backward.input("labels", Kind::Labels, labels_shape, labels_values);
        let dlogits = backward.output("dlogits", Kind::Parameter, logits_shape, ANY);
        let scale = backward.input("scale", Kind::Parameter, Shape::new(&[1]), vec![1.0]);
        backward.push(CrossEntropyBackward { logits: b_logits, labels: b_labels, scale, dlogits });

        // The mean of the loss; the counts have no derivative.
        let direction = [1.0 / n as f32, 0.0, 0.0];
        check(&mut forward, logits, metrics, &direction, run(&backward).get(dlogits), 1.0 / 32.0, 5e-4);
    }
}

#[test]
fn soft_loss() {
    for (binary, smoothing) in [(false, 0.0), (false, 0.25), (true, 0.0), (true, 0.25)] {
        let [n, k] = [4, 5];
        let (shape, pairs, classes) = (Shape::new(&[n, k]), Shape::new(&[n, MIXED]), Shape::new(&[k]));
        let mut inputs = Inputs::new("soft loss", DType::F32);
        let logits_values = grid(&mut inputs, shape);
        let labels_values = inputs.labels(n * MIXED, k);
        let shares_values = vec![1.0, 0.0, 0.75, 0.25, 0.5, 0.5, 2.0, 0.0];
        let weights_values = vec![0.5, 1.0, 2.0, 0.25, 1.5];

        let mut forward = Case::new(format!("soft loss, binary {binary}, smoothing {smoothing}"));
        let logits = forward.input("logits", Kind::Parameter, shape, logits_values.clone());
        let labels = forward.input("labels", Kind::Labels, pairs, labels_values.clone());
        let shares = forward.input("shares", Kind::Parameter, pairs, shares_values.clone());
        let weights = forward.input("weights", Kind::Parameter, classes, weights_values.clone());
        let metrics = forward.output("metrics", Kind::Parameter, Shape::new(&[METRICS]), ANY);
        forward.push(SoftLoss { binary, smoothing, logits, labels, shares, weights, metrics });

        let mut backward = Case::new("");
        let b_logits = backward.input("logits", Kind::Parameter, shape, logits_values);
        let labels = backward.input("labels", Kind::Labels, pairs, labels_values);
        let shares = backward.input("shares", Kind::Parameter, pairs, shares_values);
        let weights = backward.input("weights", Kind::Parameter, classes, weights_values);
        let scale = backward.input("scale", Kind::Parameter, Shape::new(&[1]), vec![1.0]);
        let dlogits = backward.output("dlogits", Kind::Parameter, shape, ANY);
        backward.push(SoftLossBackward {
            binary,
            smoothing,
            logits: b_logits,
            labels,
            shares,
            weights,
            scale,
            dlogits,
        });

        let direction = [1.0 / n as f32, 0.0, 0.0];
        check(&mut forward, logits, metrics, &direction, run(&backward).get(dlogits), 1.0 / 32.0, 5e-4);
    }
}

/// A test of the test: a gradient that is wrong by a thousandth is found.
#[test]
#[should_panic(expected = "derivative")]
fn a_wrong_gradient_is_found() {
    let shape = Shape::nchw(1, 2, 3, 3);
    let mut inputs = Inputs::new("wrong", DType::F32);
    let values = grid(&mut inputs, shape);
    let mut forward = Case::new("sum");
    let a = forward.input("a", Kind::Activation, shape, values.clone());
    let b = forward.input("b", Kind::Activation, shape, values);
    let dst = forward.output("dst", Kind::Activation, shape, ANY);
    forward.push(Op::from(Add { a, b, dst }));
    let direction = grid(&mut inputs, shape);
    let wrong: Vec<f32> = direction.iter().map(|v| v * 1.001).collect();
    check(&mut forward, a, dst, &direction, &wrong, 0.25, 1e-5);
}

/// Compares a gradient with the derivative of `⟨direction, output⟩` in every element of an input.
/// The tolerance is relative to the gradient's root mean square, or to 1/100 if that is less.
fn check(
    forward: &mut Case,
    input: ValueId,
    output: ValueId,
    direction: &[f32],
    gradient: &[f32],
    step: f32,
    tolerance: f64,
) {
    let mean_square = gradient.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / gradient.len() as f64;
    let scale = mean_square.sqrt().max(0.01);
    let mut reference = Reference::new();
    let mut bench = Bench::new(&mut reference, DType::F32).unwrap();
    for (i, &got) in gradient.iter().enumerate() {
        let given = forward.given_mut(input)[i];
        let mut at = |offset: f32| {
            forward.given_mut(input)[i] = given + offset;
            let outcome = bench.run(forward, Stepping::Whole).unwrap();
            forward.given_mut(input)[i] = given;
            direction.iter().zip(outcome.get(output)).map(|(&r, &f)| f64::from(r) * f64::from(f)).sum::<f64>()
        };
        let near = at(step) - at(-step);
        let far = at(2.0 * step) - at(-2.0 * step);
        let derivative = (8.0 * near - far) / (12.0 * f64::from(step));
        let error = (derivative - f64::from(got)).abs();
        let name = forward.name();
        assert!(error <= tolerance * scale, "{name}: input {input:?}, element {i}: derivative {derivative}, got {got}");
    }
}

fn run(case: &Case) -> Outcome {
    let mut reference = Reference::new();
    let outcome = Bench::new(&mut reference, DType::F32).unwrap().run(case, Stepping::Whole).unwrap();
    assert!(outcome.damage.is_empty(), "{}: {:?}", case.name(), outcome.damage);
    outcome
}

/// Values of deviation 1 that are multiples of 1/64.
fn grid(inputs: &mut Inputs, shape: Shape) -> Vec<f32> {
    (0..shape.elements()).map(|_| (inputs.value() * 64.0).round() / 64.0).collect()
}

fn sign(inputs: &mut Inputs) -> f32 {
    if inputs.below(2) == 0 { 1.0 } else { -1.0 }
}
