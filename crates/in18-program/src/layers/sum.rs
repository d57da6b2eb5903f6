//! The end of a residual block.

use in18_kernels::op;

use super::{BatchNorm, Layer};
use crate::error::ProgramError;
use crate::lower::{Fusion, Lowering, ValueId};
use crate::model::Mode;
use crate::network::{Node, NodeId};
use crate::onnx::OnnxNode;

/// Sum of two paths, then ReLU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AddRelu;

impl Layer for AddRelu {
    /// The normalisation that ends one of the paths; in an evaluation only one that has absorbed
    /// its convolution.
    fn absorbs(&self, node: &Node, fusion: &Fusion<'_>) -> Option<NodeId> {
        let &[a, b] = &node.inputs[..] else { return None };
        let ends_path = |norm: NodeId, addend: NodeId| {
            let is_plain = fusion.node(norm).downcast().is_some_and(|norm: &BatchNorm| !norm.relu);
            let only_here = a != b && fusion.only_reader(norm) == Some(node.id);
            let fits = match fusion.mode() {
                Mode::Training => true,
                // The result takes the addend's place, so no later layer may read the addend.
                Mode::Evaluation => {
                    fusion.absorbed(norm).is_some() && fusion.readers(addend).iter().all(|&reader| reader <= node.id)
                }
            };
            is_plain && only_here && fits
        };
        // Absorb the path that ends last, if possible: the addend is there by then.
        let (last, first) = (a.max(b), a.min(b));
        let paths = [(last, first), (first, last)];
        paths.into_iter().find(|&(norm, addend)| ends_path(norm, addend)).map(|(norm, _)| norm)
    }

    fn forward(&self, node: &Node, lowering: &mut Lowering<'_>) -> Result<ValueId, ProgramError> {
        if let Some(norm) = lowering.absorbed(node) {
            let addend = node.inputs.iter().copied().find(|&input| input != norm.id);
            let (Some(addend), Some(layer)) = (addend, norm.downcast::<BatchNorm>()) else {
                unreachable!("{} is the normalisation that ends one of two paths", norm.name)
            };
            return layer.forward_add(norm, Some(lowering.output(addend)), lowering);
        }
        let [a, b] = lowering.inputs(node);
        let dst = lowering.activation(lowering.shape(a));
        lowering.emit(op::AddRelu { a, b, dst });
        Ok(dst)
    }

    fn backward(&self, node: &Node, lowering: &mut Lowering<'_>) {
        let dst = lowering.output(node.id);
        let dsrc = lowering.activation(lowering.shape(dst));
        // With two readers, the usual case, one pass over memory does the work of two.
        if let &[ddst_a, ddst_b] = lowering.gradient_parts(node) {
            lowering.emit(op::SumReluBackward { dst, ddst_a, ddst_b, dsrc });
        } else {
            let ddst = lowering.gradient(node);
            lowering.emit(op::ReluBackward { dst, ddst, dsrc });
        }
        for &addend in &node.inputs {
            lowering.leave_gradient(addend, dsrc);
        }
    }

    fn onnx(&self) -> Vec<OnnxNode> {
        vec![OnnxNode::new("Add").named(".add"), OnnxNode::new("Relu")]
    }
}
