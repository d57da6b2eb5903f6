//! Evaluation's convolutions: normalisation in the weights, a bias, and the rest fused to the convolution's end.

use in18_kernels::op::{ConvNorm, ConvNormAddRelu, Window};
use in18_kernels::{KernelError, Op};
use in18_tensor::{DType, Tensor};

use super::conv::{any_weights, name};
use super::geometry::Geometry;
use super::{Binding, check};
use crate::layout::{data_type, plain};
use crate::safe::{Attributes, PostOp, PrimitiveDesc};
use crate::step::{Context, Place, Step};
use crate::sys;
use crate::weights::Fold;

pub fn norm(op: &ConvNorm, context: &mut Context) -> Result<Vec<Box<dyn Step>>, KernelError> {
    let conv = FoldedConv {
        name: name(&Op::ConvNorm(*op), &op.src, &op.weight, &op.dst, op.window),
        window: op.window,
        src: op.src,
        weight: op.weight,
        dst: op.dst,
        fold: Fold {
            epsilon: op.epsilon,
            gamma: op.gamma.region,
            beta: op.beta.region,
            mean: op.running_mean.region,
            variance: op.running_variance.region,
        },
        addend: None,
        relu: op.relu,
    };
    let fp32 = |tensor| (tensor, DType::F32);
    check(context, &[fp32(&op.gamma), fp32(&op.beta), fp32(&op.running_mean), fp32(&op.running_variance)])?;
    conv.compile(context)
}

pub fn norm_add_relu(op: &ConvNormAddRelu, context: &mut Context) -> Result<Vec<Box<dyn Step>>, KernelError> {
    let conv = FoldedConv {
        name: name(&Op::ConvNormAddRelu(*op), &op.src, &op.weight, &op.dst, op.window),
        window: op.window,
        src: op.src,
        weight: op.weight,
        dst: op.dst,
        fold: Fold {
            epsilon: op.epsilon,
            gamma: op.gamma.region,
            beta: op.beta.region,
            mean: op.running_mean.region,
            variance: op.running_variance.region,
        },
        addend: Some(op.addend),
        relu: true,
    };
    let fp32 = |tensor| (tensor, DType::F32);
    check(context, &[fp32(&op.gamma), fp32(&op.beta), fp32(&op.running_mean), fp32(&op.running_variance)])?;
    conv.compile(context)
}

/// Either operation.
struct FoldedConv {
    name: String,
    window: Window,
    src: Tensor,
    weight: Tensor,
    dst: Tensor,
    fold: Fold,
    addend: Option<Tensor>,
    relu: bool,
}

impl FoldedConv {
    fn compile(&self, context: &mut Context) -> Result<Vec<Box<dyn Step>>, KernelError> {
        let (src, dst) = (context.layout.describe(&self.src)?, context.layout.describe(&self.dst)?);
        let addend = self.addend.map(|addend| context.layout.describe(&addend)).transpose()?;
        let mut fused: Vec<PostOp<'_>> = addend.iter().map(PostOp::Add).collect();
        if self.relu {
            fused.push(PostOp::Relu);
        }
        let attributes = Attributes::fused(&fused)?;
        let any = any_weights(&self.weight, data_type(self.src.dtype)?)?;
        let bias = plain(&self.weight.shape.extents()[..1], DType::F32)?;
        let geometry = Geometry::new(self.window, &self.src, &self.dst);
        // SAFETY: all handles are alive; the arrays hold two extents each, as two spatial axes need.
        let desc = unsafe {
            PrimitiveDesc::create(
                || self.name.clone(),
                |pd| {
                    sys::dnnl_convolution_forward_primitive_desc_create(
                        pd,
                        context.engine.raw(),
                        sys::FORWARD_INFERENCE,
                        sys::CONVOLUTION_DIRECT,
                        src.raw(),
                        any.raw(),
                        bias.raw(),
                        dst.raw(),
                        geometry.strides.as_ptr(),
                        geometry.dilation.as_ptr(),
                        geometry.padding.as_ptr(),
                        geometry.padding_end.as_ptr(),
                        attributes.raw(),
                    )
                },
            )?
        };
        let weights = desc.operand(sys::QUERY_WEIGHTS)?;
        let copy = context.folded_weight_copy(&self.weight, &weights, self.fold)?;
        let mut binding = Binding::new(context, &desc, self.name.clone())
            .tensor(sys::ARG_SRC, &self.src)?
            .place(sys::ARG_WEIGHTS, weights, Place::Weights(copy))
            .place(sys::ARG_BIAS, bias, Place::Bias(copy))
            .tensor(sys::ARG_DST, &self.dst)?;
        if let Some(addend) = &self.addend {
            binding = binding.tensor(sys::ARG_FIRST_POST_OP_SRC, addend)?;
        }
        Ok(vec![binding.finish()?])
    }
}
