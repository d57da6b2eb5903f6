//! Convolutions of evaluations. The normalisation becomes part of the weights and a bias. What
//! follows it is fused to the convolution's end.

use in18_kernels::op::{ConvNorm, ConvNormAddRelu, Window};
use in18_kernels::{KernelError, Op};
use in18_tensor::{DType, Tensor};

use super::conv::{any_weights, name};
use super::geometry::Geometry;
use super::{Binding, Compile, Steps, check};
use crate::context::Context;
use crate::finish::End;
use crate::fold::Fold;
use crate::layout::{data_type, plain};
use crate::packed::Direction;
use crate::safe::{Attributes, PostOp, PrimitiveDesc};
use crate::step::{Place, Step};
use crate::{packed, sys, winograd};

impl Compile for ConvNorm {
    fn compile(&self, context: &mut Context) -> Steps {
        let &ConvNorm { window, epsilon, relu, src, weight, gamma, beta, running_mean, running_variance, dst } = self;
        let fold = fold(context, epsilon, [&gamma, &beta, &running_mean, &running_variance])?;
        let name = name(&Op::ConvNorm(*self), &src, &weight, &dst, window);
        compile(context, name, window, [&src, &weight, &dst], fold, End { adds: false, relu })
    }
}

impl Compile for ConvNormAddRelu {
    fn compile(&self, context: &mut Context) -> Steps {
        let &ConvNormAddRelu { window, epsilon, src, weight, gamma, beta, running_mean, running_variance, dst } = self;
        let fold = fold(context, epsilon, [&gamma, &beta, &running_mean, &running_variance])?;
        let name = name(&Op::ConvNormAddRelu(*self), &src, &weight, &dst, window);
        compile(context, name, window, [&src, &weight, &dst], fold, End { adds: true, relu: true })
    }
}

/// The regions of a normalisation, checked.
fn fold(context: &Context, epsilon: f32, parts: [&Tensor; 4]) -> Result<Fold, KernelError> {
    check(context, &parts.map(|part| (part, DType::F32)))?;
    let [gamma, beta, mean, variance] = parts.map(|part| part.region);
    Ok(Fold { epsilon, gamma, beta, mean, variance })
}

fn compile(
    context: &mut Context,
    name: String,
    window: Window,
    [src, weight, dst]: [&Tensor; 3],
    fold: Fold,
    end: End,
) -> Result<Vec<Box<dyn Step>>, KernelError> {
    if context.only_packed {
        return Ok(vec![packed::evaluation(window, [src, weight, dst], fold, end, context)?]);
    }
    if let Some(step) = winograd::evaluation(window, [src, weight, dst], fold, end, context)? {
        return Ok(vec![step]);
    }
    if packed::is_faster(window, Direction::Forward, [src, dst], context) {
        return Ok(vec![packed::evaluation(window, [src, weight, dst], fold, end, context)?]);
    }
    let fused = [(end.adds, PostOp::Sum), (end.relu, PostOp::Relu)];
    let fused: Vec<PostOp> = fused.into_iter().filter(|(is_wanted, _)| *is_wanted).map(|(_, fused)| fused).collect();
    let attributes = Attributes::fused(&fused)?;
    let (src_desc, dst_desc) = (context.layout.describe(src)?, context.layout.describe(dst)?);
    let any = any_weights(weight, data_type(src.dtype)?)?;
    let bias = plain(&weight.shape.extents()[..1], DType::F32)?;
    let geometry = Geometry::new(window, src, dst);
    // SAFETY: all handles are alive; the arrays hold two extents each, as two spatial axes need.
    let desc = unsafe {
        PrimitiveDesc::vectorised(
            || name.clone(),
            |pd| {
                sys::dnnl_convolution_forward_primitive_desc_create(
                    pd,
                    context.engine.raw(),
                    sys::FORWARD_INFERENCE,
                    sys::CONVOLUTION_DIRECT,
                    src_desc.raw(),
                    any.raw(),
                    bias.raw(),
                    dst_desc.raw(),
                    geometry.strides.as_ptr(),
                    geometry.dilation.as_ptr(),
                    geometry.padding.as_ptr(),
                    geometry.padding_end.as_ptr(),
                    attributes.raw(),
                )
            },
        )?
    };
    let Some(desc) = desc else {
        return Ok(vec![packed::evaluation(window, [src, weight, dst], fold, end, context)?]);
    };
    let weights = desc.operand(sys::QUERY_WEIGHTS)?;
    let copy = context.folded_weight_copy(weight, &weights, fold)?;
    let step = Binding::new(context, &desc, name)
        .tensor(sys::ARG_SRC, src)?
        .place(sys::ARG_WEIGHTS, weights, Place::Weights(copy))
        .place(sys::ARG_BIAS, bias, Place::Bias(copy))
        .tensor(sys::ARG_DST, dst)?
        .finish()?;
    Ok(vec![step])
}
