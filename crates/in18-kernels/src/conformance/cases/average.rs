use in18_tensor::{DType, Shape};

use crate::conformance::inputs::Inputs;
use crate::conformance::{Case, Kind, Tolerance};
use crate::op::Average;

/// Lengths that fill no vector, several threads' worth, and both ends of what may be kept.
pub(super) fn cases() -> Vec<Case> {
    let case = |&(length, kept): &(usize, f32)| {
        let mut case = Case::new(format!("average of {length}, {kept} kept"));
        let mut inputs = Inputs::new(case.name(), DType::F32);
        let shape = Shape::new(&[length]);
        let kept = case.input("kept", Kind::Parameter, Shape::new(&[1]), vec![kept]);
        let value = case.input("value", Kind::Parameter, shape, inputs.plain(length, 0.0, 1.0));
        let before = inputs.plain(length, 0.0, 1.0);
        let average = case.updated("average", Kind::Parameter, shape, before, Tolerance::SINGLE);
        case.push(Average { kept, value, average });
        case
    };
    [(1, 0.5), (37, 0.999), (300_001, 0.25), (4096, 0.0), (100, 1.0)].iter().map(case).collect()
}
