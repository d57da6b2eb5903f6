//! The gradients of batch normalisation.

use std::cell::Cell;

use in18_kernels::KernelError;
use in18_kernels::op::{BatchNormBackward, BatchNormReluBackward};
use in18_tensor::{Format, Tensor};

use super::{Step, step, views};
use crate::memory::Context;
use crate::sys::torch;

pub fn backward(op: &BatchNormBackward, context: &mut Context) -> Result<Step, KernelError> {
    gradients(op, None, context)
}

pub fn relu_backward(op: &BatchNormReluBackward, context: &mut Context) -> Result<Step, KernelError> {
    gradients(&without_relu(op), Some(op.dst), context)
}

/// What follows the gradient of the ReLU.
pub fn without_relu(op: &BatchNormReluBackward) -> BatchNormBackward {
    let &BatchNormReluBackward { src, gamma, ddst, mean, inverse_deviation, dsrc, dgamma, dbeta, .. } = op;
    BatchNormBackward { src, gamma, ddst, mean, inverse_deviation, dsrc, dgamma, dbeta }
}

/// `dst`: the forward half's result, if a ReLU ended it.
fn gradients(op: &BatchNormBackward, dst: Option<Tensor>, context: &mut Context) -> Result<Step, KernelError> {
    let BatchNormBackward { src, gamma, ddst, mean, inverse_deviation, dsrc, dgamma, dbeta } = op;
    let label = format!("BatchNormBackward {}", src.shape);
    let operands = [dsrc, dgamma, dbeta, src, gamma, ddst, mean, inverse_deviation];
    let [dsrc, dgamma, dbeta, src, gamma, ddst, mean, deviation] = views(context, operands)?;
    let relu = match dst {
        Some(dst) => {
            let [passed] = context.scratch([(dst.shape, dst.dtype, Format::Activation)])?;
            Some((context.view(&dst)?, passed))
        }
        None => None,
    };
    let ordinal = Cell::new(0);
    Ok(step(label, move || {
        let (dst, passed) =
            relu.as_ref().map_or((std::ptr::null(), std::ptr::null()), |(dst, passed)| (dst.raw(), passed.raw()));
        // SAFETY: see `step`.
        unsafe {
            torch().batch_norm_backward(
                dsrc.raw(),
                dgamma.raw(),
                dbeta.raw(),
                src.raw(),
                dst,
                gamma.raw(),
                ddst.raw(),
                passed,
                mean.raw(),
                deviation.raw(),
                ordinal.as_ptr(),
            )
        }
    }))
}
