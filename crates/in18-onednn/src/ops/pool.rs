//! Max pooling by oneDNN. The global mean is computed by loops of our own, since it changes type
//! and layout on the way.

use in18_kernels::KernelError;
use in18_kernels::op::{GlobalAvgPool, GlobalAvgPoolBackward, MaxPool, MaxPoolBackward, Window};
use in18_tensor::{DType, Tensor};

use super::geometry::Geometry;
use super::{Binding, Compile, Steps, check};
use crate::context::Context;
use crate::layout::Layout;
use crate::safe::{PROVIDER, PrimitiveDesc};
use crate::simd::MOST_LANES;
use crate::step::{LoopStep, Step};
use crate::sys;
use crate::threads::{Shared, parallel, part};
use crate::vector::{self, Bf16, Element};

impl Compile for MaxPool {
    fn compile(&self, context: &mut Context) -> Steps {
        let desc = forward_desc(context, &self.src, &self.dst, self.window)?;
        let workspace = desc.operand(sys::QUERY_WORKSPACE)?;
        let step = Binding::new(context, &desc, name("MaxPool", &self.src))
            .tensor(sys::ARG_SRC, &self.src)?
            .tensor(sys::ARG_DST, &self.dst)?
            .region(sys::ARG_WORKSPACE, workspace, self.workspace.region)?
            .finish()?;
        Ok(vec![step])
    }
}

