//! What survives a step, by name: parameters and batch normalisation's running statistics.
//!
//! Parameters lie one after another **in the order in which the backward pass finishes their
//! gradients** (last layer first), so that the gradients of any stretch of the backward pass are
//! one range of one arena. Parameters, their velocities and their gradients lie at the same offsets
//! of three arenas; statistics have an arena of their own.

use std::collections::HashMap;

use in18_tensor::{ALIGNMENT, Shape};

use crate::layers::{Layer, Parameter};
use crate::network::{Network, Node};

/// The kind of a parameter or statistic, for rules that treat kinds differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// A convolution's (O, I, K, K), the classifier's (K, C).
    Weight,
    /// The classifier's (K).
    Bias,
    /// Batch normalisation's gamma, (C).
    Gamma,
    /// Batch normalisation's beta, (C).
    Beta,
    /// A statistic of batch normalisation: the running mean, (C).
    RunningMean,
    /// A statistic of batch normalisation: the running variance, (C).
    RunningVariance,
}

impl Role {
    /// Whether it belongs to a batch normalisation.
    pub fn is_batch_norm(self) -> bool {
        matches!(self, Role::Gamma | Role::Beta | Role::RunningMean | Role::RunningVariance)
    }
}

/// One parameter or statistic.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Torchvision's name, such as `layer1.0.conv1.weight`.
    pub name: String,
    /// Torchvision's shape.
    pub shape: Shape,
    /// What it is.
    pub role: Role,
    /// First byte in its arena; a multiple of [`ALIGNMENT`].
    pub offset: usize,
}

impl Entry {
    /// Length in bytes: fp32.
    pub fn bytes(&self) -> usize {
        self.shape.elements() * size_of::<f32>()
    }
}

/// Names, shapes and places of all entries of one kind of arena.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ParameterTable {
    entries: Vec<Entry>,
    by_name: HashMap<String, usize>,
    bytes: usize,
}

impl ParameterTable {
    /// The trainable parameters of a network, in the order in which the backward pass finishes
    /// their gradients.
    pub fn parameters(network: &Network) -> Self {
        Self::of(network.nodes().iter().rev(), |layer| layer.parameters())
    }

    /// The running statistics of a network.
    pub fn statistics(network: &Network) -> Self {
        Self::of(network.nodes().iter(), |layer| layer.statistics())
    }

    fn of<'a>(nodes: impl Iterator<Item = &'a Node>, parameters: fn(&dyn Layer) -> Vec<Parameter>) -> Self {
        let mut table = ParameterTable::default();
        for node in nodes {
            for Parameter { name, shape, role } in parameters(&*node.layer) {
                table.push(node.parameter_name(name), shape, role);
            }
        }
        table
    }

    /// The entries in the order of their offsets.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// An entry by its name.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.by_name.get(name).map(|&index| &self.entries[index])
    }

    /// Length of the arena.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many numbers there are.
    pub fn elements(&self) -> usize {
        self.entries.iter().map(|entry| entry.shape.elements()).sum()
    }

    fn push(&mut self, name: String, shape: Shape, role: Role) {
        let offset = self.bytes.next_multiple_of(ALIGNMENT);
        self.bytes = offset + shape.elements() * size_of::<f32>();
        self.by_name.insert(name.clone(), self.entries.len());
        self.entries.push(Entry { name, shape, role, offset });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Arch;

    #[test]
    fn parameter_counts_are_torchvisions() {
        // torchvision.models: sum(p.numel() for p in model.parameters()), 1000 classes.
        for (arch, count) in [
            (Arch::RESNET18, 11_689_512),
            (Arch::RESNET34, 21_797_672),
            (Arch::RESNET50, 25_557_032),
            (Arch::RESNET101, 44_549_160),
            (Arch::RESNET152, 60_192_808),
        ] {
            assert_eq!(ParameterTable::parameters(&arch.network(1000)).elements(), count, "{arch}");
        }
    }

    #[test]
    fn parameter_counts_of_resnet_d_are_timms() {
        // timm 1.0.31's `create_model`, counted as above.
        for (arch, count) in [
            (Arch::RESNET18, 11_708_744),
            (Arch::RESNET34, 21_816_904),
            (Arch::RESNET50, 25_576_264),
            (Arch::RESNET101, 44_568_392),
            (Arch::RESNET152, 60_212_040),
        ] {
            let arch = arch.as_d();
            assert_eq!(ParameterTable::parameters(&arch.network(1000)).elements(), count, "{arch}");
        }
    }

    #[test]
    fn the_classifier_comes_first_and_the_stem_last() {
        let table = ParameterTable::parameters(&Arch::RESNET50.network(10));
        assert_eq!(table.entries().first().unwrap().name, "fc.weight");
        assert_eq!(table.entries().last().unwrap().name, "conv1.weight");
        assert_eq!(table.entries().len(), 161);
        assert!(table.entries().iter().all(|entry| entry.offset.is_multiple_of(ALIGNMENT)));
    }

    #[test]
    fn names_and_shapes_are_torchvisions() {
        let table = ParameterTable::parameters(&Arch::RESNET50.network(10));
        for (name, shape) in [
            ("conv1.weight", &[64, 3, 7, 7][..]),
            ("layer1.0.downsample.0.weight", &[256, 64, 1, 1]),
            ("layer2.0.conv2.weight", &[128, 128, 3, 3]),
            ("layer4.2.bn3.bias", &[2048]),
            ("fc.weight", &[10, 2048]),
        ] {
            assert_eq!(table.get(name).unwrap().shape.extents(), shape, "{name}");
        }
        let statistics = ParameterTable::statistics(&Arch::RESNET18.network(10));
        assert_eq!(statistics.get("layer3.0.downsample.1.running_var").unwrap().shape.extents(), [256]);
    }
}
