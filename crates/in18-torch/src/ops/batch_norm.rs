//! Batch normalisation.

use std::cell::Cell;

use in18_kernels::KernelError;
use in18_kernels::op::{BatchNorm, BatchNormAddRelu, BatchNormBackward, BatchNormInference, BatchNormReluBackward};
use in18_tensor::{Format, Tensor};

use super::own::{self, Settings};
use super::{Step, step, views};
use crate::memory::{Context, Norm};
use crate::safe::{View, check};
use crate::sys::torch;

pub fn forward(op: &BatchNorm, context: &mut Context) -> Result<Step, KernelError> {
    let &BatchNorm { epsilon, momentum, relu, src, gamma, beta, running_mean, running_variance, .. } = op;
    let &BatchNorm { dst, mean, inverse_deviation, .. } = op;
    let operands = [dst, mean, inverse_deviation, src, gamma, beta, running_mean, running_variance];
    training(operands, None, Settings { epsilon, momentum, relu }, context)
}

pub fn forward_add_relu(op: &BatchNormAddRelu, context: &mut Context) -> Result<Step, KernelError> {
    let &BatchNormAddRelu { epsilon, momentum, src, addend, gamma, beta, running_mean, running_variance, .. } = op;
    let &BatchNormAddRelu { dst, mean, inverse_deviation, .. } = op;
    let operands = [dst, mean, inverse_deviation, src, gamma, beta, running_mean, running_variance];
    training(operands, Some(addend), Settings { epsilon, momentum, relu: true }, context)
}

/// Operands: dst, mean, inverse_deviation, src, gamma, beta, running_mean, running_variance.
fn training(
    operands: [Tensor; 8],
    addend: Option<Tensor>,
    settings: Settings,
    context: &mut Context,
) -> Result<Step, KernelError> {
    if let Some(step) = own::batch_norm(&operands, addend, &settings, context)? {
        return Ok(step);
    }
    let (label, statistics) = (format!("BatchNorm {}", operands[3].shape), operands[6].region.arena);
    let [dst, mean, deviation, src, gamma, beta, running_mean, running_variance] = views(context, operands.each_ref())?;
    let addend = addend.map(|addend| context.view(&addend)).transpose()?;
    let (epsilon, momentum) = (f64::from(settings.epsilon), f64::from(settings.momentum));
    Ok(Box::new(move |context| {
        let addend = addend.as_ref().map_or(std::ptr::null(), View::raw);
        // SAFETY: see `step`.
        let code = unsafe {
            torch().batch_norm(
                dst.raw(),
                mean.raw(),
                deviation.raw(),
                src.raw(),
                addend,
                gamma.raw(),
                beta.raw(),
                running_mean.raw(),
                running_variance.raw(),
                epsilon,
                momentum,
                settings.relu,
            )
        };
        check(code, || label.clone())?;
        // Copies of weights into which these statistics are folded are now out of date.
        context.changed(statistics)
    }))
}

pub fn backward(op: &BatchNormBackward, context: &mut Context) -> Result<Step, KernelError> {
    let &BatchNormBackward { src, gamma, ddst, mean, inverse_deviation, dsrc, dgamma, dbeta } = op;
    gradients([dsrc, dgamma, dbeta, src, gamma, ddst, mean, inverse_deviation], None, context)
}

pub fn relu_backward(op: &BatchNormReluBackward, context: &mut Context) -> Result<Step, KernelError> {
    let &BatchNormReluBackward { src, dst, gamma, ddst, mean, inverse_deviation, dsrc, dgamma, dbeta, .. } = op;
    gradients([dsrc, dgamma, dbeta, src, gamma, ddst, mean, inverse_deviation], Some(dst), context)
}

/// Operands: dsrc, dgamma, dbeta, src, gamma, ddst, mean, inverse_deviation. `dst` is the forward
/// half's result if a ReLU followed.
fn gradients(operands: [Tensor; 8], dst: Option<Tensor>, context: &mut Context) -> Result<Step, KernelError> {
    if let Some(step) = own::batch_norm_backward(&operands, dst, context)? {
        return Ok(step);
    }
    let label = format!("BatchNormBackward {}", operands[3].shape);
    let [dsrc, dgamma, dbeta, src, gamma, ddst, mean, deviation] = views(context, operands.each_ref())?;
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

pub fn inference(op: &BatchNormInference, context: &mut Context) -> Result<Step, KernelError> {
    let &BatchNormInference { epsilon, relu, src, gamma, beta, running_mean, running_variance, dst } = op;
    let norm = Norm { epsilon, gamma, beta, running_mean, running_variance };
    if let Some(step) = own::batch_norm_inference(&dst, &src, &norm, relu, context)? {
        return Ok(step);
    }
    let operands = [&dst, &src, &gamma, &beta, &running_mean, &running_variance];
    let [dst, src, gamma, beta, mean, variance] = views(context, operands)?;
    let label = format!("BatchNormInference {}", op.src.shape);
    Ok(step(label, move || {
        let (epsilon, relu) = (f64::from(epsilon), relu);
        // SAFETY: see `step`.
        unsafe {
            torch().batch_norm_inference(
                dst.raw(),
                src.raw(),
                gamma.raw(),
                beta.raw(),
                mean.raw(),
                variance.raw(),
                epsilon,
                relu,
            )
        }
    }))
}
