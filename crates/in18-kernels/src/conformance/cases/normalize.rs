use in18_tensor::Shape;

use crate::conformance::inputs::Inputs;
use crate::conformance::{Case, Kind, Precision};
use crate::op::Normalize;

pub(super) fn cases(precision: Precision) -> Vec<Case> {
    let shapes = [[2, 3, 16, 16], [5, 3, 7, 9], [1, 3, 33, 20], [1, 3, 1, 1]];
    let cases = shapes.map(|[n, c, h, w]| {
        let shape = Shape::nchw(n, c, h, w);
        let mut case = Case::new(format!("Normalize {shape}"));
        let mut inputs = Inputs::new(case.name(), precision.dtype);
        let pixels = case.input("pixels", Kind::Pixels, shape, inputs.pixels(shape));
        let dst = case.output("dst", Kind::Activation, shape, precision.activation());
        case.push(Normalize { pixels, dst });
        case
    });
    cases.into()
}
