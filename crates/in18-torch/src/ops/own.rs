//! The GPU kernels of our own (`in18-cuda/kernels`). They compute what lies between the
//! convolutions, in as few passes over memory as possible. Where a kernel does not apply, its
//! function returns `None`, and libtorch's operations do the work.

use std::ffi::{c_int, c_void};
use std::ptr;

use in18_cuda::sys::{self, Pool};
use in18_cuda::{CudaError, Gpu};
use in18_kernels::op::{BatchNorm, BatchNormAddRelu, BatchNormBackward, BatchNormInference};
use in18_kernels::op::{MaxPool, MaxPoolBackward, Normalize, SumReluBackward, Window};
use in18_kernels::{KernelError, Op};
use in18_tensor::{DType, Shape, Tensor};

use super::Step;
use super::batch_norm::without_relu;
use crate::gpu::failed;
use crate::memory::Context;

/// Bytes that a kernel loads at once. Addresses and the channels' bytes must be multiples of it.
const PACK: usize = 16;

/// The widest window whose places fit into a byte.
const WIDEST_POOL: usize = 16;

/// Compiles an operation that has a kernel here, if the kernel applies.
pub fn compile(op: &Op, context: &Context) -> Result<Option<Step>, KernelError> {
    match op {
        Op::BatchNorm(op) => batch_norm(op, None, context),
        Op::BatchNormAddRelu(op) => {
            let &BatchNormAddRelu { epsilon, momentum, src, addend, gamma, beta, .. } = op;
            let &BatchNormAddRelu { running_mean, running_variance, dst, mean, inverse_deviation, .. } = op;
            let norm = BatchNorm {
                epsilon,
                momentum,
                relu: true,
                src,
                gamma,
                beta,
                running_mean,
                running_variance,
                dst,
                mean,
                inverse_deviation,
            };
            batch_norm(&norm, Some(&addend), context)
        }
        Op::BatchNormBackward(op) => batch_norm_backward(op, None, context),
        Op::BatchNormReluBackward(op) => batch_norm_backward(&without_relu(op), Some(&op.dst), context),
        Op::BatchNormInference(op) => batch_norm_inference(op, context),
        Op::SumReluBackward(op) => sum_relu_backward(op, context),
        Op::MaxPool(op) => max_pool(op, context),
        Op::MaxPoolBackward(op) => max_pool_backward(op, context),
        _ => Ok(None),
    }
}

fn batch_norm(op: &BatchNorm, addend: Option<&Tensor>, context: &Context) -> Result<Option<Step>, KernelError> {
    let BatchNorm { src, gamma, beta, running_mean, running_variance, dst, mean, inverse_deviation, .. } = op;
    let Some((dtype, rows, channels)) = applies(src, [Some(dst), Some(src), addend], context)? else { return Ok(None) };
    let address = |tensor: &Tensor| context.address(&tensor.region);
    let statistics = running_mean.region.arena;
    let op = sys::BatchNorm {
        dtype,
        relu: c_int::from(op.relu),
        rows,
        channels,
        dst: address(dst)?.cast(),
        src: address(src)?.cast(),
        addend: addend.map_or(Ok(ptr::null_mut()), address)?.cast(),
        gamma: address(gamma)?.cast(),
        beta: address(beta)?.cast(),
        mean: address(mean)?.cast(),
        inverse_deviation: address(inverse_deviation)?.cast(),
        running_mean: address(running_mean)?.cast(),
        running_variance: address(running_variance)?.cast(),
        epsilon: op.epsilon,
        momentum: op.momentum,
    };
    Ok(Some(Box::new(move |context| {
        // SAFETY: see `applies`.
        on(context, |gpu| unsafe { gpu.batch_norm(&op) })?;
        // Copies of weights into which these statistics are folded are now out of date.
        context.changed(statistics)
    })))
}

