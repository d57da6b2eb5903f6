//! BlurPool: a low-pass filter before pixels are dropped.

use in18_kernels::op::{self, BLUR_TAPS, blur_window};

use super::Layer;
use crate::error::ProgramError;
use crate::lower::{Lowering, ValueId};
use crate::network::Node;
use crate::onnx::{OnnxAttribute, OnnxConstant, OnnxNode};

/// BlurPool: each channel filtered with sixteenths of `[1 2 1] ⊗ [1 2 1]`, zero padding 1 (Zhang,
/// *Making Convolutional Networks Shift-Invariant Again*, 2019). It has no parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlurPool {
    /// Channels.
    pub channels: usize,
    /// The step between the pixels that are kept: 1 or 2.
    pub stride: usize,
}

impl Layer for BlurPool {
    fn forward(&self, node: &Node, lowering: &mut Lowering<'_>) -> Result<ValueId, ProgramError> {
        let [src] = lowering.inputs(node);
        let shape = lowering.windowed(node, src, blur_window(self.stride), self.channels)?;
        let dst = lowering.activation(shape);
        lowering.emit(op::BlurPool { stride: self.stride, src, dst });
        Ok(dst)
    }

    fn backward(&self, node: &Node, lowering: &mut Lowering<'_>) {
        let ddst = lowering.gradient(node);
        let [src] = lowering.inputs(node);
        let dsrc = lowering.activation(lowering.shape(src));
        lowering.emit(op::BlurPoolBackward { stride: self.stride, ddst, dsrc });
        lowering.leave_gradient(node.inputs[0], dsrc);
    }

    /// A convolution of each channel by itself, whose weight is a constant of the graph.
    fn onnx(&self) -> Vec<OnnxNode> {
        let filter = BLUR_TAPS.iter().flat_map(|down| BLUR_TAPS.map(|across| down * across));
        let weight = OnnxConstant {
            name: "filter",
            extents: vec![self.channels, 1, BLUR_TAPS.len(), BLUR_TAPS.len()],
            values: filter.collect::<Vec<f32>>().repeat(self.channels),
        };
        let conv = OnnxNode::new("Conv").constant(weight).window(blur_window(self.stride));
        vec![conv.attribute("group", OnnxAttribute::Int(self.channels as i64))]
    }
}
