//! Batch normalisation: oneDNN's, with ReLU fused; running statistics by a loop of our own.

use in18_kernels::KernelError;
use in18_kernels::op::{BatchNorm, BatchNormBackward, BatchNormInference};
use in18_tensor::{DType, Shape, Tensor};

use super::{Binding, check};
use crate::safe::{MemoryDesc, PrimitiveDesc};
use crate::step::{Context, LoopStep, Step};
use crate::sys;

/// Bytes of the mask that a fused ReLU leaves for the backward half.
pub fn workspace_bytes(context: &Context, shape: Shape, dtype: DType, relu: bool) -> Result<usize, KernelError> {
    if !relu {
        return Ok(0);
    }
    let src = context.layout.activation(shape, dtype)?;
    let flags = flags(relu);
    Ok(forward_desc(context, &src, sys::FORWARD_TRAINING, 1e-5, flags, shape)?.operand(sys::QUERY_WORKSPACE)?.bytes())
}

pub fn forward(op: &BatchNorm, context: &mut Context) -> Result<Vec<Box<dyn Step>>, KernelError> {
    let src = context.layout.describe(&op.src)?;
    let desc = forward_desc(context, &src, sys::FORWARD_TRAINING, op.epsilon, flags(op.relu), op.src.shape)?;
    let mut binding = Binding::new(context, &desc, name("BatchNorm", &op.src))
        .tensor(sys::ARG_SRC, &op.src)?
        .tensor(sys::ARG_SCALE, &op.gamma)?
        .tensor(sys::ARG_SHIFT, &op.beta)?
        .tensor(sys::ARG_DST, &op.dst)?
        .tensor(sys::ARG_MEAN, &op.mean)?
        .tensor(sys::ARG_VARIANCE, &op.variance)?;
    if op.relu {
        binding = binding.region(sys::ARG_WORKSPACE, desc.operand(sys::QUERY_WORKSPACE)?, op.workspace.region)?;
    }
    let normalize = binding.finish()?;
    let fp32 = |tensor| (tensor, DType::F32);
    check(context, &[fp32(&op.running_mean), fp32(&op.running_variance), fp32(&op.mean), fp32(&op.variance)])?;
    Ok(vec![normalize, update_running_statistics(*op)])
}

pub fn backward(op: &BatchNormBackward, context: &mut Context) -> Result<Vec<Box<dyn Step>>, KernelError> {
    let src = context.layout.describe(&op.src)?;
    let flags = flags(op.relu);
    let hint = forward_desc(context, &src, sys::FORWARD_TRAINING, op.epsilon, flags, op.src.shape)?;
    // SAFETY: all handles are alive.
    let desc = unsafe {
        PrimitiveDesc::create(
            || name("BatchNormBackward", &op.src),
            |pd| {
                sys::dnnl_batch_normalization_backward_primitive_desc_create(
                    pd,
                    context.engine.raw(),
                    sys::BACKWARD,
                    src.raw(),
                    src.raw(),
                    src.raw(),
                    op.epsilon,
                    flags,
                    hint.raw(),
                    context.attributes.raw(),
                )
            },
        )?
    };
    // The shift (beta) is no operand of the backward primitive, and passing it makes oneDNN refuse the call.
    let mut binding = Binding::new(context, &desc, name("BatchNormBackward", &op.src))
        .tensor(sys::ARG_SRC, &op.src)?
        .tensor(sys::ARG_SCALE, &op.gamma)?
        .tensor(sys::ARG_DIFF_DST, &op.ddst)?
        .tensor(sys::ARG_MEAN, &op.mean)?
        .tensor(sys::ARG_VARIANCE, &op.variance)?
        .tensor(sys::ARG_DIFF_SRC, &op.dsrc)?
        .tensor(sys::ARG_DIFF_SCALE, &op.dgamma)?
        .tensor(sys::ARG_DIFF_SHIFT, &op.dbeta)?;
    if op.relu {
        binding = binding.region(sys::ARG_WORKSPACE, desc.operand(sys::QUERY_WORKSPACE)?, op.workspace.region)?;
    }
    Ok(vec![binding.finish()?])
}

pub fn inference(op: &BatchNormInference, context: &mut Context) -> Result<Vec<Box<dyn Step>>, KernelError> {
    let src = context.layout.describe(&op.src)?;
    let flags = flags(op.relu) | sys::USE_GLOBAL_STATS;
    let desc = forward_desc(context, &src, sys::FORWARD_INFERENCE, op.epsilon, flags, op.src.shape)?;
    let step = Binding::new(context, &desc, name("BatchNormInference", &op.src))
        .tensor(sys::ARG_SRC, &op.src)?
        .tensor(sys::ARG_SCALE, &op.gamma)?
        .tensor(sys::ARG_SHIFT, &op.beta)?
        .tensor(sys::ARG_MEAN, &op.running_mean)?
        .tensor(sys::ARG_VARIANCE, &op.running_variance)?
        .tensor(sys::ARG_DST, &op.dst)?
        .finish()?;
    Ok(vec![step])
}

fn flags(relu: bool) -> std::ffi::c_uint {
    sys::USE_SCALE | sys::USE_SHIFT | if relu { sys::FUSE_NORM_RELU } else { 0 }
}

/// `src` also describes the result.
fn forward_desc(
    context: &Context,
    src: &MemoryDesc,
    kind: std::ffi::c_int,
    epsilon: f32,
    flags: std::ffi::c_uint,
    shape: Shape,
) -> Result<PrimitiveDesc, KernelError> {
    // SAFETY: all handles are alive.
    unsafe {
        PrimitiveDesc::create(
            || format!("BatchNorm {shape}"),
            |pd| {
                sys::dnnl_batch_normalization_forward_primitive_desc_create(
                    pd,
                    context.engine.raw(),
                    kind,
                    src.raw(),
                    src.raw(),
                    epsilon,
                    flags,
                    context.attributes.raw(),
                )
            },
        )
    }
}

fn update_running_statistics(op: BatchNorm) -> Box<dyn Step> {
    let channels = op.src.shape[1];
    let values = (op.src.shape.elements() / channels) as f32;
    let unbias = if values > 1.0 { values / (values - 1.0) } else { 1.0 };
    Box::new(LoopStep(move |context: &mut Context| {
        for (running, batch, correction) in
            [(&op.running_mean, &op.mean, 1.0), (&op.running_variance, &op.variance, unbias)]
        {
            let running = context.address(&running.region)?.cast::<f32>();
            let batch = context.address(&batch.region)?.cast::<f32>();
            for channel in 0..channels {
                // SAFETY: `forward` checked that both regions hold a single a channel.
                unsafe {
                    let old = running.add(channel).read();
                    let new = correction * batch.add(channel).read();
                    running.add(channel).write((1.0 - op.momentum) * old + op.momentum * new);
                }
            }
        }
        // Weights that a normalisation by these statistics is folded into are out of date.
        context.block_mut(op.running_mean.region.arena)?.generation += 1;
        Ok(())
    }))
}

fn name(kind: &str, src: &Tensor) -> String {
    format!("{kind} {} ({})", src.shape, src.dtype)
}
