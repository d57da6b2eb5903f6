//! Convolutions, normalisation, pooling, the classifier, and the input, by hand.

use in18_kernels::conformance::{Case, Kind};
use in18_kernels::op::{
    AddRelu, AvgPool, AvgPoolBackward, BatchNorm, BatchNormBackward, BatchNormInference, BatchNormReluBackward,
    BlurPool, Conv, GlobalAvgPool, Linear, MaxPool, MaxPoolBackward, Normalize, PIXEL_DEVIATION, PIXEL_MEAN, Window,
    blur_window,
};
use in18_tensor::{DType, Shape};

use super::{ANY, POINT, SQUARE, SQUARE_HALVING, assert_close, run};

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
fn average_pooling() {
    // The last column and the last row are cut off.
    let shape = Shape::nchw(1, 1, 3, 3);
    let mut case = Case::new("average pooling");
    let pixels = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
    let src = case.input("src", Kind::Activation, shape, pixels);
    let dst_shape = Shape::nchw(1, 1, 2, 2);
    let dst = case.output("dst", Kind::Activation, dst_shape, ANY);
    let ddst = case.input("ddst", Kind::Activation, dst_shape, vec![4.0, 2.0, 6.0, 1.0]);
    let dsrc = case.output("dsrc", Kind::Activation, shape, ANY);
    case.push(AvgPool { src, dst });
    case.push(AvgPoolBackward { ddst, dsrc });
    let outcome = run(&case, DType::Bf16);
    assert_eq!(outcome.get(dst), [3.0, 4.5, 7.5, 9.0]);
    assert_eq!(outcome.get(dsrc), [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 3.0, 3.0, 1.0]);
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
