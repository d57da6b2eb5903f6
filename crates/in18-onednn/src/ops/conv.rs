//! Convolutions. Our own kernels compute the shapes that they are made for. Otherwise oneDNN
//! computes, with weights in the layout that it prefers for the shapes at hand. Where oneDNN has
//! only plain loops, or slow ones, our products of packed matrices compute.

use in18_kernels::op::{Conv, ConvBackwardData, ConvBackwardWeight, Window};
use in18_kernels::{KernelError, Op};
use in18_tensor::{DType, Tensor, align_up};

use super::geometry::Geometry;
use super::{Binding, Compile, Steps};
use crate::context::Context;
use crate::layout::{data_type, plain};
use crate::packed::Direction;
use crate::safe::{MemoryDesc, PrimitiveDesc};
use crate::step::Place;
use crate::{packed, sys, weight_gradient, winograd};

impl Compile for Conv {
    fn compile(&self, context: &mut Context) -> Steps {
        if context.only_packed {
            return Ok(vec![packed::forward(self, context)?]);
        }
        if let Some(step) = winograd::forward(self, context)? {
            return Ok(vec![step]);
        }
        if packed::is_faster(self.window, Direction::Forward, [&self.src, &self.dst], context) {
            return Ok(vec![packed::forward(self, context)?]);
        }
        let name = name(&Op::Conv(*self), &self.src, &self.weight, &self.dst, self.window);
        let Some(desc) = forward_desc(context, [&self.src, &self.weight, &self.dst], self.window, &name)? else {
            return Ok(vec![packed::forward(self, context)?]);
        };
        let weights = desc.operand(sys::QUERY_WEIGHTS)?;
        let copy = context.weight_copy(&self.weight, &weights)?;
        let step = Binding::new(context, &desc, name)
            .tensor(sys::ARG_SRC, &self.src)?
            .place(sys::ARG_WEIGHTS, weights, Place::Weights(copy))
            .tensor(sys::ARG_DST, &self.dst)?
            .finish()?;
        Ok(vec![step])
    }
}

impl Compile for ConvBackwardData {
    fn compile(&self, context: &mut Context) -> Steps {
        if context.only_packed {
            return Ok(vec![packed::backward_data(self, context)?]);
        }
        if let Some(step) = winograd::backward_data(self, context)? {
            return Ok(vec![step]);
        }
        if packed::is_faster(self.window, Direction::BackwardData, [&self.ddst, &self.dsrc], context) {
            return Ok(vec![packed::backward_data(self, context)?]);
        }
        let name = name(&Op::ConvBackwardData(*self), &self.dsrc, &self.weight, &self.ddst, self.window);
        let Some(desc) = backward_data_desc(self, context, &name)? else {
            return Ok(vec![packed::backward_data(self, context)?]);
        };
        let weights = desc.operand(sys::QUERY_WEIGHTS)?;
        let copy = context.weight_copy(&self.weight, &weights)?;
        let step = Binding::new(context, &desc, name)
            .place(sys::ARG_WEIGHTS, weights, Place::Weights(copy))
            .tensor(sys::ARG_DIFF_DST, &self.ddst)?
            .tensor(sys::ARG_DIFF_SRC, &self.dsrc)?
            .finish()?;
        Ok(vec![step])
    }
}

/// The gradient is fp32, whatever the activations are. Our own code writes it in row-major order.
/// oneDNN writes it in the primitive's own layout, and then a second step puts it in row-major
/// order.
impl Compile for ConvBackwardWeight {
    fn compile(&self, context: &mut Context) -> Steps {
        if context.only_packed {
            return Ok(vec![packed::backward_weight(self, context)?]);
        }
        if let Some(step) = winograd::backward_weight(self, context)? {
            return Ok(vec![step]);
        }
        if let Some(step) = weight_gradient::compile(self, context)? {
            return Ok(vec![step]);
        }
        let name = name(&Op::ConvBackwardWeight(*self), &self.src, &self.dweight, &self.ddst, self.window);
        let desc = if packed::is_faster_backward_weight(self, context) || is_miscomputed(self) {
            None
        } else {
            backward_weight_desc(self, context, &name)?
        };
        let Some(desc) = desc else { return Ok(vec![packed::backward_weight(self, context)?]) };
        let own = desc.operand(sys::QUERY_DIFF_WEIGHTS)?;
        let rows = plain(self.dweight.shape.extents(), DType::F32)?;
        let binding = Binding::new(context, &desc, name.clone())
            .tensor(sys::ARG_SRC, &self.src)?
            .tensor(sys::ARG_DIFF_DST, &self.ddst)?;
        if own == rows {
            return Ok(vec![binding.region(sys::ARG_DIFF_WEIGHTS, own, self.dweight.region)?.finish()?]);
        }
        // Scratch memory: the primitive's own, then its gradient, then the scratch memory of the
        // reorder.
        let gradient_at = align_up(desc.operand(sys::QUERY_SCRATCHPAD)?.bytes());
        let product = binding.place(sys::ARG_DIFF_WEIGHTS, own.clone(), Place::Scratch(gradient_at)).finish()?;
        let reorder = PrimitiveDesc::reorder(&own, &rows, &context.engine, &context.attributes)?;
        let reorder_scratch = reorder.operand(sys::QUERY_SCRATCHPAD)?.bytes();
        let reorder_at = align_up(gradient_at + own.bytes());
        context.reserve_scratch(reorder_at + reorder_scratch)?;
        let reordered = Binding::new(context, &reorder, name)
            .place(sys::ARG_SRC, own, Place::Scratch(gradient_at))
            .region(sys::ARG_DST, rows, self.dweight.region)?
            .finish_with_scratch_at(reorder_at)?;
        Ok(vec![product, reordered])
    }
}

