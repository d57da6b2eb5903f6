use in18_tensor::{DType, Shape};

use crate::conformance::inputs::Inputs;
use crate::conformance::{Case, Kind, Tolerance};
use crate::op::{Lars, SGD_SCALARS};

/// Lengths that fill no vector and several threads' worth, each kind of rule, and norms of 0.
pub(super) fn cases() -> Vec<Case> {
    struct Group {
        name: &'static str,
        length: usize,
        /// Rate, momentum, gradient scale, decay.
        scalars: [f32; SGD_SCALARS],
        weight_decay: f32,
        trust: f32,
        nesterov: bool,
        /// What parameters and gradients of deviation 1 are multiplied with.
        sizes: [f32; 2],
    }
    let all = Group {
        name: "all",
        length: 4133,
        scalars: [0.5, 0.9, 1.0, 1.0],
        weight_decay: 0.125,
        trust: 0.25,
        nesterov: false,
        sizes: [1.0, 1.0],
    };
    let groups = [
        Group { name: "one", length: 1, ..all },
        Group { name: "nesterov", nesterov: true, ..all },
        Group { name: "no weight decay", weight_decay: 0.0, ..all },
        Group { name: "no momentum", scalars: [0.5, 0.0, 1.0, 1.0], ..all },
        Group { name: "no adaptation", trust: 0.0, ..all },
        Group { name: "scaled gradients", scalars: [0.5, 0.9, 1.0 / 1024.0, 0.25], sizes: [1.0, 1024.0], ..all },
        Group { name: "several threads' worth", length: 300_001, trust: 1e-3, scalars: [20.0, 0.9, 1.0, 1.0], ..all },
        Group { name: "parameters of zero", sizes: [0.0, 1.0], ..all },
        Group { name: "gradients of zero", sizes: [1.0, 0.0], ..all },
        all,
    ];
    let cases = groups.map(|group| {
        let Group { weight_decay, trust, nesterov, sizes, .. } = group;
        let mut case = Case::new(format!("lars {}", group.name));
        let mut inputs = Inputs::new(case.name(), DType::F32);
        let shape = Shape::new(&[group.length]);
        let mut values = |size: f32| -> Vec<f32> {
            inputs.plain(group.length, 0.0, 1.0).into_iter().map(|value| size * value).collect()
        };
        let scalars = case.input("scalars", Kind::Scalars, Shape::new(&[SGD_SCALARS]), group.scalars.to_vec());
        let parameter = case.updated("parameter", Kind::Parameter, shape, values(sizes[0]), Tolerance::SINGLE);
        let velocity = case.updated("velocity", Kind::Parameter, shape, values(1.0), Tolerance::SINGLE);
        let gradient = case.consumed("gradient", Kind::Parameter, shape, values(sizes[1]));
        case.push(Lars { weight_decay, trust, nesterov, scalars, gradient, parameter, velocity });
        case
    });
    cases.into()
}
