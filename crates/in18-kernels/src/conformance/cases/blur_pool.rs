use in18_tensor::Shape;

use crate::conformance::inputs::Inputs;
use crate::conformance::{Case, Kind, Precision};
use crate::op::{BlurPool, BlurPoolBackward, blur_window};

/// Even, odd and mixed extents, single rows, columns and pixels, and channels that fill no vector.
const SHAPES: &[[usize; 4]] = &[
    [2, 16, 8, 8],
    [1, 64, 15, 11],
    [5, 24, 7, 7],
    [1, 16, 2, 3],
    [2, 3, 6, 9],
    [1, 32, 1, 1],
    [3, 5, 1, 1],
    [2, 20, 1, 6],
    [2, 17, 5, 1],
    [1, 16, 3, 2],
    [2, 256, 4, 2],
    // Results of more than 1 MiB, which providers may store past the caches.
    [2, 16, 131, 129],
];

pub(super) fn cases(precision: Precision) -> Vec<Case> {
    let mut cases = Vec::new();
    for &[n, c, h, w] in SHAPES {
        for stride in [1, 2] {
            let window = blur_window(stride);
            let (src, dst) = (Shape::nchw(n, c, h, w), Shape::nchw(n, c, window.output(h), window.output(w)));
            cases.push(forward(precision, stride, src, dst));
            cases.push(backward(precision, stride, src, dst));
        }
    }
    cases
}

fn forward(precision: Precision, stride: usize, src_shape: Shape, dst_shape: Shape) -> Case {
    let mut case = Case::new(format!("BlurPool /{stride} {src_shape}"));
    let mut inputs = Inputs::new(case.name(), precision.dtype);
    let src = case.input("src", Kind::Activation, src_shape, inputs.activation(src_shape));
    let dst = case.output("dst", Kind::Activation, dst_shape, precision.activation());
    case.push(BlurPool { stride, src, dst });
    case
}

fn backward(precision: Precision, stride: usize, src_shape: Shape, dst_shape: Shape) -> Case {
    let mut case = Case::new(format!("BlurPoolBackward /{stride} {src_shape}"));
    let mut inputs = Inputs::new(case.name(), precision.dtype);
    let ddst = case.input("ddst", Kind::Activation, dst_shape, inputs.activation(dst_shape));
    let dsrc = case.output("dsrc", Kind::Activation, src_shape, precision.activation());
    case.push(BlurPoolBackward { stride, ddst, dsrc });
    case
}
