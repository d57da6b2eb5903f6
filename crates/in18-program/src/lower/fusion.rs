//! Which layers run as part of a later layer's operation. Each layer says which
//! ([`Layer::absorbs`]): in training the sum and the ReLU that end a residual block absorb the
//! normalisation before them; in an evaluation, where statistics are fixed, normalisations absorb
//! their convolutions, too.
//!
//! [`Layer::absorbs`]: crate::layers::Layer::absorbs

use crate::model::Mode;
use crate::network::{Network, Node, NodeId};

/// A network's layers, with the layer that each has absorbed.
pub struct Fusion<'a> {
    network: &'a Network,
    mode: Mode,
    /// For each layer: the layers that read its output, in order.
    readers: Vec<Vec<NodeId>>,
    /// For each layer: the earlier layer that it has absorbed.
    absorbed: Vec<Option<NodeId>>,
    /// For each layer: whether a later layer has absorbed it.
    is_part: Vec<bool>,
}

impl<'a> Fusion<'a> {
    /// Asks every layer of a network in turn which layer it absorbs.
    pub(super) fn of(network: &'a Network, mode: Mode) -> Self {
        let nodes = network.nodes();
        let mut readers = vec![Vec::new(); nodes.len()];
        for node in nodes {
            node.inputs.iter().for_each(|input| readers[input.0].push(node.id));
        }
        let (absorbed, is_part) = (vec![None; nodes.len()], vec![false; nodes.len()]);
        let mut fusion = Fusion { network, mode, readers, absorbed, is_part };
        for node in nodes {
            if let Some(part) = node.layer.absorbs(node, &fusion) {
                fusion.absorbed[node.id.0] = Some(part);
                fusion.is_part[part.0] = true;
            }
        }
        fusion
    }

    /// What the program is for.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// A layer by its place.
    pub fn node(&self, id: NodeId) -> &'a Node {
        self.network.node(id)
    }

    /// The layers that read a layer's output, in order.
    pub fn readers(&self, id: NodeId) -> &[NodeId] {
        &self.readers[id.0]
    }

    /// The layer that reads a layer's output, if exactly one reads it, and once.
    pub fn only_reader(&self, id: NodeId) -> Option<NodeId> {
        match self.readers(id) {
            &[reader] => Some(reader),
            _ => None,
        }
    }

    /// The earlier layer that this layer has absorbed.
    pub fn absorbed(&self, id: NodeId) -> Option<NodeId> {
        self.absorbed[id.0]
    }

    /// Whether a later layer has absorbed this layer.
    pub(super) fn is_part(&self, id: NodeId) -> bool {
        self.is_part[id.0]
    }
}

#[cfg(test)]
mod tests {
    use in18_kernels::op::Window;

    use super::*;
    use crate::Arch;
    use crate::layers::{AddRelu, BatchNorm, Conv, Input};

    /// Layers that run alone; as parts of others; sums with a normalisation; normalisations with a
    /// convolution; sums with both.
    fn counts(network: &Network, mode: Mode) -> [usize; 5] {
        let fusion = Fusion::of(network, mode);
        let mut counts = [0; 5];
        for node in network.nodes() {
            let is_sum = node.downcast::<AddRelu>().is_some();
            let inner = fusion.absorbed(node.id).map(|part| fusion.absorbed(part).is_some());
            counts[match (fusion.is_part(node.id), is_sum, inner) {
                (true, _, _) => 1,
                (false, _, None) => 0,
                (false, true, Some(false)) => 2,
                (false, false, Some(false)) => 3,
                (false, true, Some(true)) => 4,
                (false, false, Some(true)) => unreachable!("{} absorbed a layer with a part", node.name),
            }] += 1;
        }
        counts
    }

    #[test]
    fn a_resnet_in_training_has_one_operation_a_normalisation() {
        // A block's last normalisation is part of its sum.
        assert_eq!(counts(&Arch::RESNET18.network(10), Mode::Training), [4 + 20 + 12, 8, 8, 0, 0]);
        assert_eq!(counts(&Arch::RESNET50.network(10), Mode::Training), [4 + 53 + 37, 16, 16, 0, 0]);
    }

    #[test]
    fn a_resnet_in_evaluation_has_one_operation_a_convolution() {
        // Whole: input, max pooling, mean, classifier. A block's last normalisation is part of its
        // sum.
        assert_eq!(counts(&Arch::RESNET18.network(10), Mode::Evaluation), [4, 20 + 8, 0, 12, 8]);
        assert_eq!(counts(&Arch::RESNET50.network(10), Mode::Evaluation), [4, 53 + 16, 0, 37, 16]);
        // ResNet-D: two more convolutions, and three average poolings.
        assert_eq!(counts(&Arch::RESNET50.as_d().network(10), Mode::Evaluation), [4 + 3, 55 + 16, 0, 39, 16]);
    }

    #[test]
    fn what_others_read_stays_whole() {
        let window = Window { kernel: 1, stride: 1, padding: 0 };
        let mut network = Network::default();
        let input = network.push("input", Input, &[]);
        let conv = network.push("conv", Conv { window, inputs: 3, outputs: 3 }, &[input]);
        let norm = network.push("norm", BatchNorm::new(3), &[conv]);
        let sum = network.push("sum", AddRelu, &[norm, conv]);
        let again = network.push("again", BatchNorm::new(3), &[sum]);
        network.push("last", AddRelu, &[again, sum]);
        assert_eq!(counts(&network, Mode::Evaluation), [6, 0, 0, 0, 0]);
    }
}
