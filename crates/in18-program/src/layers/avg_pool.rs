//! Average pooling, which halves an image.

use in18_kernels::op::{self, AVG_POOL_SIDE, avg_pool_output};
use in18_tensor::Shape;

use super::Layer;
use crate::error::ProgramError;
use crate::lower::{Lowering, ValueId};
use crate::network::Node;
use crate::onnx::{OnnxAttribute, OnnxNode};

/// The mean of each square of 2×2 pixels. Squares that the edge of the image cuts off have the mean
/// of the pixels that they hold. PyTorch calls this
/// `AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AvgPool;

impl Layer for AvgPool {
    fn forward(&self, node: &Node, lowering: &mut Lowering<'_>) -> Result<ValueId, ProgramError> {
        let [src] = lowering.inputs(node);
        let shape = lowering.shape(src);
        let (height, width) = (avg_pool_output(shape[2]), avg_pool_output(shape[3]));
        let dst = lowering.activation(Shape::nchw(shape[0], shape[1], height, width));
        lowering.emit(op::AvgPool { src, dst });
        Ok(dst)
    }

    fn backward(&self, node: &Node, lowering: &mut Lowering<'_>) {
        let ddst = lowering.gradient(node);
        let [src] = lowering.inputs(node);
        let dsrc = lowering.activation(lowering.shape(src));
        lowering.emit(op::AvgPoolBackward { ddst, dsrc });
        lowering.leave_gradient(node.inputs[0], dsrc);
    }

    fn onnx(&self) -> Vec<OnnxNode> {
        let side = || OnnxAttribute::Ints(vec![AVG_POOL_SIDE as i64; 2]);
        let pool = OnnxNode::new("AveragePool").attribute("kernel_shape", side()).attribute("strides", side());
        vec![pool.attribute("ceil_mode", OnnxAttribute::Int(1)).attribute("count_include_pad", OnnxAttribute::Int(0))]
    }
}
