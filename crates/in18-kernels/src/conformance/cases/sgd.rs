use in18_tensor::{DType, Shape};

use crate::conformance::inputs::Inputs;
use crate::conformance::{Case, Kind, Tolerance};
use crate::op::{SGD_SCALARS, Sgd};

/// Several ranges at once, with lengths that fill no vector, and each kind of rule.
pub(super) fn cases() -> Vec<Case> {
    #[derive(Clone, Copy)]
    struct Group {
        name: &'static str,
        lengths: &'static [usize],
        /// Rate, momentum, gradient scale, decay.
        scalars: [f32; SGD_SCALARS],
        weight_decay: f32,
        decoupled: bool,
        nesterov: bool,
    }
    let all = Group {
        name: "all",
        lengths: &[4096, 1, 37],
        scalars: [0.1, 0.9, 1.0, 1.0],
        weight_decay: 1e-4,
        decoupled: false,
        nesterov: false,
    };
    let no_decay = Group { lengths: &[64, 100], scalars: [0.4, 0.9, 0.000_976_562_5, 0.5], weight_decay: 0.0, ..all };
    let no_momentum = Group { lengths: &[1000], scalars: [0.01, 0.0, 0.25, 0.5], weight_decay: 0.5, ..all };
    let decoupled = Group { scalars: [0.1, 0.9, 0.5, 0.75], weight_decay: 0.125, decoupled: true, ..all };
    let groups = [
        all,
        Group { name: "no weight decay", ..no_decay },
        Group { name: "no momentum", ..no_momentum },
        Group { name: "no rate", lengths: &[33], scalars: [0.0, 0.9, 1.0, 0.0], weight_decay: 0.5, ..all },
        Group {
            name: "several threads' worth",
            lengths: &[300_001],
            scalars: [0.1, 0.9, 1.0 / 3.0, 1.0],
            weight_decay: 1e-2,
            ..all
        },
        Group { name: "nesterov", weight_decay: 0.125, nesterov: true, ..all },
        Group { name: "nesterov, no momentum", nesterov: true, ..no_momentum },
        Group { name: "decoupled", ..decoupled },
        Group { name: "decoupled, no momentum", decoupled: true, ..no_momentum },
        Group { name: "decoupled, nesterov", nesterov: true, ..decoupled },
    ];
    let cases = groups.map(|group| {
        let mut case = Case::new(format!("sgd {}", group.name));
        let mut inputs = Inputs::new(case.name(), DType::F32);
        let scalars = case.input("scalars", Kind::Scalars, Shape::new(&[SGD_SCALARS]), group.scalars.to_vec());
        for &length in group.lengths {
            let shape = Shape::new(&[length]);
            let mut values = || inputs.plain(length, 0.0, 1.0);
            let parameter = case.updated("parameter", Kind::Parameter, shape, values(), Tolerance::SINGLE);
            let velocity = case.updated("velocity", Kind::Parameter, shape, values(), Tolerance::SINGLE);
            let gradient = case.consumed("gradient", Kind::Parameter, shape, values());
            let Group { weight_decay, decoupled, nesterov, .. } = group;
            case.push(Sgd { weight_decay, decoupled, nesterov, scalars, gradient, parameter, velocity });
        }
        case
    });
    cases.into()
}
