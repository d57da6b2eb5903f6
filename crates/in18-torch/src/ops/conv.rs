//! Convolutions, with and without the normalisation of evaluation.

use std::cell::Cell;

use in18_kernels::KernelError;
use in18_kernels::op::{
    BatchNormInference, Conv, ConvBackwardData, ConvBackwardWeight, ConvNorm, ConvNormAddRelu, Window,
};
use in18_tensor::{DType, Format, Tensor};

use super::{Step, own, plain, views};
use crate::memory::{Context, CopyId, Ingredients, Norm};
use crate::safe::{View, check};
use crate::sys::torch;

/// Kernel, stride, padding, as the shim takes them.
fn numbers(window: Window) -> [i64; 3] {
    [window.kernel, window.stride, window.padding].map(|number| number as i64)
}

pub fn forward(op: &Conv, context: &mut Context) -> Result<Step, KernelError> {
    let [dst, src] = views(context, [&op.dst, &op.src])?;
    let weights = context.weight_copy(Ingredients { weight: op.weight, dtype: op.src.dtype, norm: None })?;
    Ok(convolution(dst, src, weights, op.window, false, format!("Conv {} to {}", op.src.shape, op.dst.shape)))
}

fn convolution(dst: View, src: View, weights: CopyId, window: Window, relu: bool, label: String) -> Step {
    let ([kernel, stride, padding], ordinal) = (numbers(window), Cell::new(0));
    Box::new(move |context| {
        let (weight, bias) = context.fresh_weights(weights)?;
        let bias = bias.map_or(std::ptr::null(), View::raw);
        // SAFETY: see `step`; copies of weights live as long as the context.
        let code = unsafe {
            torch().conv(dst.raw(), src.raw(), weight.raw(), bias, kernel, stride, padding, relu, ordinal.as_ptr())
        };
        check(code, || label.clone())
    })
}

pub fn backward_data(op: &ConvBackwardData, context: &mut Context) -> Result<Step, KernelError> {
    let [dsrc, ddst] = views(context, [&op.dsrc, &op.ddst])?;
    let weights = context.weight_copy(Ingredients { weight: op.weight, dtype: op.ddst.dtype, norm: None })?;
    let ([kernel, stride, padding], ordinal) = (numbers(op.window), Cell::new(0));
    let label = format!("ConvBackwardData {} to {}", op.ddst.shape, op.dsrc.shape);
    Ok(Box::new(move |context| {
        let (weight, _) = context.fresh_weights(weights)?;
        // SAFETY: see `convolution`.
        let code = unsafe {
            torch().conv_backward_data(dsrc.raw(), weight.raw(), ddst.raw(), kernel, stride, padding, ordinal.as_ptr())
        };
        check(code, || label.clone())
    }))
}

pub fn backward_weight(op: &ConvBackwardWeight, context: &mut Context) -> Result<Step, KernelError> {
    let [dweight, src, ddst] = views(context, [&op.dweight, &op.src, &op.ddst])?;
    let shape = op.dweight.shape;
    // libtorch's gradient has the type and layout of its weights. Only that of a 1×1 kernel in fp32
    // lies as ours does.
    let apart = match op.src.dtype == DType::F32 && op.window.kernel == 1 {
        true => None,
        false => {
            let [gradient] = context.scratch([(shape, op.src.dtype, Format::ChannelsLast)])?;
            Some(gradient)
        }
    };
    let ([kernel, stride, padding], ordinal) = (numbers(op.window), Cell::new(0));
    let label = format!("ConvBackwardWeight {} to {shape}", op.src.shape);
    Ok(Box::new(move |_| {
        let gradient = apart.as_ref().unwrap_or(&dweight);
        // SAFETY: see `step`.
        let code = unsafe {
            torch().conv_backward_weight(
                gradient.raw(),
                src.raw(),
                ddst.raw(),
                kernel,
                stride,
                padding,
                ordinal.as_ptr(),
            )
        };
        check(code, || label.clone())?;
        if let Some(gradient) = &apart {
            dweight.copy_from(gradient)?;
        }
        Ok(())
    }))
}

pub fn norm(op: &ConvNorm, context: &mut Context) -> Result<Step, KernelError> {
    let &ConvNorm { window, epsilon, relu, src, weight, gamma, beta, running_mean, running_variance, dst } = op;
    let norm = Norm { epsilon, gamma, beta, running_mean, running_variance };
    let label = format!("ConvNorm {} to {}", src.shape, dst.shape);
    if relu && context.gpu.is_some() {
        return fused([dst, src], (weight, norm), window, false, label, context);
    }
    let after = BatchNormInference { epsilon, relu, src: dst, gamma, beta, running_mean, running_variance, dst };
    if let Some(normalize) = own::compile(&after.into(), context)? {
        let convolve = forward(&Conv { window, src, weight, dst }, context)?;
        return Ok(Box::new(move |context| {
            convolve(context)?;
            normalize(context)
        }));
    }
    let weights = context.weight_copy(Ingredients { weight, dtype: src.dtype, norm: Some(norm) })?;
    let [dst, src] = views(context, [&dst, &src])?;
    Ok(convolution(dst, src, weights, window, relu, label))
}

pub fn norm_add_relu(op: &ConvNormAddRelu, context: &mut Context) -> Result<Step, KernelError> {
    let &ConvNormAddRelu { window, epsilon, src, weight, gamma, beta, running_mean, running_variance, dst } = op;
    let norm = Norm { epsilon, gamma, beta, running_mean, running_variance };
    let label = format!("ConvNormAddRelu {} to {}", src.shape, dst.shape);
    if context.gpu.is_some() {
        return fused([dst, src], (weight, norm), window, true, label, context);
    }
    let weights = context.weight_copy(Ingredients { weight, dtype: src.dtype, norm: Some(norm) })?;
    // The convolution's result, and the same scratch memory as the sum reads it.
    let apart = (dst.shape, dst.dtype, Format::Activation);
    let ([convolved], [addend]) = (context.scratch([apart])?, context.scratch([apart])?);
    let [to, from] = views(context, [&dst, &src])?;
    let convolve = convolution(convolved, from, weights, window, false, label);
    let sum = plain::call("AddRelu", vec![to, addend, context.view(&dst)?], Vec::new(), "a residual sum".to_owned())?;
    Ok(Box::new(move |context| {
        convolve(context)?;
        sum(context)
    }))
}

/// On a GPU: convolution, normalisation, the sum with the result's previous content (if `adds`),
/// and ReLU in one kernel. The first run tries out how. An emulated GPU has no such kernel, so that
/// its tests cover that case.
fn fused(
    [dst, src]: [Tensor; 2],
    (weight, norm): (Tensor, Norm),
    window: Window,
    adds: bool,
    label: String,
    context: &mut Context,
) -> Result<Step, KernelError> {
    let weights = context.weight_copy(Ingredients { weight, dtype: src.dtype, norm: Some(norm) })?;
    let [dst, src] = views(context, [&dst, &src])?;
    let ([kernel, stride, padding], way, ordinal) = (numbers(window), Cell::new(0), Cell::new(0));
    Ok(Box::new(move |context| {
        let (weight, bias) = context.fresh_weights(weights)?;
        let bias = bias.map_or(std::ptr::null(), View::raw);
        // SAFETY: see `convolution`.
        let code = unsafe {
            torch().conv_relu(
                dst.raw(),
                src.raw(),
                weight.raw(),
                bias,
                kernel,
                stride,
                padding,
                adds,
                way.as_ptr(),
                ordinal.as_ptr(),
            )
        };
        check(code, || label.clone())
    }))
}