fn batch_norm_inference(op: &BatchNormInference, context: &Context) -> Result<Option<Step>, KernelError> {
    let BatchNormInference { epsilon, relu, src, gamma, beta, running_mean, running_variance, dst } = op;
    let Some((dtype, rows, channels)) = applies(src, [Some(dst), Some(src)], context)? else { return Ok(None) };
    let address = |tensor: &Tensor| context.address(&tensor.region);
    let op = sys::BatchNormInference {
        dtype,
        relu: c_int::from(*relu),
        rows,
        channels,
        dst: address(dst)?.cast(),
        src: address(src)?.cast(),
        gamma: address(gamma)?.cast(),
        beta: address(beta)?.cast(),
        mean: address(running_mean)?.cast(),
        variance: address(running_variance)?.cast(),
        epsilon: *epsilon,
    };
    // SAFETY: see `applies`.
    Ok(Some(Box::new(move |context| on(context, |gpu| unsafe { gpu.batch_norm_inference(&op) }))))
}

/// `dst`: the forward half's result, if a ReLU ended it.
fn batch_norm_backward(
    op: &BatchNormBackward,
    dst: Option<&Tensor>,
    context: &Context,
) -> Result<Option<Step>, KernelError> {
    let BatchNormBackward { src, gamma, ddst, mean, inverse_deviation, dsrc, dgamma, dbeta } = op;
    let activations = [Some(dsrc), Some(src), Some(ddst), dst];
    let Some((dtype, rows, channels)) = applies(src, activations, context)? else { return Ok(None) };
    let address = |tensor: &Tensor| context.address(&tensor.region);
    let op = sys::BatchNormBackward {
        dtype,
        rows,
        channels,
        dsrc: address(dsrc)?.cast(),
        src: address(src)?.cast(),
        dst: dst.map_or(Ok(ptr::null_mut()), address)?.cast(),
        ddst: address(ddst)?.cast(),
        gamma: address(gamma)?.cast(),
        mean: address(mean)?.cast(),
        inverse_deviation: address(inverse_deviation)?.cast(),
        dgamma: address(dgamma)?.cast(),
        dbeta: address(dbeta)?.cast(),
    };
    // SAFETY: see `applies`.
    Ok(Some(Box::new(move |context| on(context, |gpu| unsafe { gpu.batch_norm_backward(&op) }))))
}

fn sum_relu_backward(op: &SumReluBackward, context: &Context) -> Result<Option<Step>, KernelError> {
    let SumReluBackward { dsrc, dst, ddst_a, ddst_b } = op;
    let activations = [dsrc, dst, ddst_a, ddst_b];
    let Some((dtype, ..)) = applies(dsrc, activations.map(Some), context)? else { return Ok(None) };
    let mut addresses = [ptr::null_mut::<c_void>(); 4];
    for (address, tensor) in addresses.iter_mut().zip(activations) {
        *address = context.address(&tensor.region)?.cast();
    }
    let values = dsrc.shape.elements();
    // SAFETY: see `applies`.
    Ok(Some(Box::new(move |context| on(context, |gpu| unsafe { gpu.sum_relu_backward(dtype, addresses, values) }))))
}

/// Pixels to the network's input. `scale` and `shift` are fp32 on the GPU, one value a channel, and
/// must live as long as the step.
pub fn normalize(
    op: &Normalize,
    [scale, shift]: [*const f32; 2],
    context: &Context,
) -> Result<Option<impl Fn(&Context) -> Result<(), KernelError> + use<>>, KernelError> {
    let Normalize { pixels, dst } = op;
    let count = dst.shape.elements() / 3;
    let Some(dtype) = dtype(dst).filter(|_| context.gpu.is_some() && count.is_multiple_of(PACK)) else {
        return Ok(None);
    };
    let (to, from) = (context.address(&dst.region)?, context.address(&pixels.region)?);
    if !(to as usize).is_multiple_of(PACK) || !(from as usize).is_multiple_of(PACK) {
        return Ok(None);
    }
    Ok(Some(move |context: &Context| {
        // SAFETY: see `applies`; the rest is the caller's promise.
        on(context, |gpu| unsafe { gpu.normalize(dtype, to.cast(), from, [scale, shift], count) })
    }))
}

/// Bytes that [`max_pool`] keeps for results of this shape and type; `None` if it does not apply.
pub fn max_pool_workspace_bytes(dst: Shape, dtype: DType, context: &Context) -> Option<usize> {
    let takes = context.gpu.is_some() && (dst[1] * dtype.bytes()).is_multiple_of(PACK);
    // If our kernel declines for another reason, never less than libtorch's kernel would keep.
    takes.then(|| dst.elements()).filter(|_| c_int::try_from(dst.elements()).is_ok())
}

