//! The reference's forward halves (and what finite differences cannot see) against results worked
//! out by hand.

use in18_kernels::conformance::{Bench, Case, Kind, Outcome, Stepping, Tolerance};
use in18_kernels::op::{
    Add, AddRelu, BatchNorm, BatchNormBackward, BatchNormInference, BatchNormReluBackward, BlurPool, Conv,
    CrossEntropy, CrossEntropyBackward, GlobalAvgPool, Linear, MIXED, MaxPool, MaxPoolBackward, Normalize,
    PIXEL_DEVIATION, PIXEL_MEAN, SGD_SCALARS, Sgd, SoftLoss, SoftLossBackward, Window, blur_window,
};
use in18_kernels::reference::Reference;
use in18_kernels::{KernelError, Kernels, Op};
use in18_tensor::{DType, Format, Region, Shape, Tensor};

/// Results are compared here, not by the bench.
const ANY: Tolerance = Tolerance::EXACT;

const POINT: Window = Window { kernel: 1, stride: 1, padding: 0 };
const SQUARE: Window = Window { kernel: 3, stride: 1, padding: 1 };
const SQUARE_HALVING: Window = Window { kernel: 3, stride: 2, padding: 1 };

#[test]
fn convolutions() {
    struct Conv2d {
        name: &'static str,
        dtype: DType,
        window: Window,
        src: ([usize; 4], &'static [f32]),
        weight: ([usize; 4], &'static [f32]),
        dst: ([usize; 4], &'static [f32]),
    }
    const FINE: f32 = 1.0 + 1.0 / 1024.0; // bf16 makes it 1
    let top_left: &[f32] = &[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    let up_to_9: &[f32] = &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
    let cases = [
        Conv2d {
            name: "a 1x1 kernel weighs channels",
            dtype: DType::F32,
            window: POINT,
            src: ([1, 2, 1, 2], &[1.0, 2.0, 3.0, 4.0]),
            weight: ([2, 2, 1, 1], &[1.0, 10.0, -1.0, 0.5]),
            dst: ([1, 2, 1, 2], &[31.0, 42.0, 0.5, 0.0]),
        },
        Conv2d {
            name: "a 3x3 kernel of ones sums its surroundings",
            dtype: DType::F32,
            window: SQUARE,
            src: ([1, 1, 3, 3], &[1.0; 9]),
            weight: ([1, 1, 3, 3], &[1.0; 9]),
            dst: ([1, 1, 3, 3], &[4.0, 6.0, 4.0, 6.0, 9.0, 6.0, 4.0, 6.0, 4.0]),
        },
        Conv2d {
            name: "the first tap sees the pixel up and left: a cross-correlation",
            dtype: DType::F32,
            window: SQUARE,
            src: ([1, 1, 3, 3], up_to_9),
            weight: ([1, 1, 3, 3], top_left),
            dst: ([1, 1, 3, 3], &[0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 0.0, 4.0, 5.0]),
        },
        Conv2d {
            name: "stride 2 keeps the corners",
            dtype: DType::F32,
            window: SQUARE_HALVING,
            src: ([1, 1, 3, 3], up_to_9),
            weight: ([1, 1, 3, 3], &[1.0; 9]),
            dst: ([1, 1, 2, 2], &[12.0, 16.0, 24.0, 28.0]),
        },
        Conv2d {
            name: "images of a batch are apart",
            dtype: DType::F32,
            window: POINT,
            src: ([2, 1, 1, 1], &[1.0, 2.0]),
            weight: ([2, 1, 1, 1], &[3.0, 5.0]),
            dst: ([2, 2, 1, 1], &[3.0, 5.0, 6.0, 10.0]),
        },
        Conv2d {
            name: "fp32 rounds neither weights nor results",
            dtype: DType::F32,
            window: POINT,
            src: ([1, 1, 1, 1], &[FINE]),
            weight: ([1, 1, 1, 1], &[256.0]),
            dst: ([1, 1, 1, 1], &[256.25]),
        },
        Conv2d {
            name: "bf16 rounds weights as they are read and results as they are stored",
            dtype: DType::Bf16,
            window: POINT,
            src: ([1, 2, 1, 1], &[256.0, 0.875]),
            // 256.875 lies between bf16's 256 and 258; unrounded weights would give 257.125.
            weight: ([1, 2, 1, 1], &[FINE, 1.0]),
            dst: ([1, 1, 1, 1], &[256.0]),
        },
    ];
    for conv in cases {
        let mut case = Case::new(conv.name);
        let src = case.input("src", Kind::Activation, Shape::new(&conv.src.0), conv.src.1.to_vec());
        let weight = case.input("weight", Kind::Parameter, Shape::new(&conv.weight.0), conv.weight.1.to_vec());
        let dst = case.output("dst", Kind::Activation, Shape::new(&conv.dst.0), ANY);
        case.push(Conv { window: conv.window, src, weight, dst });
        assert_eq!(run(&case, conv.dtype).get(dst), conv.dst.1, "{}", conv.name);
    }
}

#[test]
fn batch_normalisation() {
    struct Norm {
        name: &'static str,
        relu: bool,
        src: &'static [f32],
        dst: &'static [f32],
        mean: f32,
        variance: f32,
        running: [f32; 2],
        dbeta: f32,
    }
    // gamma 2, beta 1, epsilon 0.75, momentum 0.1, running statistics 10 and 1; a gradient of ones.
    let cases = [
        Norm {
            name: "four values",
            relu: false,
            src: &[0.0, 1.0, 2.0, 3.0],
            // mean 1.5, variance 1.25, deviation √2
            dst: &[-1.1213204, 0.2928932, 1.7071068, 3.1213203],
            mean: 1.5,
            variance: 1.25,
            // 0.9 · 10 + 0.1 · 1.5; 0.9 · 1 + 0.1 · 1.25 · 4/3
            running: [9.15, 1.0666667],
            dbeta: 4.0,
        },
        Norm {
            name: "four values, ReLU",
            relu: true,
            src: &[0.0, 1.0, 2.0, 3.0],
            dst: &[0.0, 0.2928932, 1.7071068, 3.1213203],
            mean: 1.5,
            variance: 1.25,
            running: [9.15, 1.0666667],
            dbeta: 3.0,
        },
        Norm {
            name: "one value has no variance, and its estimate stays finite",
            relu: true,
            src: &[5.0],
            dst: &[1.0],
            mean: 5.0,
            variance: 0.0,
            running: [9.5, 0.9],
            dbeta: 1.0,
        },
    ];
    for norm in cases {
        let (shape, channels) = (Shape::nchw(1, 1, 1, norm.src.len()), Shape::new(&[1]));
        let mut case = Case::new(norm.name);
        let src = case.input("src", Kind::Activation, shape, norm.src.to_vec());
        let gamma = case.input("gamma", Kind::Parameter, channels, vec![2.0]);
        let beta = case.input("beta", Kind::Parameter, channels, vec![1.0]);
        let ddst = case.input("ddst", Kind::Activation, shape, vec![1.0; norm.src.len()]);
        let running_mean = case.updated("running_mean", Kind::Parameter, channels, vec![10.0], ANY);
        let running_variance = case.updated("running_variance", Kind::Parameter, channels, vec![1.0], ANY);
        let dst = case.output("dst", Kind::Activation, shape, ANY);
        let mean = case.output("mean", Kind::Parameter, channels, ANY);
        let inverse_deviation = case.output("inverse_deviation", Kind::Parameter, channels, ANY);
        let dsrc = case.output("dsrc", Kind::Activation, shape, ANY);
        let dgamma = case.output("dgamma", Kind::Parameter, channels, ANY);
        let dbeta = case.output("dbeta", Kind::Parameter, channels, ANY);
        let (epsilon, momentum, relu) = (0.75, 0.1, norm.relu);
        case.push(BatchNorm {
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
        });
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
        let outcome = run(&case, DType::F32);
        let close = |id, expected: &[f32]| assert_close(norm.name, outcome.get(id), expected);
        close(dst, norm.dst);
        close(mean, &[norm.mean]);
        close(inverse_deviation, &[(norm.variance + epsilon).sqrt().recip()]);
        close(running_mean, &norm.running[..1]);
        close(running_variance, &norm.running[1..]);
        close(dbeta, &[norm.dbeta]);
    }
}

#[test]
fn batch_normalisation_by_running_statistics() {
    let (shape, channels) = (Shape::nchw(1, 2, 1, 2), Shape::new(&[2]));
    for (relu, expected) in [(false, [1.0, 3.0, -0.5, 0.0]), (true, [1.0, 3.0, 0.0, 0.0])] {
        let mut case = Case::new("inference");
        let src = case.input("src", Kind::Activation, shape, vec![1.0, 3.0, 4.0, 8.0]);
        let gamma = case.input("gamma", Kind::Parameter, channels, vec![2.0, 0.5]);
        let beta = case.input("beta", Kind::Parameter, channels, vec![1.0, -1.0]);
        let running_mean = case.input("running_mean", Kind::Parameter, channels, vec![1.0, 0.0]);
        let running_variance = case.input("running_variance", Kind::Parameter, channels, vec![3.0, 15.0]);
        let dst = case.output("dst", Kind::Activation, shape, ANY);
        let epsilon = 1.0;
        case.push(BatchNormInference { epsilon, relu, src, gamma, beta, running_mean, running_variance, dst });
        assert_eq!(run(&case, DType::F32).get(dst), expected);
    }
}

#[test]
fn nan_passes_relu() {
    let shape = Shape::nchw(1, 1, 1, 3);
    let mut case = Case::new("NaN");
    let a = case.input("a", Kind::Activation, shape, vec![f32::NAN, -2.0, 1.0]);
    let b = case.input("b", Kind::Activation, shape, vec![1.0; 3]);
    let dst = case.output("dst", Kind::Activation, shape, ANY);
    case.push(AddRelu { a, b, dst });
    let outcome = run(&case, DType::F32);
    assert!(outcome.get(dst)[0].is_nan());
    assert_eq!(outcome.get(dst)[1..], [0.0, 2.0]);
}

#[test]
fn max_pooling() {
    struct Pool {
        name: &'static str,
        shape: [usize; 4],
        src: &'static [f32],
        dst: &'static [f32],
        /// Of a gradient of 1, 2, 4, 8.
        dsrc: &'static [f32],
    }
    const NAN: f32 = f32::NAN;
    let cases = [
        Pool {
            name: "windows that overlap share a maximum",
            shape: [1, 1, 3, 3],
            src: &[0.0, 1.0, 0.0, 0.0, 9.0, 0.0, 0.0, 0.0, 0.0],
            dst: &[9.0; 4],
            dsrc: &[0.0, 0.0, 0.0, 0.0, 15.0, 0.0, 0.0, 0.0, 0.0],
        },
        Pool {
            name: "padding never wins",
            shape: [1, 1, 3, 3],
            src: &[-9.0, -8.0, -7.0, -6.0, -5.0, -4.0, -3.0, -2.0, -1.0],
            dst: &[-5.0, -4.0, -2.0, -1.0],
            dsrc: &[0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 0.0, 4.0, 8.0],
        },
        Pool {
            name: "the first of equals gets the gradient",
            shape: [1, 1, 3, 3],
            src: &[0.0; 9],
            dst: &[0.0; 4],
            dsrc: &[1.0, 2.0, 0.0, 4.0, 8.0, 0.0, 0.0, 0.0, 0.0],
        },
        Pool {
            name: "NaN wins",
            shape: [1, 1, 3, 3],
            src: &[5.0, 6.0, 7.0, 8.0, 9.0, 8.0, 7.0, 6.0, NAN],
            dst: &[9.0, 9.0, 9.0, NAN],
            dsrc: &[0.0, 0.0, 0.0, 0.0, 7.0, 0.0, 0.0, 0.0, 8.0],
        },
        Pool {
            name: "planes are apart",
            shape: [2, 2, 1, 1],
            src: &[4.0, 3.0, 2.0, 1.0],
            dst: &[4.0, 3.0, 2.0, 1.0],
            dsrc: &[1.0, 2.0, 4.0, 8.0],
        },
    ];
    for pool in cases {
        let window = SQUARE_HALVING;
        let [n, c, h, w] = pool.shape;
        let dst_shape = Shape::nchw(n, c, window.output(h), window.output(w));
        let mut case = Case::new(pool.name);
        let src = case.input("src", Kind::Activation, Shape::new(&pool.shape), pool.src.to_vec());
        let ddst = case.input("ddst", Kind::Activation, dst_shape, vec![1.0, 2.0, 4.0, 8.0]);
        let dst = case.output("dst", Kind::Activation, dst_shape, ANY);
        let workspace = case.workspace(Kind::MaxPoolWorkspace, dst_shape);
        let dsrc = case.output("dsrc", Kind::Activation, Shape::new(&pool.shape), ANY);
        case.push(MaxPool { window, src, dst, workspace });
        case.push(MaxPoolBackward { window, ddst, workspace, dsrc });
        let outcome = run(&case, DType::Bf16);
        assert_close(pool.name, outcome.get(dst), pool.dst);
        assert_eq!(outcome.get(dsrc), pool.dsrc, "{}", pool.name);
    }
}

#[test]
fn blur_pooling() {
    // A point spreads over the filter, and what would fall on the padding is lost.
    let point = |height: usize, width: usize, at: usize| {
        let mut pixels = vec![0.0; height * width];
        pixels[at] = 16.0;
        pixels
    };
    type Blur = (&'static str, [usize; 2], usize, usize, &'static [f32]);
    let cases: &[Blur] = &[
        ("the middle", [3, 3], 4, 1, &[1.0, 2.0, 1.0, 2.0, 4.0, 2.0, 1.0, 2.0, 1.0]),
        ("a corner", [3, 3], 0, 1, &[4.0, 2.0, 0.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0]),
        ("the middle of what is halved", [3, 3], 4, 2, &[1.0; 4]),
        ("a corner of what is halved", [4, 3], 0, 2, &[4.0, 0.0, 0.0, 0.0]),
        ("the last row of an even number", [4, 1], 3, 2, &[0.0, 4.0 * 0.5]),
        ("one pixel", [1, 1], 0, 1, &[4.0]),
        ("one pixel of what is halved", [1, 1], 0, 2, &[4.0]),
    ];
    for &(name, [height, width], at, stride, expected) in cases {
        let window = blur_window(stride);
        let shape = Shape::nchw(1, 1, height, width);
        let dst_shape = Shape::nchw(1, 1, window.output(height), window.output(width));
        let mut case = Case::new(name);
        let src = case.input("src", Kind::Activation, shape, point(height, width, at));
        let dst = case.output("dst", Kind::Activation, dst_shape, ANY);
        case.push(BlurPool { stride, src, dst });
        assert_eq!(run(&case, DType::F32).get(dst), expected, "{name}");
    }
}

#[test]
fn the_classifier() {
    let mut case = Case::new("classifier");
    let src =
        case.input("src", Kind::Activation, Shape::nchw(2, 2, 1, 2), vec![1.0, 3.0, 0.0, 1.0, 4.0, 4.0, -1.0, 1.0]);
    let weight = case.input("weight", Kind::Parameter, Shape::new(&[3, 2]), vec![1.0, 0.0, 0.0, 1.0, 2.0, -2.0]);
    let bias = case.input("bias", Kind::Parameter, Shape::new(&[3]), vec![0.0, 1.0, 10.0]);
    let means = case.output("means", Kind::Parameter, Shape::new(&[2, 2]), ANY);
    let dst = case.output("dst", Kind::Parameter, Shape::new(&[2, 3]), ANY);
    case.push(GlobalAvgPool { src, dst: means });
    case.push(Linear { src: means, weight, bias, dst });
    let outcome = run(&case, DType::Bf16);
    assert_eq!(outcome.get(means), [2.0, 0.5, 4.0, 0.0]);
    assert_eq!(outcome.get(dst), [2.0, 1.5, 13.0, 4.0, 1.0, 18.0]);
}

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

#[test]
fn pixels_become_deviations_from_the_mean() {
    let shape = Shape::nchw(1, 3, 1, 2);
    let mut case = Case::new("pixels");
    let pixels = case.input("pixels", Kind::Pixels, shape, vec![0.0, 255.0, 0.0, 255.0, 0.0, 255.0]);
    let dst = case.output("dst", Kind::Activation, shape, ANY);
    case.push(Normalize { pixels, dst });
    let outcome = run(&case, DType::F32);
    let black = |c: usize| -PIXEL_MEAN[c] / PIXEL_DEVIATION[c];
    let white = |c: usize| (255.0 - PIXEL_MEAN[c]) / PIXEL_DEVIATION[c];
    let expected = [black(0), white(0), black(1), white(1), black(2), white(2)];
    assert_close("pixels", outcome.get(dst), &expected);
    // torchvision's well-known bounds for red.
    assert_close("red", &outcome.get(dst)[..2], &[-2.117904, 2.2489083]);
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

#[test]
fn operands_that_do_not_fit_are_refused() {
    let mut reference = Reference::new();
    let arena = reference.allocate(4096).unwrap();
    let activation = |shape: Shape, dtype: DType| {
        let region = Region { arena, offset: 0, bytes: 1024 };
        Tensor { region, shape, dtype, format: Format::Activation }
    };
    let a = activation(Shape::nchw(1, 2, 3, 4), DType::F32);
    let weight = Tensor { format: Format::Plain, ..activation(Shape::new(&[2, 2, 3, 3]), DType::F32) };
    let small = Region { bytes: 95, ..a.region };
    let window = SQUARE;
    struct Misfit {
        name: &'static str,
        op: Op,
        message: &'static str,
    }
    let cases = [
        Misfit {
            name: "another shape",
            op: Add { a, b: activation(Shape::nchw(1, 2, 4, 3), DType::F32), dst: a }.into(),
            message: "Add: b must be 1x2x3x4 fp32 Activation, got 1x2x4x3 fp32 Activation",
        },
        Misfit {
            name: "another type",
            op: Add { a, b: activation(Shape::nchw(1, 2, 3, 4), DType::Bf16), dst: a }.into(),
            message: "Add: b must be 1x2x3x4 fp32 Activation, got 1x2x3x4 bf16 Activation",
        },
        Misfit {
            name: "no image",
            op: Add { a: activation(Shape::new(&[4]), DType::F32), b: a, dst: a }.into(),
            message: "Add: a must be (N, C, H, W), got 4",
        },
        Misfit {
            name: "an empty batch",
            op: Add { a: activation(Shape::nchw(0, 2, 3, 4), DType::F32), b: a, dst: a }.into(),
            message: "Add: a must be without an empty extent, got 0x2x3x4",
        },
        Misfit {
            name: "weights of another kernel",
            op: Conv { window: POINT, src: a, weight, dst: a }.into(),
            message: "Conv: weight must be 2x2x1x1 fp32 Plain, got 2x2x3x3 fp32 Plain",
        },
        Misfit {
            name: "a result of another size",
            op: Conv { window, src: a, weight, dst: activation(Shape::nchw(1, 2, 2, 2), DType::F32) }.into(),
            message: "Conv: dst must be 1x2x3x4 fp32 Activation, got 1x2x2x2 fp32 Activation",
        },
        Misfit {
            name: "a workspace that is too small",
            op: MaxPool { window, src: a, dst: a, workspace: Tensor { region: small, ..a } }.into(),
            message: "MaxPool: workspace must be at least 96 bytes long, got 95 bytes",
        },
        Misfit {
            name: "a window that stands still",
            op: Conv { window: Window { stride: 0, ..window }, src: a, weight, dst: a }.into(),
            message: "Conv: window must be of a positive stride and a padding below its side, \
                      got Window { kernel: 3, stride: 0, padding: 1 }",
        },
        Misfit {
            name: "a blur that leaves out too much",
            op: BlurPool { stride: 3, src: a, dst: a }.into(),
            message: "BlurPool: stride must be from 1 to 2, got 3",
        },
        Misfit {
            name: "a blur of another size",
            op: BlurPool { stride: 2, src: a, dst: a }.into(),
            message: "BlurPool: dst must be 1x2x2x2 fp32 Activation, got 1x2x3x4 fp32 Activation",
        },
    ];
    let row = |offset, length| Tensor {
        region: Region { arena, offset, bytes: 4 * length },
        ..Tensor { format: Format::Plain, ..activation(Shape::new(&[length]), DType::F32) }
    };
    let sgd = Sgd {
        weight_decay: 0.0,
        decoupled: false,
        nesterov: false,
        scalars: row(0, SGD_SCALARS),
        gradient: row(64, 8),
        parameter: row(128, 8),
        velocity: row(192, 8),
    };
    let cases = cases.into_iter().chain([
        Misfit {
            name: "a velocity of another length",
            op: Sgd { velocity: row(192, 7), ..sgd }.into(),
            message: "Sgd: velocity must be 8 fp32 Plain, got 7 fp32 Plain",
        },
        Misfit {
            name: "an update over its own gradient",
            op: Sgd { gradient: row(132, 8), ..sgd }.into(),
            message: "Sgd: gradient must be apart from parameter, got a region that overlaps it",
        },
    ]);
    for misfit in cases {
        let error = reference.compile(&[misfit.op]).expect_err(misfit.name);
        assert_eq!(error.to_string(), misfit.message, "{}", misfit.name);
    }

    // Whether a region fits its arena is known only once arenas have their sizes.
    let outside = Tensor { region: Region { offset: 4095, ..a.region }, ..a };
    let program = reference.compile(&[Add { a: outside, b: a, dst: a }.into()]).unwrap();
    assert!(matches!(reference.run(program, 0..1), Err(KernelError::OutOfBounds { size: 4096, .. })));
}

fn run(case: &Case, dtype: DType) -> Outcome {
    let mut reference = Reference::new();
    let outcome = Bench::new(&mut reference, dtype).unwrap().run(case, Stepping::Whole).unwrap();
    assert!(outcome.damage.is_empty(), "{}: {:?}", case.name(), outcome.damage);
    outcome
}

/// To the last bits of fp32; NaN equals NaN.
fn assert_close(name: &str, got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len(), "{name}");
    let close = |(&got, &expected): (&f32, &f32)| {
        (got.is_nan() && expected.is_nan()) || (got - expected).abs() <= 1e-6 * expected.abs().max(0.1)
    };
    assert!(got.iter().zip(expected).all(close), "{name}: expected {expected:?}, got {got:?}");
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
