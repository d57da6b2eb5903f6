//! A network as data: layers in the order in which they run, each named as torchvision names its
//! parameters.

use std::any::Any;
use std::sync::Arc;

use crate::layers::{Layer, Linear};

/// Names a layer of a network, and that layer's output. It is the layer's place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub usize);

/// A layer in its place in a network.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its place in the network's list.
    pub id: NodeId,
    /// Prefix of its parameters' names, torchvision's; a layer without parameters has a name for
    /// messages.
    pub name: String,
    /// What it does.
    pub layer: Arc<dyn Layer>,
    /// The layers whose outputs it takes.
    pub inputs: Vec<NodeId>,
}

impl Node {
    /// The layer, if it is of this kind.
    pub fn downcast<L: Layer>(&self) -> Option<&L> {
        (&*self.layer as &dyn Any).downcast_ref()
    }

    /// The whole name of one of the layer's parameters or statistics, such as
    /// `layer1.0.conv1.weight`.
    pub fn parameter_name(&self, parameter: &str) -> String {
        format!("{}.{parameter}", self.name)
    }
}

/// A network: layers in an order in which each comes after its inputs. The last layer gives the
/// logits.
#[derive(Clone, Debug, Default)]
pub struct Network {
    nodes: Vec<Node>,
}

impl Network {
    /// Appends a layer and returns the name of its output.
    ///
    /// # Panics
    /// If an input is not an earlier layer.
    pub fn push(&mut self, name: impl Into<String>, layer: impl Layer, inputs: &[NodeId]) -> NodeId {
        let id = NodeId(self.nodes.len());
        assert!(inputs.iter().all(|&input| input < id), "a layer's inputs come before it");
        self.nodes.push(Node { id, name: name.into(), layer: Arc::new(layer), inputs: inputs.to_vec() });
        id
    }

    /// The layers in order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// A layer by its place.
    ///
    /// # Panics
    /// If the place is another network's.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// How many classes the last layer tells apart.
    pub fn classes(&self) -> usize {
        self.nodes.last().and_then(Node::downcast).map_or(0, |classifier: &Linear| classifier.outputs)
    }
}