impl Compile for MaxPoolBackward {
    fn compile(&self, context: &mut Context) -> Steps {
        let hint = forward_desc(context, &self.dsrc, &self.ddst, self.window)?;
        let (dsrc, ddst) = (context.layout.describe(&self.dsrc)?, context.layout.describe(&self.ddst)?);
        let geometry = Geometry::new(self.window, &self.dsrc, &self.ddst);
        // SAFETY: all handles are alive; the arrays hold two extents each, as two spatial axes need.
        let desc = unsafe {
            PrimitiveDesc::preferred(
                || name("MaxPoolBackward", &self.dsrc),
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
        let step = Binding::new(context, &desc, name("MaxPoolBackward", &self.dsrc))
            .tensor(sys::ARG_DIFF_DST, &self.ddst)?
            .region(sys::ARG_WORKSPACE, workspace, self.workspace.region)?
            .tensor(sys::ARG_DIFF_SRC, &self.dsrc)?
            .finish()?;
        Ok(vec![step])
    }
}

impl Compile for GlobalAvgPool {
    fn compile(&self, context: &mut Context) -> Steps {
        check_global(context, &self.src, &self.dst)?;
        let blocks = Blocks::new(&self.src, &context.layout);
        Ok(vec![match self.src.dtype {
            DType::Bf16 => average::<Bf16>(*self, blocks),
            _ => average::<f32>(*self, blocks),
        }])
    }
}

impl Compile for GlobalAvgPoolBackward {
    fn compile(&self, context: &mut Context) -> Steps {
        check_global(context, &self.dsrc, &self.ddst)?;
        let blocks = Blocks::new(&self.dsrc, &context.layout);
        Ok(vec![match self.dsrc.dtype {
            DType::Bf16 => spread::<Bf16>(*self, blocks),
            _ => spread::<f32>(*self, blocks),
        }])
    }
}

fn forward_desc(context: &Context, src: &Tensor, dst: &Tensor, window: Window) -> Result<PrimitiveDesc, KernelError> {
    let (src_desc, dst_desc) = (context.layout.describe(src)?, context.layout.describe(dst)?);
    let geometry = Geometry::new(window, src, dst);
    // SAFETY: all handles are alive; the arrays hold two extents each, as two spatial axes need.
    unsafe {
        PrimitiveDesc::preferred(
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

fn check_global(context: &Context, image: &Tensor, vector: &Tensor) -> Result<(), KernelError> {
    check(context, &[(image, image.dtype), (vector, DType::F32)])?;
    let bytes = context.layout.activation_bytes(image.shape, image.dtype);
    if image.region.bytes < bytes {
        let got = image.region.bytes;
        return Err(KernelError::Length { what: "the operand of a global mean, in bytes", expected: bytes, got });
    }
    if !matches!(image.dtype, DType::F32 | DType::Bf16) || vector.shape.extents() != &image.shape.extents()[..2] {
        return Err(KernelError::Unsupported {
            provider: PROVIDER,
            what: format!("the global mean of {} ({}) to {}", image.shape, image.dtype, vector.shape),
            remedy: "this is an error of the caller",
        });
    }
    Ok(())
}

/// An activation as (N · blocks, pixels, lanes). A row-major activation has one block of one lane
/// per channel.
#[derive(Clone, Copy)]
struct Blocks {
    images: usize,
    channels: usize,
    blocks: usize,
    pixels: usize,
    lanes: usize,
}

impl Blocks {
    fn new(image: &Tensor, layout: &Layout) -> Self {
        let (images, channels) = (image.shape[0], image.shape[1]);
        let lanes = if layout.is_blocked(channels) { layout.block } else { 1 };
        let pixels = image.shape[2] * image.shape[3];
        Blocks { images, channels, blocks: channels.div_ceil(lanes), pixels, lanes }
    }

    /// The channels of a row, as (index of the first in the plain (N, C) vector, number of
    /// channels).
    fn channels(&self, row: usize) -> (usize, usize) {
        let first = row % self.blocks * self.lanes;
        (row / self.blocks * self.channels + first, self.lanes.min(self.channels - first))
    }
}

fn average<E: Element>(op: GlobalAvgPool, blocks: Blocks) -> Box<dyn Step> {
    Box::new(LoopStep("own:mean", move |context: &mut Context| {
        let src = Shared::<E>::new(context.address(&op.src.region)?);
        let dst = Shared::<f32>::new(context.address(&op.dst.region)?);
        let isa = context.isa;
        let Blocks { pixels, lanes, .. } = blocks;
        parallel(|thread, threads| {
            for row in part(blocks.images * blocks.blocks, 1, thread, threads) {
                let mut sums = [0f32; MOST_LANES];
                let (first, channels) = blocks.channels(row);
                // SAFETY: `check_global` compared both regions with the shapes that `blocks` was
                // made from. Every row belongs to one thread.
                unsafe {
                    let from = src.at(row * pixels * lanes);
                    if lanes == MOST_LANES {
                        vector::sum_rows::<E, MOST_LANES>(isa, from, pixels, &mut sums);
                    } else if lanes == 8 {
                        let mut eight = [0f32; 8];
                        vector::sum_rows::<E, 8>(isa, from, pixels, &mut eight);
                        sums[..8].copy_from_slice(&eight);
                    } else {
                        for (lane, sum) in sums.iter_mut().enumerate().take(lanes) {
                            *sum = (0..pixels).map(|pixel| from.add(pixel * lanes + lane).read().to_f32()).sum();
                        }
                    }
                    for (lane, sum) in sums.iter().enumerate().take(channels) {
                        dst.at(first + lane).write(sum / pixels as f32);
                    }
                }
            }
        });
        Ok(())
    }))
}

fn spread<E: Element>(op: GlobalAvgPoolBackward, blocks: Blocks) -> Box<dyn Step> {
    Box::new(LoopStep("own:mean", move |context: &mut Context| {
        let ddst = Shared::<f32>::new(context.address(&op.ddst.region)?);
        let dsrc = Shared::<E>::new(context.address(&op.dsrc.region)?);
        let Blocks { pixels, lanes, .. } = blocks;
        parallel(|thread, threads| {
            for row in part(blocks.images * blocks.blocks, 1, thread, threads) {
                // Lanes beyond the last channel are padding, which oneDNN requires to be zero.
                let mut values = [E::default(); MOST_LANES];
                let (first, channels) = blocks.channels(row);
                // SAFETY: as in `average`.
                unsafe {
                    for (lane, value) in values.iter_mut().enumerate().take(channels) {
                        *value = E::from_f32(ddst.at(first + lane).read() / pixels as f32);
                    }
                    for pixel in 0..pixels {
                        let to = dsrc.at((row * pixels + pixel) * lanes);
                        std::ptr::copy_nonoverlapping(values.as_ptr(), to, lanes);
                    }
                }
            }
        });
        Ok(())
    }))
}