fn max_pool(op: &MaxPool, context: &Context) -> Result<Option<Step>, KernelError> {
    let MaxPool { src, dst, workspace, window } = op;
    if applies(src, [Some(dst), Some(src)], context)?.is_none() {
        return Ok(None);
    }
    let Some(pool) = pool(src, dst, *window).filter(|_| window.kernel <= WIDEST_POOL) else { return Ok(None) };
    let address = |tensor: &Tensor| context.address(&tensor.region);
    let (to, from, places) = (address(dst)?, address(src)?, address(workspace)?);
    Ok(Some(Box::new(move |context| {
        // SAFETY: see `applies`; the workspace is as long as `max_pool_workspace_bytes` said.
        on(context, |gpu| unsafe { gpu.max_pool(&pool, to.cast(), places, from.cast()) })
    })))
}

fn max_pool_backward(op: &MaxPoolBackward, context: &Context) -> Result<Option<Step>, KernelError> {
    let MaxPoolBackward { ddst, workspace, dsrc, window } = op;
    if applies(dsrc, [Some(dsrc), Some(ddst)], context)?.is_none() {
        return Ok(None);
    }
    let Some(pool) = pool(dsrc, ddst, *window).filter(|_| window.kernel <= WIDEST_POOL) else { return Ok(None) };
    let address = |tensor: &Tensor| context.address(&tensor.region);
    let (to, from, places) = (address(dsrc)?, address(ddst)?, address(workspace)?);
    Ok(Some(Box::new(move |context| {
        // SAFETY: see `max_pool`.
        on(context, |gpu| unsafe { gpu.max_pool_backward(&pool, to.cast(), from.cast(), places) })
    })))
}

/// The extents of a pooling from one activation or gradient to another.
fn pool(src: &Tensor, dst: &Tensor, window: Window) -> Option<Pool> {
    let (&[n, c, h, w], &[_, _, out_h, out_w]) = (src.shape.extents(), dst.shape.extents()) else { return None };
    let numbers = [n, c, h, w, out_h, out_w, window.kernel, window.stride, window.padding].map(c_int::try_from);
    let [
        Ok(images),
        Ok(channels),
        Ok(height),
        Ok(width),
        Ok(out_height),
        Ok(out_width),
        Ok(kernel),
        Ok(stride),
        Ok(padding),
    ] = numbers
    else {
        return None;
    };
    let dtype = dtype(src)?;
    Some(Pool { dtype, images, channels, height, width, out_height, out_width, kernel, stride, padding })
}

/// The kernels' number for a type.
fn dtype(tensor: &Tensor) -> Option<c_int> {
    match tensor.dtype {
        DType::F32 => Some(sys::F32),
        DType::Bf16 => Some(sys::BF16),
        DType::F16 => Some(sys::F16),
        DType::U8 | DType::I32 => None,
    }
}

/// Type, rows and channels of an activation, if the kernels can take all these tensors. `unsafe`
/// rests on this: addresses lie in their arenas ([`Context::address`]), shapes and types fit
/// (`Op::check`), and programs are rebuilt when an arena has moved.
fn applies<const K: usize>(
    of: &Tensor,
    activations: [Option<&Tensor>; K],
    context: &Context,
) -> Result<Option<(c_int, c_int, c_int)>, KernelError> {
    let Some(dtype) = dtype(of) else { return Ok(None) };
    let &[n, c, h, w] = of.shape.extents() else { return Ok(None) };
    let (Ok(rows), Ok(channels)) = (c_int::try_from(n * h * w), c_int::try_from(c)) else { return Ok(None) };
    if context.gpu.is_none() || !(c * of.dtype.bytes()).is_multiple_of(PACK) {
        return Ok(None);
    }
    for tensor in activations.into_iter().flatten() {
        if !(context.address(&tensor.region)? as usize).is_multiple_of(PACK) {
            return Ok(None);
        }
    }
    Ok(Some((dtype, rows, channels)))
}

/// Calls a kernel.
fn on(context: &Context, call: impl FnOnce(&Gpu) -> Result<(), CudaError>) -> Result<(), KernelError> {
    context.gpu.as_ref().map_or(Ok(()), call).map_err(failed)
}
