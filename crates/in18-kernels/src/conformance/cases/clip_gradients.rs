use in18_tensor::{DType, Shape};

use crate::conformance::inputs::Inputs;
use crate::conformance::{Case, Kind, Tolerance};
use crate::op::{ClipGradients, SGD_SCALARS};

/// Gradients that are too long and others that are not, with lengths that fill no vector and
/// several threads' worth, and gradients that are not finite.
pub(super) fn cases() -> Vec<Case> {
    struct Group {
        name: &'static str,
        length: usize,
        gradient_scale: f32,
        max_norm: f32,
        /// What gradients of deviation 1 are multiplied with.
        size: f32,
        /// Written over the gradient in the middle.
        middle: Option<f32>,
    }
    let all = Group { name: "all", length: 4133, gradient_scale: 1.0, max_norm: 1.0, size: 1.0, middle: None };
    let groups = [
        Group { name: "one", length: 1, max_norm: 1e-3, ..all },
        Group { name: "gradients that are short", max_norm: 1e3, ..all },
        Group { name: "scaled gradients", gradient_scale: 1.0 / 1024.0, max_norm: 0.03, ..all },
        Group { name: "scaled gradients that are short", gradient_scale: 1.0 / 1024.0, max_norm: 0.1, ..all },
        Group { name: "several threads' worth", length: 300_001, gradient_scale: 1.0 / 3.0, ..all },
        Group { name: "gradients of zero", size: 0.0, ..all },
        Group { name: "tiny gradients", size: 1e-9, max_norm: 1e-8, ..all },
        Group { name: "an infinity", middle: Some(f32::INFINITY), ..all },
        Group { name: "what is not a number", middle: Some(f32::NAN), ..all },
        all,
    ];
    let cases = groups.map(|group| {
        let mut case = Case::new(format!("clip {}", group.name));
        let mut inputs = Inputs::new(case.name(), DType::F32);
        let scalars = vec![0.1, 0.9, group.gradient_scale, 1.0];
        let scalars = case.input("scalars", Kind::Scalars, Shape::new(&[SGD_SCALARS]), scalars);
        let mut before = inputs.plain(group.length, 0.0, 1.0);
        before.iter_mut().for_each(|gradient| *gradient *= group.size);
        if let Some(middle) = group.middle {
            before[group.length / 2] = middle;
        }
        let shape = Shape::new(&[group.length]);
        let gradient = case.updated("gradient", Kind::Parameter, shape, before, Tolerance::SINGLE);
        case.push(ClipGradients { max_norm: group.max_norm, scalars, gradient });
        case
    });
    cases.into()
}
