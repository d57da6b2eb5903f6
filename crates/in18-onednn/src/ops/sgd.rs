//! The update of a range of parameters: one pass over memory.

use in18_kernels::KernelError;
use in18_kernels::op::{SGD_SCALARS, Sgd};
use in18_tensor::DType;

use super::check;
use crate::context::Context;
use crate::step::{LoopStep, Step};
use crate::threads::{Shared, parallel, part};
use crate::vector::{self, SgdCoefficients};

/// Each thread gets whole pages of numbers.
const GRAIN: usize = 4096;

pub fn compile(op: &Sgd, context: &mut Context) -> Result<Vec<Box<dyn Step>>, KernelError> {
    let operands = [&op.scalars, &op.gradient, &op.parameter, &op.velocity].map(|tensor| (tensor, DType::F32));
    check(context, &operands)?;
    let op = *op;
    Ok(vec![Box::new(LoopStep("own:sgd", move |context: &mut Context| {
        let scalars = context.address(&op.scalars.region)?.cast::<[f32; SGD_SCALARS]>();
        // SAFETY: the region was checked to hold these scalars, and regions are aligned.
        let [rate, momentum, gradient_scale] = unsafe { scalars.read() };
        let coefficients = SgdCoefficients { rate, momentum, gradient_scale, weight_decay: op.weight_decay };
        let w = Shared::<f32>::new(context.address(&op.parameter.region)?);
        let v = Shared::<f32>::new(context.address(&op.velocity.region)?);
        let g = Shared::<f32>::new(context.address(&op.gradient.region)?);
        let (isa, length) = (context.isa, op.parameter.shape.elements());
        parallel(|thread, threads| {
            let part = part(length, GRAIN, thread, threads);
            // SAFETY: the three regions have one length and were checked against their arenas. They
            // do not overlap, as `Op::check` has checked. Parts do not overlap.
            unsafe {
                let (w, v, g) = (w.at(part.start), v.at(part.start), g.at(part.start));
                vector::sgd(isa, w, v, g, part.len(), &coefficients);
            }
        });
        // Copies of convolution weights are now out of date.
        context.block_mut(op.parameter.region.arena)?.generation += 1;
        Ok(())
    }))])
}
