use in18_tensor::{DType, Shape};

use crate::conformance::inputs::Inputs;
use crate::conformance::{Case, Kind, Tolerance};
use crate::op::{SGD_SCALARS, Sgd};

/// Several ranges at once, with lengths that fill no vector, and with and without weight decay and
/// momentum.
pub(super) fn cases() -> Vec<Case> {
    struct Group {
        name: &'static str,
        lengths: &'static [usize],
        rate: f32,
        momentum: f32,
        weight_decay: f32,
        gradient_scale: f32,
    }
    let groups = [
        Group {
            name: "all",
            lengths: &[4096, 1, 37],
            rate: 0.1,
            momentum: 0.9,
            weight_decay: 1e-4,
            gradient_scale: 1.0,
        },
        Group {
            name: "no weight decay",
            lengths: &[64, 100],
            rate: 0.4,
            momentum: 0.9,
            weight_decay: 0.0,
            gradient_scale: 0.0009765625,
        },
        Group {
            name: "no momentum",
            lengths: &[1000],
            rate: 0.01,
            momentum: 0.0,
            weight_decay: 0.5,
            gradient_scale: 0.25,
        },
        Group { name: "no rate", lengths: &[33], rate: 0.0, momentum: 0.9, weight_decay: 0.5, gradient_scale: 1.0 },
        Group {
            name: "several threads' worth",
            lengths: &[300_001],
            rate: 0.1,
            momentum: 0.9,
            weight_decay: 1e-2,
            gradient_scale: 1.0 / 3.0,
        },
    ];
    let cases = groups.map(|group| {
        let mut case = Case::new(format!("sgd {}", group.name));
        let mut inputs = Inputs::new(case.name(), DType::F32);
        let scalars = vec![group.rate, group.momentum, group.gradient_scale];
        let scalars = case.input("scalars", Kind::Scalars, Shape::new(&[SGD_SCALARS]), scalars);
        for &length in group.lengths {
            let shape = Shape::new(&[length]);
            let mut values = || inputs.plain(length, 0.0, 1.0);
            let parameter = case.updated("parameter", Kind::Parameter, shape, values(), Tolerance::SINGLE);
            let velocity = case.updated("velocity", Kind::Parameter, shape, values(), Tolerance::SINGLE);
            let gradient = case.consumed("gradient", Kind::Parameter, shape, values());
            case.push(Sgd { weight_decay: group.weight_decay, scalars, gradient, parameter, velocity });
        }
        case
    });
    cases.into()
}
