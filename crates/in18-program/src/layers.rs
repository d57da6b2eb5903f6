//! The layers that networks are made of, one file each: parameters and their initial values, the
//! operations of both halves of a step, the layers that it runs together with, and its ONNX nodes.
//!
//! A new layer is a new file here and a line in the list below. It may also live in another crate,
//! since nothing here matches over all layers. A layer knows no size, no memory and no hardware:
//! [`Lowering`] has these.

mod avg_pool;
mod blur_pool;
mod conv;
mod input;
mod linear;
mod norm;
mod pool;
mod sum;

use std::any::Any;
use std::fmt::Debug;

use in18_tensor::Shape;

use crate::error::ProgramError;
use crate::initial::{Distribution, Initialization};
use crate::lower::{Fusion, Lowering, ValueId};
use crate::network::{Node, NodeId};
use crate::onnx::OnnxNode;
use crate::table::Role;

pub use avg_pool::*;
pub use blur_pool::*;
pub use conv::*;
pub use input::*;
pub use linear::*;
pub use norm::*;
pub use pool::*;
pub use sum::*;

/// One of a layer's parameters or statistics: fp32.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Torchvision's name without the layer's, such as `weight`.
    pub name: &'static str,
    /// Torchvision's shape.
    pub shape: Shape,
    /// What it is.
    pub role: Role,
}

/// What a layer is.
pub trait Layer: Any + Debug + Send + Sync {
    /// Its trainable parameters, in the order in which the backward half finishes their gradients.
    fn parameters(&self) -> Vec<Parameter> {
        Vec::new()
    }

    /// What it keeps from step to step beside its parameters.
    fn statistics(&self) -> Vec<Parameter> {
        Vec::new()
    }

    /// How the initial values of its parameter or statistic of this name are distributed.
    fn initial(&self, parameter: &str, how: &Initialization) -> Distribution {
        let _ = (parameter, how);
        Distribution::Constant(0.0)
    }

    /// Which of its inputs runs as part of its operation, if one does. That layer then has no
    /// output of its own, and its [`forward`](Self::forward) is not called. If it absorbs a layer
    /// itself, all of them run as one.
    fn absorbs(&self, node: &Node, fusion: &Fusion<'_>) -> Option<NodeId> {
        let _ = (node, fusion);
        None
    }

    /// Emits the operations of the forward half, those of [absorbed](Lowering::absorbed) layers
    /// included, and returns the output. The output is a value of its own, not an input's: whether a
    /// value may be written over is decided by looking at one layer's readers. A layer with an
    /// absorbed one may write over an input that nobody reads later.
    ///
    /// # Errors
    /// [`ProgramError::ImageTooSmall`], and errors of the provider.
    fn forward(&self, node: &Node, lowering: &mut Lowering<'_>) -> Result<ValueId, ProgramError>;

    /// Emits the operations of the backward half. The layer takes the
    /// [gradient](Lowering::gradient) of its output. It computes the gradients of its parameters
    /// first, so that they are ready as early as can be, and then those of its inputs, which it
    /// [leaves](Lowering::leave_gradient) to them. Absorbed layers have a backward half of their own.
    fn backward(&self, node: &Node, lowering: &mut Lowering<'_>);

    /// Its ONNX nodes: a chain from its inputs to its output. Empty for the network's input.
    fn onnx(&self) -> Vec<OnnxNode>;
}
