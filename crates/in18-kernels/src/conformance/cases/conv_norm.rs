use in18_tensor::Shape;

use crate::conformance::inputs::Inputs;
use crate::conformance::{Case, Kind, Precision};
use crate::op::{ConvNorm, ConvNormAddRelu, Window};

const EPSILON: f32 = 1e-5;
const STEM: Window = Window { kernel: 7, stride: 2, padding: 3 };
const POINT: Window = Window { kernel: 1, stride: 1, padding: 0 };
const POINT_HALVING: Window = Window { kernel: 1, stride: 2, padding: 0 };
const SQUARE: Window = Window { kernel: 3, stride: 1, padding: 1 };
const SQUARE_HALVING: Window = Window { kernel: 3, stride: 2, padding: 1 };

/// Window, (N, I, H, W), O.
const GEOMETRIES: &[(Window, [usize; 4], usize)] = &[
    (STEM, [2, 3, 32, 32], 64),
    (STEM, [1, 3, 33, 47], 24),
    (POINT, [2, 64, 8, 8], 256),
    (POINT, [5, 24, 7, 5], 40),
    (POINT, [3, 48, 9, 5], 64),
    (POINT, [1, 512, 1, 1], 128),
    (POINT_HALVING, [2, 64, 14, 14], 128),
    (POINT_HALVING, [5, 24, 5, 4], 48),
    (SQUARE, [2, 64, 14, 14], 64),
    (SQUARE, [3, 24, 7, 9], 24),
    (SQUARE, [2, 512, 16, 13], 32),
    // An odd number of tiles, several pairs of output blocks, and channels that do not divide into
    // equal halves.
    (SQUARE, [5, 288, 9, 11], 64),
    (SQUARE, [2, 128, 1, 1], 128),
    // Outputs that fill no block of channels, and outputs whose last pair of blocks is not whole.
    (POINT, [2, 3, 5, 6], 3),
    (SQUARE_HALVING, [5, 16, 7, 8], 3),
    (SQUARE, [1, 3, 9, 8], 20),
    (SQUARE_HALVING, [2, 64, 16, 16], 128),
    (SQUARE_HALVING, [1, 24, 15, 9], 48),
];

/// How a case ends.
#[derive(Clone, Copy)]
enum End {
    Norm,
    Relu,
    AddRelu,
}

pub(super) fn cases(precision: Precision) -> Vec<Case> {
    let ends = [End::Norm, End::Relu, End::AddRelu];
    let each = |&(window, src, outputs): &_| ends.map(|end| case(precision, window, src, outputs, end));
    GEOMETRIES.iter().flat_map(each).collect()
}

fn case(precision: Precision, window: Window, [n, i, h, w]: [usize; 4], outputs: usize, end: End) -> Case {
    let Window { kernel, stride, .. } = window;
    let src_shape = Shape::nchw(n, i, h, w);
    let weight_shape = Shape::new(&[outputs, i, kernel, kernel]);
    let dst_shape = Shape::nchw(n, outputs, window.output(h), window.output(w));
    let channels = Shape::new(&[outputs]);
    let name = match end {
        End::Norm => "ConvNorm",
        End::Relu => "ConvNorm with ReLU",
        End::AddRelu => "ConvNormAddRelu",
    };
    let mut case = Case::new(format!("{name} {kernel}x{kernel}/{stride} {src_shape} -> {dst_shape}"));
    let mut inputs = Inputs::new(case.name(), precision.dtype);
    let deviation = ((i * kernel * kernel) as f32).sqrt().recip();
    let variance_values = inputs.plain(outputs, 0.0, 1.0).iter().map(|v| 0.5 + v.abs()).collect();
    let src = case.input("src", Kind::Activation, src_shape, inputs.activation(src_shape));
    let weight_values = inputs.plain(weight_shape.elements(), 0.0, deviation);
    let weight = case.input("weight", Kind::Parameter, weight_shape, weight_values);
    let gamma = case.input("gamma", Kind::Parameter, channels, inputs.plain(outputs, 0.5, 1.0));
    let beta = case.input("beta", Kind::Parameter, channels, inputs.plain(outputs, 0.0, 1.0));
    let running_mean = case.input("running_mean", Kind::Parameter, channels, inputs.plain(outputs, 0.0, 1.0));
    let running_variance = case.input("running_variance", Kind::Parameter, channels, variance_values);
    // Terms are of size 1, and may cancel.
    let tolerance = precision.evaluation().with_floor(1.0);
    let (epsilon, relu) = (EPSILON, matches!(end, End::Relu));
    if let End::AddRelu = end {
        let dst = case.updated("dst", Kind::Activation, dst_shape, inputs.activation(dst_shape), tolerance);
        case.push(ConvNormAddRelu { window, epsilon, src, weight, gamma, beta, running_mean, running_variance, dst });
    } else {
        let dst = case.output("dst", Kind::Activation, dst_shape, tolerance);
        case.push(ConvNorm { window, epsilon, relu, src, weight, gamma, beta, running_mean, running_variance, dst });
    }
    case
}
