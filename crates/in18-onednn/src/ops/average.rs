//! The running average of a range of numbers: one pass over memory.

use in18_kernels::op::Average;
use in18_tensor::DType;

use super::{Compile, Steps, check};
use crate::context::Context;
use crate::step::LoopStep;
use crate::threads::{Shared, parallel, part};
use crate::vector::multiversion;

/// Elements that the loop processes at once.
const LANES: usize = 32;

/// Each thread gets whole pages of numbers.
const GRAIN: usize = 4096;

impl Compile for Average {
    fn compile(&self, context: &mut Context) -> Steps {
        check(context, &[&self.kept, &self.value, &self.average].map(|tensor| (tensor, DType::F32)))?;
        let op = *self;
        Ok(vec![Box::new(LoopStep("own:average", move |context: &mut Context| {
            let kept = context.address(&op.kept.region)?.cast::<f32>();
            // SAFETY: the region was checked to hold this number, and regions are aligned.
            let kept = unsafe { kept.read() };
            let average = Shared::<f32>::new(context.address(&op.average.region)?);
            let value = Shared::<f32>::new(context.address(&op.value.region)?);
            let (isa, length) = (context.isa, op.average.shape.elements());
            parallel(|thread, threads| {
                let part = part(length, GRAIN, thread, threads);
                // SAFETY: both regions have one length and were checked against their arenas. They do
                // not overlap, as `Op::check` has checked. Parts do not overlap.
                unsafe {
                    let (average, value) = (average.at(part.start), value.at(part.start));
                    move_average(isa, average, value, part.len(), kept);
                }
            });
            // Copies of convolution weights are now out of date.
            context.block_mut(op.average.region.arena)?.generation += 1;
            Ok(())
        }))])
    }
}

multiversion! {
    /// Applies the rule of [`Average`] to `length` elements.
    ///
    /// # Safety
    /// Both pointers must be valid for `length` elements, `average` for writes, without overlap.
    pub unsafe fn move_average[](average: *mut f32, value: *const f32, length: usize, kept: f32)
    where [] {
        let one = |average: f32, value: f32| kept * average + (1.0 - kept) * value;
        let mut i = 0;
        while i + LANES <= length {
            // SAFETY: the block ends at or before `length`.
            unsafe {
                let mut averages = average.add(i).cast::<[f32; LANES]>().read_unaligned();
                let values = value.add(i).cast::<[f32; LANES]>().read_unaligned();
                for lane in 0..LANES {
                    averages[lane] = one(averages[lane], values[lane]);
                }
                average.add(i).cast::<[f32; LANES]>().write_unaligned(averages);
            }
            i += LANES;
        }
        while i < length {
            // SAFETY: `i < length`.
            unsafe { *average.add(i) = one(*average.add(i), *value.add(i)) };
            i += 1;
        }
    }
}
