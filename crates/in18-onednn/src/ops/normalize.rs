//! Converts pixels (channels-last) to the network's input, which is row-major because it has fewer
//! channels than a block.

use in18_kernels::KernelError;
use in18_kernels::op::{Normalize, PIXEL_DEVIATION, PIXEL_MEAN};
use in18_tensor::DType;

use super::{Compile, Steps, check};
use crate::context::Context;
use crate::safe::PROVIDER;
use crate::step::{LoopStep, Step};
use crate::threads::{Shared, parallel, part};
use crate::vector::{self, Bf16, Element};

impl Compile for Normalize {
    fn compile(&self, context: &mut Context) -> Steps {
        check(context, &[(&self.pixels, DType::U8), (&self.dst, self.dst.dtype)])?;
        if self.dst.shape[1] != PIXEL_MEAN.len() || self.pixels.shape != self.dst.shape {
            return Err(KernelError::Unsupported {
                provider: PROVIDER,
                what: format!("pixels of shape {} to an input of shape {}", self.pixels.shape, self.dst.shape),
                remedy: "images have three channels",
            });
        }
        Ok(vec![match self.dst.dtype {
            DType::Bf16 => step::<Bf16>(*self),
            _ => step::<f32>(*self),
        }])
    }
}

fn step<E: Element>(op: Normalize) -> Box<dyn Step> {
    let images = op.dst.shape[0];
    let plane = op.dst.shape[2] * op.dst.shape[3];
    Box::new(LoopStep("own:normalize", move |context: &mut Context| {
        let pixels = Shared::<u8>::new(context.address(&op.pixels.region)?);
        let dst = Shared::<E>::new(context.address(&op.dst.region)?);
        let isa = context.isa;
        parallel(|thread, threads| {
            for image in part(images, 1, thread, threads) {
                let offset = image * 3 * plane;
                // SAFETY: the image lies within both tensors, whose regions `compile` checked. Each
                // image belongs to one thread.
                unsafe {
                    let (from, to) = (pixels.at(offset), dst.at(offset));
                    vector::normalize(isa, from, to, plane, PIXEL_MEAN, PIXEL_DEVIATION);
                }
            }
        });
        Ok(())
    }))
}
