use in18_tensor::Shape;

use crate::conformance::inputs::Inputs;
use crate::conformance::{Case, Kind, Precision};
use crate::op::{Conv, ConvBackwardData, ConvBackwardWeight, Window};

const STEM: Window = Window { kernel: 7, stride: 2, padding: 3 };
const POINT: Window = Window { kernel: 1, stride: 1, padding: 0 };
const POINT_HALVING: Window = Window { kernel: 1, stride: 2, padding: 0 };
const SQUARE: Window = Window { kernel: 3, stride: 1, padding: 1 };
const SQUARE_HALVING: Window = Window { kernel: 3, stride: 2, padding: 1 };

/// Window, (N, I, H, W), O.
const GEOMETRIES: &[(Window, [usize; 4], usize)] = &[
    (STEM, [2, 3, 32, 32], 64),
    (STEM, [1, 3, 33, 47], 16),
    (STEM, [5, 3, 14, 14], 24),
    (STEM, [1, 3, 7, 9], 64),
    (STEM, [2, 3, 1, 1], 16),
    (POINT, [2, 64, 8, 8], 256),
    (POINT, [5, 24, 7, 5], 40),
    (POINT, [2, 3, 5, 6], 3),
    (POINT, [1, 512, 1, 1], 128),
    (POINT, [1, 128, 13, 9], 32),
    // Enough pixels and channels that a provider may cut them into pieces.
    (POINT, [3, 48, 20, 19], 32),
    (POINT, [2, 1536, 5, 7], 96),
    (POINT_HALVING, [3, 512, 16, 15], 32),
    (SQUARE, [11, 160, 14, 13], 16),
    // Enough that a provider may use an algorithm with transforms.
    (SQUARE, [5, 64, 17, 15], 96),
    (SQUARE, [9, 32, 12, 13], 32),
    // Enough tiles, or channels, that it may transform them piece by piece.
    (SQUARE, [16, 32, 32, 31], 32),
    (SQUARE, [2, 1024, 16, 16], 96),
    (POINT_HALVING, [2, 64, 14, 14], 128),
    (POINT_HALVING, [1, 24, 7, 9], 48),
    (POINT_HALVING, [5, 16, 5, 4], 24),
    (POINT_HALVING, [2, 256, 2, 2], 512),
    (SQUARE, [2, 64, 14, 14], 64),
    (SQUARE, [1, 16, 15, 11], 16),
    (SQUARE, [5, 24, 7, 7], 24),
    (SQUARE, [1, 3, 9, 8], 20),
    (SQUARE, [2, 256, 1, 1], 256),
    (SQUARE, [1, 128, 4, 3], 128),
    (SQUARE_HALVING, [2, 64, 16, 16], 128),
    (SQUARE_HALVING, [1, 24, 15, 9], 48),
    (SQUARE_HALVING, [5, 16, 7, 8], 3),
    (SQUARE_HALVING, [2, 128, 2, 2], 256),
    (SQUARE_HALVING, [1, 16, 1, 1], 32),
];

pub(super) fn cases(precision: Precision) -> Vec<Case> {
    GEOMETRIES.iter().flat_map(|&(window, src, outputs)| three(precision, window, src, outputs)).collect()
}

fn three(precision: Precision, window: Window, [n, i, h, w]: [usize; 4], outputs: usize) -> [Case; 3] {
    let Window { kernel, stride, .. } = window;
    let src_shape = Shape::nchw(n, i, h, w);
    let weight_shape = Shape::new(&[outputs, i, kernel, kernel]);
    let dst_shape = Shape::nchw(n, outputs, window.output(h), window.output(w));
    let geometry = format!("{kernel}x{kernel}/{stride} {src_shape} -> {dst_shape}");
    let mut inputs = Inputs::new(&geometry, precision.dtype);
    let src_values = inputs.activation(src_shape);
    let ddst_values = inputs.activation(dst_shape);
    // As in Kaiming's initialisation, results have a deviation near 1. The provider rounds the
    // weights, so they are not rounded here.
    let deviation = ((i * kernel * kernel) as f32).sqrt().recip();
    let weight_values = inputs.plain(weight_shape.elements(), 0.0, deviation);

    let mut forward = Case::new(format!("Conv {geometry}"));
    let src = forward.input("src", Kind::Activation, src_shape, src_values.clone());
    let weight = forward.input("weight", Kind::Parameter, weight_shape, weight_values.clone());
    let dst = forward.output("dst", Kind::Activation, dst_shape, precision.activation());
    forward.push(Conv { window, src, weight, dst });

    let mut backward_data = Case::new(format!("ConvBackwardData {geometry}"));
    let weight = backward_data.input("weight", Kind::Parameter, weight_shape, weight_values);
    let ddst = backward_data.input("ddst", Kind::Activation, dst_shape, ddst_values.clone());
    let dsrc = backward_data.output("dsrc", Kind::Activation, src_shape, precision.source_gradient());
    backward_data.push(ConvBackwardData { window, weight, ddst, dsrc });

    let mut backward_weight = Case::new(format!("ConvBackwardWeight {geometry}"));
    let src = backward_weight.input("src", Kind::Activation, src_shape, src_values);
    let ddst = backward_weight.input("ddst", Kind::Activation, dst_shape, ddst_values);
    let dweight = backward_weight.output("dweight", Kind::Parameter, weight_shape, precision.weight_gradient());
    backward_weight.push(ConvBackwardWeight { window, src, ddst, dweight });

    [forward, backward_data, backward_weight]
}
