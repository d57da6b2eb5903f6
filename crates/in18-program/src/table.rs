//! What survives a step, by name: parameters and batch normalisation's running statistics.
//!
//! Parameters lie one after another **in the order in which the backward pass finishes their gradients** (last layer
//! first), so that the gradients of any stretch of the backward pass are one range of one arena. Parameters, their
//! velocities and their gradients lie at the same offsets of three arenas; statistics have an arena of their own.

use std::collections::HashMap;

use in18_tensor::{ALIGNMENT, Shape};

use crate::network::{Layer, LayerKind, Network};

/// What a parameter or statistic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// A convolution's (O, I, K, K).
    ConvWeight,
    /// Batch normalisation's gamma, (C); `ends_residual` as in [`LayerKind::BatchNorm`].
    Gamma {
        /// Whether it is the last of a residual block.
        ends_residual: bool,
    },
    /// Batch normalisation's beta, (C).
    Beta,
    /// The classifier's (K, C).
    LinearWeight,
    /// The classifier's (K).
    LinearBias {
        /// The classifier's features, C.
        inputs: usize,
    },
    /// A statistic: the running mean, (C).
    RunningMean,
    /// A statistic: the running variance, (C).
    RunningVariance,
}

impl Role {
    /// Whether it belongs to a batch normalisation.
    pub fn is_batch_norm(self) -> bool {
        !matches!(self, Role::ConvWeight | Role::LinearWeight | Role::LinearBias { .. })
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

/// Names, shapes and places of everything in one kind of arena.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ParameterTable {
    entries: Vec<Entry>,
    by_name: HashMap<String, usize>,
    bytes: usize,
}

impl ParameterTable {
    /// The trainable parameters of a network, in the order in which the backward pass finishes their gradients.
    pub fn parameters(network: &Network) -> Self {
        let mut table = ParameterTable::default();
        for Layer { name, kind, .. } in network.layers().iter().rev() {
            match *kind {
                LayerKind::Conv { window: w, inputs, outputs } => {
                    let shape = Shape::new(&[outputs, inputs, w.kernel, w.kernel]);
                    table.push(format!("{name}.weight"), shape, Role::ConvWeight);
                }
                LayerKind::BatchNorm { channels, ends_residual, .. } => {
                    let shape = Shape::new(&[channels]);
                    table.push(format!("{name}.weight"), shape, Role::Gamma { ends_residual });
                    table.push(format!("{name}.bias"), shape, Role::Beta);
                }
                LayerKind::Linear { inputs, outputs } => {
                    table.push(format!("{name}.weight"), Shape::new(&[outputs, inputs]), Role::LinearWeight);
                    table.push(format!("{name}.bias"), Shape::new(&[outputs]), Role::LinearBias { inputs });
                }
                LayerKind::Input | LayerKind::AddRelu | LayerKind::MaxPool { .. } | LayerKind::GlobalAvgPool => {}
            }
        }
        table
    }

    /// The running statistics of a network.
    pub fn statistics(network: &Network) -> Self {
        let mut table = ParameterTable::default();
        for Layer { name, kind, .. } in network.layers() {
            if let LayerKind::BatchNorm { channels, .. } = *kind {
                let shape = Shape::new(&[channels]);
                table.push(format!("{name}.running_mean"), shape, Role::RunningMean);
                table.push(format!("{name}.running_var"), shape, Role::RunningVariance);
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
            (Arch::Resnet18, 11_689_512),
            (Arch::Resnet34, 21_797_672),
            (Arch::Resnet50, 25_557_032),
            (Arch::Resnet101, 44_549_160),
            (Arch::Resnet152, 60_192_808),
        ] {
            assert_eq!(ParameterTable::parameters(&arch.network(1000)).elements(), count, "{arch}");
        }
    }

    #[test]
    fn the_classifier_comes_first_and_the_stem_last() {
        let table = ParameterTable::parameters(&Arch::Resnet50.network(10));
        assert_eq!(table.entries().first().unwrap().name, "fc.weight");
        assert_eq!(table.entries().last().unwrap().name, "conv1.weight");
        assert_eq!(table.entries().len(), 161);
        assert!(table.entries().iter().all(|entry| entry.offset.is_multiple_of(ALIGNMENT)));
    }

    #[test]
    fn names_and_shapes_are_torchvisions() {
        let table = ParameterTable::parameters(&Arch::Resnet50.network(10));
        for (name, shape) in [
            ("conv1.weight", &[64, 3, 7, 7][..]),
            ("layer1.0.downsample.0.weight", &[256, 64, 1, 1]),
            ("layer2.0.conv2.weight", &[128, 128, 3, 3]),
            ("layer4.2.bn3.bias", &[2048]),
            ("fc.weight", &[10, 2048]),
        ] {
            assert_eq!(table.get(name).unwrap().shape.extents(), shape, "{name}");
        }
        let statistics = ParameterTable::statistics(&Arch::Resnet18.network(10));
        assert_eq!(statistics.get("layer3.0.downsample.1.running_var").unwrap().shape.extents(), [256]);
    }
}
