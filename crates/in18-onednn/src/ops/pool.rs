//! Max pooling by oneDNN; the global mean by loops of our own, since it changes type and layout on the way.

use in18_kernels::KernelError;
use in18_kernels::op::{GlobalAvgPool, GlobalAvgPoolBackward, MaxPool, MaxPoolBackward, Window};
use in18_tensor::{DType, Tensor};

use super::conv::padding_end;
use super::{Binding, check};
use crate::safe::{PROVIDER, PrimitiveDesc, dims};
use crate::step::{Context, LoopStep, Step};
use crate::sys;
use crate::threads::{Shared, parallel, part};
use crate::vector::{self, Bf16, Element};

pub fn max_forward(op: &MaxPool, context: &mut Context) -> Result<Vec<Box<dyn Step>>, KernelError> {
    let desc = forward_desc(context, &op.src, &op.dst, op.window)?;
    let workspace = desc.operand(sys::QUERY_WORKSPACE)?;
    let step = Binding::new(context, &desc, name("MaxPool", &op.src))
        .tensor(sys::ARG_SRC, &op.src)?
        .tensor(sys::ARG_DST, &op.dst)?
        .region(sys::ARG_WORKSPACE, workspace, op.workspace.region)?
        .finish()?;
    Ok(vec![step])
}

pub fn max_backward(op: &MaxPoolBackward, context: &mut Context) -> Result<Vec<Box<dyn Step>>, KernelError> {
    let hint = forward_desc(context, &op.dsrc, &op.ddst, op.window)?;
    let (dsrc, ddst) = (context.layout.describe(&op.dsrc)?, context.layout.describe(&op.ddst)?);
    let geometry = Geometry::new(op.window, &op.dsrc, &op.ddst);
    // SAFETY: all handles are alive; the arrays hold two extents each, as two spatial axes need.
    let desc = unsafe {
        PrimitiveDesc::create(
            || name("MaxPoolBackward", &op.dsrc),
            |pd| {
                sys::dnnl_pooling_backward_primitive_desc_create(
                    pd,
                    context.engine.raw(),
                    sys::POOLING_MAX,
                    dsrc.raw(),
                    ddst.raw(),
                    geometry.strides.as_ptr(),
                    geometry.kernel.as_ptr(),
                    geometry.dilation.as_ptr(),
                    geometry.padding.as_ptr(),
                    geometry.padding_end.as_ptr(),
                    hint.raw(),
                    context.attributes.raw(),
                )
            },
        )?
    };
    let workspace = desc.operand(sys::QUERY_WORKSPACE)?;
    let step = Binding::new(context, &desc, name("MaxPoolBackward", &op.dsrc))
        .tensor(sys::ARG_DIFF_DST, &op.ddst)?
        .region(sys::ARG_WORKSPACE, workspace, op.workspace.region)?
        .tensor(sys::ARG_DIFF_SRC, &op.dsrc)?
        .finish()?;
    Ok(vec![step])
}

pub fn global_avg_forward(op: &GlobalAvgPool, context: &mut Context) -> Result<Vec<Box<dyn Step>>, KernelError> {
    check_global(context, &op.src, &op.dst)?;
    Ok(vec![match (op.src.dtype, context.layout.block) {
        (DType::Bf16, 16) => average::<Bf16, 16>(*op),
        (DType::Bf16, _) => average::<Bf16, 8>(*op),
        (_, 16) => average::<f32, 16>(*op),
        (_, _) => average::<f32, 8>(*op),
    }])
}

pub fn global_avg_backward(
    op: &GlobalAvgPoolBackward,
    context: &mut Context,
) -> Result<Vec<Box<dyn Step>>, KernelError> {
    check_global(context, &op.dsrc, &op.ddst)?;
    Ok(vec![match (op.dsrc.dtype, context.layout.block) {
        (DType::Bf16, 16) => spread::<Bf16, 16>(*op),
        (DType::Bf16, _) => spread::<Bf16, 8>(*op),
        (_, 16) => spread::<f32, 16>(*op),
        (_, _) => spread::<f32, 8>(*op),
    }])
}

struct Geometry {
    strides: sys::dims,
    kernel: sys::dims,
    dilation: sys::dims,
    padding: sys::dims,
    padding_end: sys::dims,
}

