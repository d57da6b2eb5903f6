//! The network's input.

use in18_kernels::op;

use super::Layer;
use crate::error::ProgramError;
use crate::lower::{Lowering, ValueId};
use crate::network::Node;
use crate::onnx::OnnxNode;

/// The normalised pixels: (N, 3, H, W).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Input;

impl Layer for Input {
    fn forward(&self, _: &Node, lowering: &mut Lowering<'_>) -> Result<ValueId, ProgramError> {
        let pixels = lowering.pixels();
        let dst = lowering.activation(lowering.shape(pixels));
        lowering.emit(op::Normalize { pixels, dst });
        Ok(dst)
    }

    fn backward(&self, _: &Node, _: &mut Lowering<'_>) {}

    fn onnx(&self) -> Vec<OnnxNode> {
        Vec::new()
    }
}
