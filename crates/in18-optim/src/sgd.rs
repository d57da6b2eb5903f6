//! Stochastic gradient descent with momentum.

use in18_kernels::op;
use in18_program::{Entry, Layout, PARAMETERS, ParameterTable, Role, Slot, Update, UpdateOperand};
use in18_recipe::Optimizer;

/// The velocities of momentum, laid out by the table of parameters. PyTorch's SGD calls them
/// momentum buffers.
pub const VELOCITY: Slot = Slot { name: "velocity", layout: Layout::Parameters, prefix: "momentum_buffer." };

/// PyTorch's SGD with momentum over all parameters of a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// The L2 penalty.
    pub weight_decay: f32,
    /// Whether batch normalisation's gamma and beta go without the penalty.
    pub no_bn_wd: bool,
    /// Whether the classifier's bias goes without the penalty.
    pub no_bias_wd: bool,
    /// Whether the penalty leaves gradients and velocities alone ([`op::Sgd::decoupled`]).
    pub decoupled: bool,
    /// Whether steps are taken from where velocities lead ([`op::Sgd::nesterov`]).
    pub nesterov: bool,
}

/// Neighbouring parameters that are treated alike, with the padding between them. The padding is
/// zeros, and stays zeros.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group<K> {
    pub offset: usize,
    pub bytes: usize,
    /// What parameters that are treated alike have in common.
    pub key: K,
}

/// All parameters, where neighbours with equal keys are one group.
pub(crate) fn grouped<K: PartialEq>(parameters: &ParameterTable, key: impl Fn(&Entry) -> K) -> Vec<Group<K>> {
    let mut groups: Vec<Group<K>> = Vec::new();
    for entry in parameters.entries() {
        let (offset, bytes, key) = (entry.offset, entry.bytes(), key(entry));
        match groups.last_mut() {
            Some(last) if last.key == key => last.bytes = offset + bytes - last.offset,
            _ => groups.push(Group { offset, bytes, key }),
        }
    }
    groups
}

/// As a recipe describes it. Momentum is a number of each step.
impl From<&Optimizer> for Sgd {
    fn from(optimizer: &Optimizer) -> Self {
        let &Optimizer { weight_decay, no_bn_wd, no_bias_wd, decoupled, nesterov, .. } = optimizer;
        Sgd { weight_decay: weight_decay as f32, no_bn_wd, no_bias_wd, decoupled, nesterov }
    }
}

impl Sgd {
    /// With this L2 penalty on all parameters.
    pub const fn new(weight_decay: f32) -> Self {
        Sgd { weight_decay, no_bn_wd: false, no_bias_wd: false, decoupled: false, nesterov: false }
    }

    /// The update of a network's parameters. Groups of one penalty come one after another, so that
    /// a provider may run them together.
    pub fn update(&self, parameters: &ParameterTable) -> Update {
        let mut groups = grouped(parameters, |entry| self.penalty(entry));
        groups.sort_by(|a, b| b.key.total_cmp(&a.key));
        let operation = |Group { offset, bytes, key: weight_decay }| {
            let slot = |slot| UpdateOperand::Slot { slot, offset, bytes };
            op::Sgd {
                weight_decay,
                decoupled: self.decoupled,
                nesterov: self.nesterov,
                scalars: UpdateOperand::Scalars,
                gradient: UpdateOperand::Gradients { offset, bytes },
                parameter: slot(PARAMETERS),
                velocity: slot(VELOCITY),
            }
            .into()
        };
        Update { ops: groups.into_iter().map(operation).collect() }
    }

    fn penalty(&self, entry: &Entry) -> f32 {
        let is_free = self.no_bn_wd && entry.role.is_batch_norm() || self.no_bias_wd && entry.role == Role::Bias;
        if is_free { 0.0 } else { self.weight_decay }
    }
}

#[cfg(test)]
mod tests {
    use in18_program::{Arch, Op};

    use super::*;

    fn updates(no_bn_wd: bool) -> (ParameterTable, Vec<op::Sgd<UpdateOperand>>) {
        let table = ParameterTable::parameters(&Arch::RESNET18.network(10));
        let update = Sgd { no_bn_wd, ..Sgd::new(1e-4) }.update(&table);
        assert!(update.slots().all(|slot| [PARAMETERS, VELOCITY].contains(&slot)));
        let ops = update.ops.iter().map(|op| if let Op::Sgd(op) = op { *op } else { panic!("{}", op.name()) });
        (table, ops.collect())
    }

    fn range(operand: UpdateOperand) -> std::ops::Range<usize> {
        match operand {
            UpdateOperand::Slot { offset, bytes, .. } | UpdateOperand::Gradients { offset, bytes } => {
                offset..offset + bytes
            }
            _ => panic!("numbers have no range"),
        }
    }

    #[test]
    fn a_bias_may_go_without_the_penalty() {
        let table = ParameterTable::parameters(&Arch::RESNET18.network(10));
        let update = Sgd { no_bias_wd: true, ..Sgd::new(1e-4) }.update(&table);
        let bias = table.get("fc.bias").unwrap();
        for op in &update.ops {
            let Op::Sgd(op) = op else { panic!("{}", op.name()) };
            let is_bias = range(op.parameter) == (bias.offset..bias.offset + bias.bytes());
            assert_eq!(op.weight_decay == 0.0, is_bias, "{:?}", op.parameter);
        }
        assert!(update.ops.len() > 1);
    }

    #[test]
    fn neighbours_with_one_penalty_are_one_update() {
        let (table, ops) = updates(false);
        assert_eq!(ops.len(), 1);
        assert_eq!((range(ops[0].parameter), ops[0].weight_decay), (0..table.bytes(), 1e-4));
    }

    #[test]
    fn each_parameter_has_its_penalty_once_and_its_operands_lie_alike() {
        let (table, ops) = updates(true);
        for entry in table.entries() {
            let own = entry.offset..entry.offset + entry.bytes();
            let holding: Vec<_> = ops
                .iter()
                .filter(|op| range(op.parameter).start < own.end && own.start < range(op.parameter).end)
                .collect();
            assert_eq!(holding.len(), 1, "{}", entry.name);
            let expected = if entry.name.contains("bn") || entry.name.contains("downsample.1") { 0.0 } else { 1e-4 };
            assert_eq!(holding[0].weight_decay, expected, "{}", entry.name);
        }
        for op in &ops {
            assert_eq!([range(op.velocity), range(op.gradient)], [range(op.parameter), range(op.parameter)]);
        }
        assert!(ops.is_sorted_by(|a, b| a.weight_decay >= b.weight_decay));
    }
}
