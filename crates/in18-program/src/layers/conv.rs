//! Convolution.

use in18_kernels::op::{self, Window};
use in18_tensor::Shape;

use super::{Layer, Parameter};
use crate::error::ProgramError;
use crate::initial::{Distribution, Initialization};
use crate::lower::{Lowering, ValueId};
use crate::network::Node;
use crate::onnx::OnnxNode;
use crate::table::Role;

/// Convolution without bias.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conv {
    /// Kernel, stride, padding.
    pub window: Window,
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
}

impl Layer for Conv {
    fn parameters(&self) -> Vec<Parameter> {
        let Conv { window: Window { kernel, .. }, inputs, outputs } = *self;
        vec![Parameter { name: "weight", shape: Shape::new(&[outputs, inputs, kernel, kernel]), role: Role::Weight }]
    }

    /// Normal with deviation `√(2 / fan_out)`, `fan_out = O·K·K` (He et al., *Delving Deep into
    /// Rectifiers*, 2015).
    fn initial(&self, _: &str, _: &Initialization) -> Distribution {
        let fan_out = self.outputs * self.window.kernel * self.window.kernel;
        Distribution::Normal { deviation: (2.0 / fan_out as f64).sqrt() }
    }

    fn forward(&self, node: &Node, lowering: &mut Lowering<'_>) -> Result<ValueId, ProgramError> {
        let [src] = lowering.inputs(node);
        let weight = lowering.parameter(node, "weight");
        let dst = lowering.activation(lowering.windowed(node, src, self.window, self.outputs)?);
        lowering.emit(op::Conv { window: self.window, src, weight, dst });
        Ok(dst)
    }

    fn backward(&self, node: &Node, lowering: &mut Lowering<'_>) {
        let window = self.window;
        let ddst = lowering.gradient(node);
        let [src] = lowering.inputs(node);
        let (weight, dweight) = (lowering.parameter(node, "weight"), lowering.parameter_gradient(node, "weight"));
        lowering.emit(op::ConvBackwardWeight { window, src, ddst, dweight });
        if lowering.wants_gradient(node.inputs[0]) {
            let dsrc = lowering.activation(lowering.shape(src));
            lowering.emit(op::ConvBackwardData { window, weight, ddst, dsrc });
            lowering.leave_gradient(node.inputs[0], dsrc);
        }
    }

    fn onnx(&self) -> Vec<OnnxNode> {
        vec![OnnxNode::new("Conv").parameters(&["weight"]).window(self.window)]
    }
}
