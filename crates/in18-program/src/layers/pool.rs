//! Pooling: the maximum after the stem, and the global mean before the classifier.

use in18_kernels::op::{self, Window};
use in18_tensor::Shape;

use super::Layer;
use crate::error::ProgramError;
use crate::lower::{Lowering, ValueId};
use crate::network::Node;
use crate::onnx::{OnnxAttribute, OnnxNode};

/// Max pooling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaxPool {
    /// Kernel, stride, padding.
    pub window: Window,
}

impl Layer for MaxPool {
    fn forward(&self, node: &Node, lowering: &mut Lowering<'_>) -> Result<ValueId, ProgramError> {
        let [src] = lowering.inputs(node);
        let channels = lowering.shape(src)[1];
        let dst = lowering.activation(lowering.windowed(node, src, self.window, channels)?);
        let bytes = lowering.kernels().max_pool_workspace_bytes(lowering.shape(dst), lowering.dtype())?;
        let workspace = lowering.raw(bytes);
        lowering.save(node, &[workspace]);
        lowering.emit(op::MaxPool { window: self.window, src, dst, workspace });
        Ok(dst)
    }

    fn backward(&self, node: &Node, lowering: &mut Lowering<'_>) {
        let ddst = lowering.gradient(node);
        let ([src], [workspace]) = (lowering.inputs(node), lowering.saved(node));
        let dsrc = lowering.activation(lowering.shape(src));
        lowering.emit(op::MaxPoolBackward { window: self.window, ddst, workspace, dsrc });
        lowering.leave_gradient(node.inputs[0], dsrc);
    }

    fn onnx(&self) -> Vec<OnnxNode> {
        vec![OnnxNode::new("MaxPool").window(self.window)]
    }
}

/// The mean over all pixels: it lets the network take any image size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GlobalAvgPool;

impl Layer for GlobalAvgPool {
    fn forward(&self, node: &Node, lowering: &mut Lowering<'_>) -> Result<ValueId, ProgramError> {
        let [src] = lowering.inputs(node);
        let shape = lowering.shape(src);
        let dst = lowering.plain(Shape::new(&[shape[0], shape[1]]));
        lowering.emit(op::GlobalAvgPool { src, dst });
        Ok(dst)
    }

    fn backward(&self, node: &Node, lowering: &mut Lowering<'_>) {
        let ddst = lowering.gradient(node);
        let [src] = lowering.inputs(node);
        let dsrc = lowering.activation(lowering.shape(src));
        lowering.emit(op::GlobalAvgPoolBackward { ddst, dsrc });
        lowering.leave_gradient(node.inputs[0], dsrc);
    }

    fn onnx(&self) -> Vec<OnnxNode> {
        let flatten = OnnxNode::new("Flatten").named(".flatten").attribute("axis", OnnxAttribute::Int(1));
        vec![OnnxNode::new("GlobalAveragePool"), flatten]
    }
}
