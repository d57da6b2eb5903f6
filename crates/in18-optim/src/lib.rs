//! The optimizer: which parameters are updated how. It turns its rule into operations over a
//! model's state, and names the slots that it wants. The kernel provider does the arithmetic
//! ([`Sgd`](in18_kernels::op::Sgd), [`Lars`](in18_kernels::op::Lars)). The schedule brings what
//! changes from step to step, such as the learning rate.
#![forbid(unsafe_code)]

mod clip;
mod lars;
mod sgd;

use in18_program::{ParameterTable, Update};
use in18_recipe::{Optimizer, OptimizerKind};

pub use lars::Lars;
pub use sgd::{Sgd, VELOCITY};

/// The update of a network's parameters that a recipe describes.
pub fn update(optimizer: &Optimizer, parameters: &ParameterTable) -> Update {
    let mut update = match optimizer.kind {
        OptimizerKind::Sgd => Sgd::from(optimizer).update(parameters),
        OptimizerKind::Lars => Lars::from(optimizer).update(parameters),
    };
    let max_norm = optimizer.clip_norm as f32;
    if max_norm > 0.0 {
        update.ops.insert(0, clip::clip(max_norm, parameters).into());
    }
    update
}

#[cfg(test)]
mod tests {
    use in18_program::{Arch, Op, UpdateOperand};

    use super::*;

    #[test]
    fn all_gradients_are_clipped_at_once_before_the_update() {
        let table = ParameterTable::parameters(&Arch::RESNET18.network(10));
        let optimizer = Optimizer { clip_norm: 2.5, no_bn_wd: true, ..Optimizer::default() };
        let plain = update(&Optimizer { clip_norm: 0.0, ..optimizer.clone() }, &table);
        let clipped = update(&optimizer, &table);
        let Op::ClipGradients(clip) = clipped.ops[0] else { panic!("{}", clipped.ops[0].name()) };
        assert_eq!((clip.max_norm, clip.scalars), (2.5, UpdateOperand::Scalars));
        assert_eq!(clip.gradient, UpdateOperand::Gradients { offset: 0, bytes: table.bytes() });
        assert_eq!(clipped.ops[1..], plain.ops);
        assert!(plain.ops.iter().all(|op| matches!(op, Op::Sgd(_))));
    }
}
