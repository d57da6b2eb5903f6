//! The bound on the size of all gradients together: a pass over memory for the norm, and one for
//! the product where gradients are too long.

use in18_kernels::op::{ClipGradients, SGD_SCALARS, clip_factor};
use in18_tensor::DType;

use super::norm::norm;
use super::{Compile, Steps, check};
use crate::context::Context;
use crate::step::LoopStep;
use crate::threads::{Shared, parallel, part};
use crate::vector::multiversion;

/// Elements that the loop processes at once.
const LANES: usize = 32;

/// Each thread gets whole pages of numbers.
const GRAIN: usize = 4096;

impl Compile for ClipGradients {
    fn compile(&self, context: &mut Context) -> Steps {
        check(context, &[&self.scalars, &self.gradient].map(|tensor| (tensor, DType::F32)))?;
        let op = *self;
        Ok(vec![Box::new(LoopStep("own:clip_gradients", move |context: &mut Context| {
            let scalars = context.address(&op.scalars.region)?.cast::<[f32; SGD_SCALARS]>();
            // SAFETY: the region was checked to hold these scalars, and regions are aligned.
            let [_, _, gradient_scale, _] = unsafe { scalars.read() };
            let gradient = Shared::<f32>::new(context.address(&op.gradient.region)?);
            let (isa, length) = (context.isa, op.gradient.shape.elements());
            // SAFETY: the region was checked to hold these numbers, and nobody else has the context.
            let norm = unsafe { norm(isa, gradient, length) };
            let factor = clip_factor(f64::from(gradient_scale).abs() * norm, op.max_norm) as f32;
            if factor == 1.0 {
                return Ok(());
            }
            parallel(|thread, threads| {
                let part = part(length, GRAIN, thread, threads);
                // SAFETY: as above. Parts do not overlap.
                unsafe { multiply(isa, gradient.at(part.start), part.len(), factor) };
            });
            context.block_mut(op.gradient.region.arena)?.generation += 1;
            Ok(())
        }))])
    }
}

multiversion! {
    /// Multiplies `length` elements by a factor.
    ///
    /// # Safety
    /// `values` must be valid for `length` elements, for reads and writes.
    pub unsafe fn multiply[](values: *mut f32, length: usize, factor: f32)
    where [] {
        let mut i = 0;
        while i + LANES <= length {
            // SAFETY: the block ends at or before `length`.
            unsafe {
                let mut block = values.add(i).cast::<[f32; LANES]>().read_unaligned();
                for value in &mut block {
                    *value *= factor;
                }
                values.add(i).cast::<[f32; LANES]>().write_unaligned(block);
            }
            i += LANES;
        }
        while i < length {
            // SAFETY: `i < length`.
            unsafe { *values.add(i) *= factor };
            i += 1;
        }
    }
}
