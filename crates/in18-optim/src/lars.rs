//! Layer-wise adaptive rates.

use in18_kernels::op;
use in18_program::{Entry, PARAMETERS, ParameterTable, Role, Update, UpdateOperand};
use in18_recipe::Optimizer;

use crate::sgd::{Group, VELOCITY, grouped};

/// LARS as MLPerf's reference for ResNet has it ([`op::Lars`]): each weight of a convolution or of
/// the classifier has a rate of its own. Batch normalisation's gamma and beta and the classifier's
/// bias have the schedule's rate and no penalty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lars {
    /// The L2 penalty of weights.
    pub weight_decay: f32,
    /// The trust coefficient.
    pub trust: f32,
    /// Whether steps are taken from where velocities lead ([`op::Lars::nesterov`]).
    pub nesterov: bool,
}

/// As a recipe describes it. Momentum is a number of each step.
impl From<&Optimizer> for Lars {
    fn from(optimizer: &Optimizer) -> Self {
        let &Optimizer { weight_decay, trust, nesterov, .. } = optimizer;
        Lars { weight_decay: weight_decay as f32, trust: trust as f32, nesterov }
    }
}

impl Lars {
    /// The update of a network's parameters: an operation for each weight, and one for each row of
    /// neighbours that are not adapted.
    pub fn update(&self, parameters: &ParameterTable) -> Update {
        let is_adapted = |entry: &Entry| entry.role == Role::Weight;
        let key = |entry: &Entry| is_adapted(entry).then_some(entry.offset);
        let operation = |Group { offset, bytes, key }: Group<Option<usize>>| {
            let (weight_decay, trust) = if key.is_some() { (self.weight_decay, self.trust) } else { (0.0, 0.0) };
            let slot = |slot| UpdateOperand::Slot { slot, offset, bytes };
            op::Lars {
                weight_decay,
                trust,
                nesterov: self.nesterov,
                scalars: UpdateOperand::Scalars,
                gradient: UpdateOperand::Gradients { offset, bytes },
                parameter: slot(PARAMETERS),
                velocity: slot(VELOCITY),
            }
            .into()
        };
        Update { ops: grouped(parameters, key).into_iter().map(operation).collect() }
    }
}

#[cfg(test)]
mod tests {
    use in18_program::{Arch, Op};

    use super::*;

    #[test]
    fn each_weight_is_adapted_alone_and_the_rest_is_neither_adapted_nor_decayed() {
        let table = ParameterTable::parameters(&Arch::RESNET18.network(10));
        let update = Lars { weight_decay: 1e-4, trust: 1e-3, nesterov: false }.update(&table);
        for entry in table.entries() {
            let own = entry.offset..entry.offset + entry.bytes();
            let holding: Vec<_> = update
                .ops
                .iter()
                .filter_map(|op| {
                    let Op::Lars(op) = op else { panic!("{}", op.name()) };
                    let UpdateOperand::Slot { slot, offset, bytes } = op.parameter else {
                        panic!("{:?}", op.parameter)
                    };
                    assert_eq!(slot, PARAMETERS);
                    assert_eq!(op.velocity, UpdateOperand::Slot { slot: VELOCITY, offset, bytes });
                    assert_eq!(op.gradient, UpdateOperand::Gradients { offset, bytes });
                    (offset < own.end && own.start < offset + bytes).then_some((op, offset..offset + bytes))
                })
                .collect();
            let [(op, range)] = &holding[..] else { panic!("{}", entry.name) };
            if entry.role == Role::Weight {
                assert_eq!((range, op.weight_decay, op.trust), (&own, 1e-4, 1e-3), "{}", entry.name);
            } else {
                assert_eq!((op.weight_decay, op.trust), (0.0, 0.0), "{}", entry.name);
                assert!(range.start <= own.start && own.end <= range.end, "{}", entry.name);
            }
        }
    }
}
