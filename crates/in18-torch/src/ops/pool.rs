//! Max pooling.

use in18_kernels::KernelError;
use in18_kernels::op::{MaxPool, MaxPoolBackward};
use in18_tensor::{DType, Format, Shape, Tensor};

use super::{Step, own, step, views};
use crate::memory::Context;
use crate::safe::{Element, View};
use crate::sys::torch;

/// What libtorch keeps for each result of a max pooling: the maximum's position in the plane.
const PLACE: Element = Element::I64;

/// Bytes that a max pooling of results of this shape keeps.
pub fn workspace_bytes(dst: Shape, dtype: DType, context: &Context) -> usize {
    own::max_pool_workspace_bytes(dst, dtype, context).unwrap_or(dst.elements() * PLACE.bytes())
}

/// The positions of a max pooling's maxima, laid out like its results.
fn places(context: &Context, workspace: &Tensor, dst: Shape) -> Result<View, KernelError> {
    context.elements(&workspace.region, PLACE, dst, Format::Activation)
}

pub fn max(op: &MaxPool, context: &mut Context) -> Result<Step, KernelError> {
    let [dst, src] = views(context, [&op.dst, &op.src])?;
    let places = places(context, &op.workspace, op.dst.shape)?;
    let [kernel, stride, padding] = [op.window.kernel, op.window.stride, op.window.padding].map(|n| n as i64);
    let label = format!("MaxPool {}", op.src.shape);
    // SAFETY: see `step`.
    Ok(step(label, move || unsafe { torch().max_pool(dst.raw(), places.raw(), src.raw(), kernel, stride, padding) }))
}

pub fn max_backward(op: &MaxPoolBackward, context: &mut Context) -> Result<Step, KernelError> {
    let [dsrc, ddst] = views(context, [&op.dsrc, &op.ddst])?;
    let places = places(context, &op.workspace, op.ddst.shape)?;
    let [kernel, stride, padding] = [op.window.kernel, op.window.stride, op.window.padding].map(|n| n as i64);
    let label = format!("MaxPoolBackward {}", op.dsrc.shape);
    // SAFETY: see `step`.
    Ok(step(label, move || unsafe {
        torch().max_pool_backward(dsrc.raw(), ddst.raw(), places.raw(), kernel, stride, padding)
    }))
}
