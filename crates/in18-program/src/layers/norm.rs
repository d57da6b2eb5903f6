//! Batch normalisation.

use in18_kernels::op;
use in18_tensor::Shape;

use super::{Conv, Layer, Parameter};
use crate::error::ProgramError;
use crate::initial::{Distribution, Initialization};
use crate::lower::{Fusion, Lowering, ValueId};
use crate::model::Mode;
use crate::network::{Node, NodeId};
use crate::onnx::{OnnxAttribute, OnnxNode};
use crate::table::Role;

/// Batch normalisation, with the ReLU that follows at once, if one does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm {
    /// Channels.
    pub channels: usize,
    /// Whether ReLU follows.
    pub relu: bool,
    /// Whether it ends a residual block's own path: `--init-bn0` starts these at gamma 0.
    pub ends_residual: bool,
    /// Added to the variance.
    pub epsilon: f32,
    /// Share of the new value in the running statistics.
    pub momentum: f32,
}

impl BatchNorm {
    /// Batch normalisation without ReLU, with PyTorch's epsilon and momentum.
    pub fn new(channels: usize) -> Self {
        BatchNorm { channels, relu: false, ends_residual: false, epsilon: 1e-5, momentum: 0.1 }
    }

    /// What every form of it reads: gamma, beta, running mean, running variance.
    fn operands(node: &Node, lowering: &mut Lowering<'_>) -> [ValueId; 4] {
        let [gamma, beta] = ["weight", "bias"].map(|name| lowering.parameter(node, name));
        let [mean, variance] = ["running_mean", "running_var"].map(|name| lowering.statistic(node, name));
        [gamma, beta, mean, variance]
    }

    /// The forward half. With an addend, the sum and the ReLU that end a residual block are part of
    /// it.
    pub(super) fn forward_add(
        &self,
        node: &Node,
        addend: Option<ValueId>,
        lowering: &mut Lowering<'_>,
    ) -> Result<ValueId, ProgramError> {
        if let Some(conv) = lowering.absorbed(node) {
            return self.forward_conv(node, conv, addend, lowering);
        }
        let BatchNorm { epsilon, momentum, relu, .. } = *self;
        let [src] = lowering.inputs(node);
        let [gamma, beta, running_mean, running_variance] = Self::operands(node, lowering);
        let dst = lowering.activation(lowering.shape(src));
        if lowering.mode() == Mode::Evaluation {
            lowering.emit(op::BatchNormInference {
                epsilon,
                relu,
                src,
                gamma,
                beta,
                running_mean,
                running_variance,
                dst,
            });
            return Ok(dst);
        }
        let [mean, inverse_deviation] = [(); 2].map(|()| lowering.plain(Shape::new(&[self.channels])));
        lowering.save(node, &[mean, inverse_deviation]);
        match addend {
            None => lowering.emit(op::BatchNorm {
                epsilon,
                momentum,
                relu,
                src,
                gamma,
                beta,
                running_mean,
                running_variance,
                dst,
                mean,
                inverse_deviation,
            }),
            Some(addend) => lowering.emit(op::BatchNormAddRelu {
                epsilon,
                momentum,
                src,
                addend,
                gamma,
                beta,
                running_mean,
                running_variance,
                dst,
                mean,
                inverse_deviation,
            }),
        }
        Ok(dst)
    }

