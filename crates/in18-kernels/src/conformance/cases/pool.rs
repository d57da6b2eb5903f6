use in18_tensor::Shape;

use crate::conformance::inputs::Inputs;
use crate::conformance::{Case, Kind, Precision, Tolerance};
use crate::op::{GlobalAvgPool, GlobalAvgPoolBackward, MaxPool, MaxPoolBackward, Window};

/// The pooling after a ResNet's stem.
const WINDOW: Window = Window { kernel: 3, stride: 2, padding: 1 };

const SHAPES: &[[usize; 4]] =
    &[[2, 16, 8, 8], [1, 64, 15, 11], [5, 24, 7, 7], [1, 16, 2, 3], [2, 3, 6, 9], [1, 32, 1, 1], [2, 256, 4, 2]];

pub(super) fn cases(precision: Precision) -> Vec<Case> {
    let mut cases = Vec::new();
    for &[n, c, h, w] in SHAPES {
        let shape = Shape::nchw(n, c, h, w);
        for values in [Values::Distinct, Values::Negative, Values::Ties] {
            cases.push(max_pool(precision, shape, values));
        }
        cases.push(global_avg_pool(precision, shape));
        cases.push(global_avg_pool_backward(precision, shape));
    }
    cases
}

/// What is pooled.
#[derive(Clone, Copy, Debug)]
enum Values {
    /// Each window has one maximum.
    Distinct,
    /// Each window has one maximum, below zero. Zeros in the padding would win.
    Negative,
    /// Values as a ReLU leaves them. Many windows have several maxima, of which the first gets the
    /// gradient.
    Ties,
}

/// Both halves in one program: only the provider can read its workspace.
fn max_pool(precision: Precision, shape: Shape, values: Values) -> Case {
    let mut case = Case::new(format!("MaxPool and MaxPoolBackward {shape} {values:?}"));
    let mut inputs = Inputs::new(case.name(), precision.dtype);
    let dst_shape = Shape::nchw(shape[0], shape[1], WINDOW.output(shape[2]), WINDOW.output(shape[3]));
    let src = match values {
        Values::Distinct => inputs.distinct(shape, false),
        Values::Negative => inputs.distinct(shape, true),
        Values::Ties => inputs.with_ties(shape),
    };
    let src = case.input("src", Kind::Activation, shape, src);
    let ddst = case.input("ddst", Kind::Activation, dst_shape, inputs.activation(dst_shape));
    let dst = case.output("dst", Kind::Activation, dst_shape, Tolerance::EXACT);
    let workspace = case.workspace(Kind::MaxPoolWorkspace, dst_shape);
    let dsrc = case.output("dsrc", Kind::Activation, shape, precision.short_sum());
    case.push(MaxPool { window: WINDOW, src, dst, workspace });
    case.push(MaxPoolBackward { window: WINDOW, ddst, workspace, dsrc });
    case
}

fn global_avg_pool(precision: Precision, shape: Shape) -> Case {
    let mut case = Case::new(format!("GlobalAvgPool {shape}"));
    let mut inputs = Inputs::new(case.name(), precision.dtype);
    let src = case.input("src", Kind::Activation, shape, inputs.activation(shape));
    let dst = case.output("dst", Kind::Parameter, Shape::new(&[shape[0], shape[1]]), Tolerance::SINGLE);
    case.push(GlobalAvgPool { src, dst });
    case
}

fn global_avg_pool_backward(precision: Precision, shape: Shape) -> Case {
    let mut case = Case::new(format!("GlobalAvgPoolBackward {shape}"));
    let mut inputs = Inputs::new(case.name(), precision.dtype);
    let means = Shape::new(&[shape[0], shape[1]]);
    let ddst = case.input("ddst", Kind::Parameter, means, inputs.plain(means.elements(), 0.0, 1.0));
    let dsrc = case.output("dsrc", Kind::Activation, shape, precision.activation());
    case.push(GlobalAvgPoolBackward { ddst, dsrc });
    case
}