/// oneDNN 3.2's generated bf16 code for the weight gradient adds a wrong term to one tap of a
/// strided 3×3 kernel if the image is one pixel high or wide. (Images of 16 pixels or less become
/// so small in a ResNet's last stage.)
fn is_miscomputed(op: &ConvBackwardWeight) -> bool {
    op.src.dtype == DType::Bf16 && op.window.stride > 1 && (op.src.shape[2] == 1 || op.src.shape[3] == 1)
}

/// The forward implementation that oneDNN chooses, if oneDNN has a vectorised one. Backward
/// implementations take it as a hint.
fn forward_desc(
    context: &Context,
    [src, weight, dst]: [&Tensor; 3],
    window: Window,
    name: &str,
) -> Result<Option<PrimitiveDesc>, KernelError> {
    let any = any_weights(weight, data_type(src.dtype)?)?;
    let (src_desc, dst_desc) = (context.layout.describe(src)?, context.layout.describe(dst)?);
    let geometry = Geometry::new(window, src, dst);
    // SAFETY: all handles are alive (no bias); the arrays hold two extents each, as two spatial
    // axes need.
    unsafe {
        PrimitiveDesc::vectorised(
            || name.to_owned(),
            |pd| {
                sys::dnnl_convolution_forward_primitive_desc_create(
                    pd,
                    context.engine.raw(),
                    sys::FORWARD_TRAINING,
                    sys::CONVOLUTION_DIRECT,
                    src_desc.raw(),
                    any.raw(),
                    std::ptr::null(),
                    dst_desc.raw(),
                    geometry.strides.as_ptr(),
                    geometry.dilation.as_ptr(),
                    geometry.padding.as_ptr(),
                    geometry.padding_end.as_ptr(),
                    context.attributes.raw(),
                )
            },
        )
    }
}

/// Like [`forward_desc`], for the gradient of the input.
fn backward_data_desc(
    op: &ConvBackwardData,
    context: &Context,
    name: &str,
) -> Result<Option<PrimitiveDesc>, KernelError> {
    let hint = forward_desc(context, [&op.dsrc, &op.weight, &op.ddst], op.window, name)?;
    let Some(hint) = hint else { return Ok(None) };
    let (dsrc, ddst) = (context.layout.describe(&op.dsrc)?, context.layout.describe(&op.ddst)?);
    let any = any_weights(&op.weight, data_type(op.dsrc.dtype)?)?;
    let geometry = Geometry::new(op.window, &op.dsrc, &op.ddst);
    // SAFETY: all handles are alive; the arrays hold two extents each, as two spatial axes need.
    unsafe {
        PrimitiveDesc::vectorised(
            || name.to_owned(),
            |pd| {
                sys::dnnl_convolution_backward_data_primitive_desc_create(
                    pd,
                    context.engine.raw(),
                    sys::CONVOLUTION_DIRECT,
                    dsrc.raw(),
                    any.raw(),
                    ddst.raw(),
                    geometry.strides.as_ptr(),
                    geometry.dilation.as_ptr(),
                    geometry.padding.as_ptr(),
                    geometry.padding_end.as_ptr(),
                    hint.raw(),
                    context.attributes.raw(),
                )
            },
        )
    }
}

/// Like [`forward_desc`], for the gradient of the weights.
fn backward_weight_desc(
    op: &ConvBackwardWeight,
    context: &Context,
    name: &str,
) -> Result<Option<PrimitiveDesc>, KernelError> {
    let hint = forward_desc(context, [&op.src, &op.dweight, &op.ddst], op.window, name)?;
    let Some(hint) = hint else { return Ok(None) };
    let (src, ddst) = (context.layout.describe(&op.src)?, context.layout.describe(&op.ddst)?);
    let any = any_weights(&op.dweight, sys::F32)?;
    let geometry = Geometry::new(op.window, &op.src, &op.ddst);
    // SAFETY: all handles are alive (no bias); the arrays hold two extents each, as two spatial
    // axes need.
    unsafe {
        PrimitiveDesc::vectorised(
            || name.to_owned(),
            |pd| {
                sys::dnnl_convolution_backward_weights_primitive_desc_create(
                    pd,
                    context.engine.raw(),
                    sys::CONVOLUTION_DIRECT,
                    src.raw(),
                    any.raw(),
                    std::ptr::null(),
                    ddst.raw(),
                    geometry.strides.as_ptr(),
                    geometry.dilation.as_ptr(),
                    geometry.padding.as_ptr(),
                    geometry.padding_end.as_ptr(),
                    hint.raw(),
                    context.attributes.raw(),
                )
            },
        )
    }
}

/// The description of weights in a layout of the primitive's choice.
pub(super) fn any_weights(weight: &Tensor, data_type: sys::data_type) -> Result<MemoryDesc, KernelError> {
    MemoryDesc::new(weight.shape.extents(), data_type, sys::ANY)
}

pub(super) fn name(op: &Op, src: &Tensor, weight: &Tensor, dst: &Tensor, window: Window) -> String {
    let kind = op.name();
    format!("{kind} {} * {} / {} -> {} ({})", src.shape, weight.shape, window.stride, dst.shape, src.dtype)
}