    /// The forward half of an evaluation together with the convolution before it. With an addend,
    /// the result lies in the addend's place.
    fn forward_conv(
        &self,
        node: &Node,
        conv: &Node,
        addend: Option<ValueId>,
        lowering: &mut Lowering<'_>,
    ) -> Result<ValueId, ProgramError> {
        let Some(&Conv { window, outputs, .. }) = conv.downcast() else {
            unreachable!("{} is the convolution before {}", conv.name, node.name)
        };
        let BatchNorm { epsilon, relu, .. } = *self;
        let [src] = lowering.inputs(conv);
        let weight = lowering.parameter(conv, "weight");
        let [gamma, beta, running_mean, running_variance] = Self::operands(node, lowering);
        let shape = lowering.windowed(conv, src, window, outputs)?;
        let dst = addend.unwrap_or_else(|| lowering.activation(shape));
        match addend {
            None => lowering.emit(op::ConvNorm {
                window,
                epsilon,
                relu,
                src,
                weight,
                gamma,
                beta,
                running_mean,
                running_variance,
                dst,
            }),
            Some(_) => lowering.emit(op::ConvNormAddRelu {
                window,
                epsilon,
                src,
                weight,
                gamma,
                beta,
                running_mean,
                running_variance,
                dst,
            }),
        }
        Ok(dst)
    }
}

impl Layer for BatchNorm {
    fn parameters(&self) -> Vec<Parameter> {
        let shape = Shape::new(&[self.channels]);
        vec![
            Parameter { name: "weight", shape, role: Role::Gamma },
            Parameter { name: "bias", shape, role: Role::Beta },
        ]
    }

    fn statistics(&self) -> Vec<Parameter> {
        let shape = Shape::new(&[self.channels]);
        vec![
            Parameter { name: "running_mean", shape, role: Role::RunningMean },
            Parameter { name: "running_var", shape, role: Role::RunningVariance },
        ]
    }

    /// Gamma 1, beta 0, running mean 0, running variance 1. With [`Initialization::zero_gamma`], gamma 0
    /// at the end of every residual block (Goyal et al., *Accurate, Large Minibatch SGD*, 2017,
    /// section 5.1).
    fn initial(&self, parameter: &str, how: &Initialization) -> Distribution {
        Distribution::Constant(match parameter {
            "weight" if how.zero_gamma && self.ends_residual => 0.0,
            "weight" | "running_var" => 1.0,
            _ => 0.0,
        })
    }

    /// Absorbs the convolution before it in an evaluation, where statistics are fixed.
    fn absorbs(&self, node: &Node, fusion: &Fusion<'_>) -> Option<NodeId> {
        let conv = *node.inputs.first()?;
        let is_conv = fusion.node(conv).downcast::<Conv>().is_some();
        let fits = fusion.mode() == Mode::Evaluation && is_conv && fusion.only_reader(conv) == Some(node.id);
        fits.then_some(conv)
    }

    fn forward(&self, node: &Node, lowering: &mut Lowering<'_>) -> Result<ValueId, ProgramError> {
        self.forward_add(node, None, lowering)
    }

    fn backward(&self, node: &Node, lowering: &mut Lowering<'_>) {
        let ddst = lowering.gradient(node);
        let ([src], [mean, inverse_deviation]) = (lowering.inputs(node), lowering.saved(node));
        let dsrc = lowering.activation(lowering.shape(src));
        let gamma = lowering.parameter(node, "weight");
        let [dgamma, dbeta] = ["weight", "bias"].map(|name| lowering.parameter_gradient(node, name));
        if self.relu {
            let (dst, beta) = (lowering.output(node.id), lowering.parameter(node, "bias"));
            lowering.emit(op::BatchNormReluBackward {
                src,
                dst,
                gamma,
                beta,
                ddst,
                mean,
                inverse_deviation,
                dsrc,
                dgamma,
                dbeta,
            });
        } else {
            lowering.emit(op::BatchNormBackward { src, gamma, ddst, mean, inverse_deviation, dsrc, dgamma, dbeta });
        }
        lowering.leave_gradient(node.inputs[0], dsrc);
    }

    fn onnx(&self) -> Vec<OnnxNode> {
        let norm = OnnxNode::new("BatchNormalization")
            .parameters(&["weight", "bias", "running_mean", "running_var"])
            .attribute("epsilon", OnnxAttribute::Float(self.epsilon));
        let relu = self.relu.then(|| OnnxNode::new("Relu").named(".relu"));
        std::iter::once(norm).chain(relu).collect()
    }
}
