use in18_tensor::Shape;

use crate::conformance::inputs::Inputs;
use crate::conformance::{Case, Kind, Precision};
use crate::op::{AvgPool, AvgPoolBackward, avg_pool_output};

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
    // Results of more than 1 MiB in both halves in fp32, which providers may store past the caches.
    [2, 32, 129, 131],
];

pub(super) fn cases(precision: Precision) -> Vec<Case> {
    let shapes = SHAPES
        .iter()
        .map(|&[n, c, h, w]| (Shape::nchw(n, c, h, w), Shape::nchw(n, c, avg_pool_output(h), avg_pool_output(w))));
    shapes.flat_map(|(src, dst)| [forward(precision, src, dst), backward(precision, src, dst)]).collect()
}

fn forward(precision: Precision, src_shape: Shape, dst_shape: Shape) -> Case {
    let mut case = Case::new(format!("AvgPool {src_shape}"));
    let mut inputs = Inputs::new(case.name(), precision.dtype);
    let src = case.input("src", Kind::Activation, src_shape, inputs.activation(src_shape));
    let dst = case.output("dst", Kind::Activation, dst_shape, precision.activation());
    case.push(AvgPool { src, dst });
    case
}

fn backward(precision: Precision, src_shape: Shape, dst_shape: Shape) -> Case {
    let mut case = Case::new(format!("AvgPoolBackward {src_shape}"));
    let mut inputs = Inputs::new(case.name(), precision.dtype);
    let ddst = case.input("ddst", Kind::Activation, dst_shape, inputs.activation(dst_shape));
    let dsrc = case.output("dsrc", Kind::Activation, src_shape, precision.activation());
    case.push(AvgPoolBackward { ddst, dsrc });
    case
}
