use in18_tensor::Shape;

use crate::conformance::inputs::Inputs;
use crate::conformance::{Case, Kind, Precision, Tolerance, ValueId};
use crate::op::{Add, AddRelu, ReluBackward, SumReluBackward};

const SHAPES: &[[usize; 4]] = &[[2, 16, 8, 8], [1, 24, 7, 5], [5, 3, 3, 1], [2, 512, 1, 1], [1, 64, 17, 12]];

/// Every operation with its output apart and over each of its inputs in turn.
pub(super) fn cases(precision: Precision) -> Vec<Case> {
    let mut cases = Vec::new();
    for &[n, c, h, w] in SHAPES {
        let shape = Shape::nchw(n, c, h, w);
        for over in [None, Some(0), Some(1)] {
            cases.push(add(precision, shape, over));
            cases.push(add_relu(precision, shape, over));
            cases.push(relu_backward(precision, shape, over));
        }
        for over in [None, Some(0), Some(1), Some(2)] {
            cases.push(sum_relu_backward(precision, shape, over));
        }
    }
    cases
}

fn add(precision: Precision, shape: Shape, over: Option<usize>) -> Case {
    let mut case = named("Add", shape, over, &["a", "b"]);
    let mut inputs = Inputs::new(case.name(), precision.dtype);
    let a = case.input("a", Kind::Activation, shape, inputs.activation(shape));
    let b = case.input("b", Kind::Activation, shape, inputs.activation(shape));
    let dst = result(&mut case, "dst", precision.activation(), over, &[a, b]);
    case.push(Add { a, b, dst });
    case
}

fn add_relu(precision: Precision, shape: Shape, over: Option<usize>) -> Case {
    let mut case = named("AddRelu", shape, over, &["a", "b"]);
    let mut inputs = Inputs::new(case.name(), precision.dtype);
    let a = case.input("a", Kind::Activation, shape, inputs.activation(shape));
    let b = case.input("b", Kind::Activation, shape, inputs.activation(shape));
    let dst = result(&mut case, "dst", precision.activation(), over, &[a, b]);
    case.push(AddRelu { a, b, dst });
    case
}

fn relu_backward(precision: Precision, shape: Shape, over: Option<usize>) -> Case {
    let mut case = named("ReluBackward", shape, over, &["dst", "ddst"]);
    let mut inputs = Inputs::new(case.name(), precision.dtype);
    let dst = case.input("dst", Kind::Activation, shape, after_relu(&mut inputs, shape));
    let ddst = case.input("ddst", Kind::Activation, shape, inputs.activation(shape));
    let dsrc = result(&mut case, "dsrc", Tolerance::EXACT, over, &[dst, ddst]);
    case.push(ReluBackward { dst, ddst, dsrc });
    case
}

fn sum_relu_backward(precision: Precision, shape: Shape, over: Option<usize>) -> Case {
    let mut case = named("SumReluBackward", shape, over, &["dst", "ddst_a", "ddst_b"]);
    let mut inputs = Inputs::new(case.name(), precision.dtype);
    let dst = case.input("dst", Kind::Activation, shape, after_relu(&mut inputs, shape));
    let ddst_a = case.input("ddst_a", Kind::Activation, shape, inputs.activation(shape));
    let ddst_b = case.input("ddst_b", Kind::Activation, shape, inputs.activation(shape));
    let dsrc = result(&mut case, "dsrc", precision.steps(), over, &[dst, ddst_a, ddst_b]);
    case.push(SumReluBackward { dst, ddst_a, ddst_b, dsrc });
    case
}

/// Positive values and zeros.
fn after_relu(inputs: &mut Inputs, shape: Shape) -> Vec<f32> {
    inputs.activation(shape).into_iter().map(|value| value.max(0.0)).collect()
}

fn named(op: &str, shape: Shape, over: Option<usize>, operands: &[&str]) -> Case {
    match over {
        Some(input) => Case::new(format!("{op} {shape} over {}", operands[input])),
        None => Case::new(format!("{op} {shape}")),
    }
}

fn result(
    case: &mut Case,
    name: &'static str,
    tolerance: Tolerance,
    over: Option<usize>,
    inputs: &[ValueId],
) -> ValueId {
    match over {
        Some(input) => case.output_over(name, inputs[input], tolerance),
        None => case.output(name, Kind::Activation, case.shape(inputs[0]), tolerance),
    }
}
