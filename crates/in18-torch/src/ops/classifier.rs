//! The network's fp32 end: the linear map and the loss.

use in18_kernels::KernelError;
use in18_kernels::op::{CrossEntropy, CrossEntropyBackward, Linear, LinearBackwardData, LinearBackwardWeight};

use super::{Step, step, views};
use crate::memory::Context;
use crate::sys::torch;

pub fn linear(op: &Linear, context: &mut Context) -> Result<Step, KernelError> {
    let [dst, src, weight, bias] = views(context, [&op.dst, &op.src, &op.weight, &op.bias])?;
    let label = format!("Linear {}", op.src.shape);
    // SAFETY: see `step`.
    Ok(step(label, move || unsafe { torch().linear(dst.raw(), src.raw(), weight.raw(), bias.raw()) }))
}

pub fn linear_backward_data(op: &LinearBackwardData, context: &mut Context) -> Result<Step, KernelError> {
    let [dsrc, weight, ddst] = views(context, [&op.dsrc, &op.weight, &op.ddst])?;
    let label = format!("LinearBackwardData {}", op.ddst.shape);
    // SAFETY: see `step`.
    Ok(step(label, move || unsafe { torch().linear_backward_data(dsrc.raw(), weight.raw(), ddst.raw()) }))
}

pub fn linear_backward_weight(op: &LinearBackwardWeight, context: &mut Context) -> Result<Step, KernelError> {
    let [dweight, dbias, src, ddst] = views(context, [&op.dweight, &op.dbias, &op.src, &op.ddst])?;
    let label = format!("LinearBackwardWeight {}", op.src.shape);
    // SAFETY: see `step`.
    Ok(step(label, move || unsafe {
        torch().linear_backward_weight(dweight.raw(), dbias.raw(), src.raw(), ddst.raw())
    }))
}

pub fn cross_entropy(op: &CrossEntropy, context: &mut Context) -> Result<Step, KernelError> {
    let [metrics, logits, labels] = views(context, [&op.metrics, &op.logits, &op.labels])?;
    let label = format!("CrossEntropy {}", op.logits.shape);
    // SAFETY: see `step`.
    Ok(step(label, move || unsafe { torch().cross_entropy(metrics.raw(), logits.raw(), labels.raw()) }))
}

pub fn cross_entropy_backward(op: &CrossEntropyBackward, context: &mut Context) -> Result<Step, KernelError> {
    let [dlogits, logits, labels, scale] = views(context, [&op.dlogits, &op.logits, &op.labels, &op.scale])?;
    let label = format!("CrossEntropyBackward {}", op.logits.shape);
    // SAFETY: see `step`.
    Ok(step(label, move || unsafe {
        torch().cross_entropy_backward(dlogits.raw(), logits.raw(), labels.raw(), scale.raw())
    }))
}