impl Geometry {
    fn new(window: Window, src: &Tensor, dst: &Tensor) -> Self {
        Geometry {
            strides: dims(&[window.stride; 2]),
            kernel: dims(&[window.kernel; 2]),
            dilation: dims(&[0; 2]),
            padding: dims(&[window.padding; 2]),
            padding_end: padding_end(window, src, dst),
        }
    }
}

fn forward_desc(context: &Context, src: &Tensor, dst: &Tensor, window: Window) -> Result<PrimitiveDesc, KernelError> {
    let (src_desc, dst_desc) = (context.layout.describe(src)?, context.layout.describe(dst)?);
    let geometry = Geometry::new(window, src, dst);
    // SAFETY: all handles are alive; the arrays hold two extents each, as two spatial axes need.
    unsafe {
        PrimitiveDesc::create(
            || name("MaxPool", src),
            |pd| {
                sys::dnnl_pooling_forward_primitive_desc_create(
                    pd,
                    context.engine.raw(),
                    sys::FORWARD_TRAINING,
                    sys::POOLING_MAX,
                    src_desc.raw(),
                    dst_desc.raw(),
                    geometry.strides.as_ptr(),
                    geometry.kernel.as_ptr(),
                    geometry.dilation.as_ptr(),
                    geometry.padding.as_ptr(),
                    geometry.padding_end.as_ptr(),
                    context.attributes.raw(),
                )
            },
        )
    }
}

fn name(kind: &str, src: &Tensor) -> String {
    format!("{kind} {} ({})", src.shape, src.dtype)
}

/// The loops below read whole blocks of channels.
fn check_global(context: &Context, image: &Tensor, vector: &Tensor) -> Result<(), KernelError> {
    check(context, &[(image, image.dtype), (vector, DType::F32)])?;
    let whole_blocks = image.shape[1].is_multiple_of(context.layout.block);
    if !whole_blocks
        || !matches!(image.dtype, DType::F32 | DType::Bf16)
        || vector.shape.extents() != &image.shape.extents()[..2]
    {
        return Err(KernelError::Unsupported {
            provider: PROVIDER,
            what: format!("the global mean of {} ({}) to {}", image.shape, image.dtype, vector.shape),
            remedy: "use a number of channels that is a multiple of 16",
        });
    }
    Ok(())
}

/// Blocked (N, C/B, H·W, B) to plain (N, C).
fn average<E: Element, const B: usize>(op: GlobalAvgPool) -> Box<dyn Step> {
    let rows = op.src.shape[0] * op.src.shape[1] / B;
    let pixels = op.src.shape[2] * op.src.shape[3];
    Box::new(LoopStep(move |context: &mut Context| {
        let src = Shared::<E>::new(context.address(&op.src.region)?);
        let dst = Shared::<[f32; B]>::new(context.address(&op.dst.region)?);
        let isa = context.isa;
        parallel(|thread, threads| {
            for row in part(rows, 1, thread, threads) {
                let mut sums = [0f32; B];
                // SAFETY: `rows · pixels · B` elements are the source's, `rows · B` the result's, as checked; every
                // row belongs to one thread.
                unsafe {
                    vector::sum_rows::<E, B>(isa, src.at(row * pixels * B), pixels, &mut sums);
                    dst.at(row).write_unaligned(sums.map(|sum| sum / pixels as f32));
                }
            }
        });
        Ok(())
    }))
}

/// Plain (N, C) to blocked (N, C/B, H·W, B).
fn spread<E: Element, const B: usize>(op: GlobalAvgPoolBackward) -> Box<dyn Step> {
    let rows = op.dsrc.shape[0] * op.dsrc.shape[1] / B;
    let pixels = op.dsrc.shape[2] * op.dsrc.shape[3];
    Box::new(LoopStep(move |context: &mut Context| {
        let ddst = Shared::<[f32; B]>::new(context.address(&op.ddst.region)?);
        let dsrc = Shared::<[E; B]>::new(context.address(&op.dsrc.region)?);
        parallel(|thread, threads| {
            for row in part(rows, 1, thread, threads) {
                // SAFETY: as in `average`.
                unsafe {
                    let value = ddst.at(row).read_unaligned().map(|d| E::from_f32(d / pixels as f32));
                    for pixel in 0..pixels {
                        dsrc.at(row * pixels + pixel).write_unaligned(value);
                    }
                }
            }
        });
        Ok(())
    }))
}
