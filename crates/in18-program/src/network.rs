//! A network as data: layers in the order in which they run, each named as torchvision names its parameters.

use in18_kernels::op::Window;

/// Names a layer's output within its network: the layer's place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LayerId(pub usize);

/// What a layer does.
#[derive(Clone, Debug, PartialEq)]
pub enum LayerKind {
    /// The normalised pixels: (N, 3, H, W).
    Input,
    /// Convolution without bias.
    Conv {
        /// Kernel, stride, padding.
        window: Window,
        /// Input channels.
        inputs: usize,
        /// Output channels.
        outputs: usize,
    },
    /// Batch normalisation, with ReLU if it follows at once.
    BatchNorm {
        /// Channels.
        channels: usize,
        /// Whether ReLU follows.
        relu: bool,
        /// Whether it ends a residual block's own path: `--init-bn0` starts these at gamma 0.
        ends_residual: bool,
    },
    /// Sum of two paths, then ReLU.
    AddRelu,
    /// Max pooling.
    MaxPool {
        /// Kernel, stride, padding.
        window: Window,
    },
    /// The mean over all pixels: what lets the network take any image size.
    GlobalAvgPool,
    /// The classifier, with bias.
    Linear {
        /// Features.
        inputs: usize,
        /// Classes.
        outputs: usize,
    },
}

/// A layer: what it does, and to what.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Prefix of its parameters' names, torchvision's; a layer without parameters has a name for messages.
    pub name: String,
    /// What it does.
    pub kind: LayerKind,
    /// The layers whose outputs it takes.
    pub inputs: Vec<LayerId>,
}

/// A network: layers in an order in which each comes after its inputs; the last gives the logits.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Network {
    layers: Vec<Layer>,
}

impl Network {
    /// Appends a layer and returns the name of its output.
    ///
    /// # Panics
    /// If an input is not an earlier layer.
    pub fn push(&mut self, name: impl Into<String>, kind: LayerKind, inputs: &[LayerId]) -> LayerId {
        let id = LayerId(self.layers.len());
        assert!(inputs.iter().all(|input| input.0 < id.0), "a layer's inputs come before it");
        self.layers.push(Layer { name: name.into(), kind, inputs: inputs.to_vec() });
        id
    }

    /// The layers in order.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// How many classes the last layer tells apart.
    pub fn classes(&self) -> usize {
        match self.layers.last().map(|layer| &layer.kind) {
            Some(LayerKind::Linear { outputs, .. }) => *outputs,
            _ => 0,
        }
    }
}
