//! The classifier.

use in18_kernels::op;
use in18_tensor::Shape;

use super::{Layer, Parameter};
use crate::error::ProgramError;
use crate::initial::{Distribution, Initialization};
use crate::lower::{Lowering, ValueId};
use crate::network::Node;
use crate::onnx::{OnnxAttribute, OnnxNode};
use crate::table::Role;

/// Deviation of the initial weights with [`Initialization::normal_head`].
const DEVIATION: f64 = 0.01;

/// The classifier: a linear map with bias, fp32.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Linear {
    /// Features.
    pub inputs: usize,
    /// Classes.
    pub outputs: usize,
}

impl Layer for Linear {
    fn parameters(&self) -> Vec<Parameter> {
        let Linear { inputs, outputs } = *self;
        vec![
            Parameter { name: "weight", shape: Shape::new(&[outputs, inputs]), role: Role::Weight },
            Parameter { name: "bias", shape: Shape::new(&[outputs]), role: Role::Bias },
        ]
    }

    /// As PyTorch's `nn.Linear`, uniform in `±1/√inputs`, weights and bias, if `how` says nothing
    /// else.
    fn initial(&self, parameter: &str, how: &Initialization) -> Distribution {
        match parameter {
            "weight" if how.normal_head => Distribution::Normal { deviation: DEVIATION },
            "bias" if how.prior_bias => Distribution::Constant(-(self.outputs as f32).ln()),
            _ => Distribution::Uniform { bound: 1.0 / (self.inputs as f64).sqrt() },
        }
    }

    fn forward(&self, node: &Node, lowering: &mut Lowering<'_>) -> Result<ValueId, ProgramError> {
        let [src] = lowering.inputs(node);
        let (weight, bias) = (lowering.parameter(node, "weight"), lowering.parameter(node, "bias"));
        let dst = lowering.plain(Shape::new(&[lowering.shape(src)[0], self.outputs]));
        lowering.emit(op::Linear { src, weight, bias, dst });
        Ok(dst)
    }

    fn backward(&self, node: &Node, lowering: &mut Lowering<'_>) {
        let ddst = lowering.gradient(node);
        let [src] = lowering.inputs(node);
        let weight = lowering.parameter(node, "weight");
        let [dweight, dbias] = ["weight", "bias"].map(|name| lowering.parameter_gradient(node, name));
        lowering.emit(op::LinearBackwardWeight { src, ddst, dweight, dbias });
        let dsrc = lowering.plain(lowering.shape(src));
        lowering.emit(op::LinearBackwardData { weight, ddst, dsrc });
        lowering.leave_gradient(node.inputs[0], dsrc);
    }

    fn onnx(&self) -> Vec<OnnxNode> {
        vec![OnnxNode::new("Gemm").parameters(&["weight", "bias"]).attribute("transB", OnnxAttribute::Int(1))]
    }
}
