//! The update of a parameter by layer-wise adaptive rates: two passes over memory for the norms,
//! and one for the update.

use in18_kernels::op::{Lars, SGD_SCALARS, lars_ratio};
use in18_tensor::DType;

use super::norm::norm;
use super::{Compile, Steps, check};
use crate::context::Context;
use crate::isa::Isa;
use crate::step::LoopStep;
use crate::threads::{Shared, parallel, part};
use crate::vector::multiversion;

/// Elements that the loop processes at once.
const LANES: usize = 32;

/// Each thread gets whole pages of numbers.
const GRAIN: usize = 4096;

impl Compile for Lars {
    fn compile(&self, context: &mut Context) -> Steps {
        let operands =
            [&self.scalars, &self.gradient, &self.parameter, &self.velocity].map(|tensor| (tensor, DType::F32));
        check(context, &operands)?;
        let op = *self;
        Ok(vec![Box::new(LoopStep("own:lars", move |context: &mut Context| {
            let scalars = context.address(&op.scalars.region)?.cast::<[f32; SGD_SCALARS]>();
            // SAFETY: the region was checked to hold these scalars, and regions are aligned.
            let scalars = unsafe { scalars.read() };
            let w = Shared::<f32>::new(context.address(&op.parameter.region)?);
            let v = Shared::<f32>::new(context.address(&op.velocity.region)?);
            let g = Shared::<f32>::new(context.address(&op.gradient.region)?);
            let (isa, length) = (context.isa, op.parameter.shape.elements());
            // SAFETY: both regions were checked to hold `length` numbers, and nobody else has the
            // context.
            let coefficients = unsafe { coefficients(&op, scalars, (isa, length), w, g) };
            parallel(|thread, threads| {
                let part = part(length, GRAIN, thread, threads);
                // SAFETY: the three regions have one length and were checked against their arenas. They
                // do not overlap, as `Op::check` has checked. Parts do not overlap.
                unsafe {
                    let (w, v, g) = (w.at(part.start), v.at(part.start), g.at(part.start));
                    update(isa, w, v, g, part.len(), &coefficients);
                }
            });
            // Copies of convolution weights are now out of date.
            context.block_mut(op.parameter.region.arena)?.generation += 1;
            Ok(())
        }))])
    }
}

/// The numbers of one update.
///
/// # Safety
/// `w` and `g` must be valid for `length` elements, which nobody writes meanwhile.
unsafe fn coefficients(
    op: &Lars,
    [rate, momentum, gradient_scale, _]: [f32; SGD_SCALARS],
    (isa, length): (Isa, usize),
    w: Shared<f32>,
    g: Shared<f32>,
) -> Coefficients {
    let &Lars { weight_decay, trust, nesterov, .. } = op;
    let ratio = if trust > 0.0 {
        // SAFETY: by the caller's promise.
        let (parameter, gradient) = unsafe { (norm(isa, w, length), norm(isa, g, length)) };
        lars_ratio(parameter, f64::from(gradient_scale).abs() * gradient, weight_decay, trust)
    } else {
        1.0
    };
    let rate = (f64::from(rate) * ratio) as f32;
    Coefficients { rate, momentum, gradient_scale, weight_decay, nesterov }
}

/// The numbers in the rule of [`Lars`].
#[derive(Clone, Copy, Debug)]
pub struct Coefficients {
    /// The learning rate times the ratio.
    rate: f32,
    /// The share of the old velocity that is kept.
    momentum: f32,
    /// The factor for gradients.
    gradient_scale: f32,
    /// The weight of the L2 penalty.
    weight_decay: f32,
    /// Whether the step is taken from where the velocity leads.
    nesterov: bool,
}

multiversion! {
    /// Applies the rule of [`Lars`] to `length` elements.
    ///
    /// # Safety
    /// All pointers must be valid for `length` elements, `w` and `v` for writes, without overlap.
    pub unsafe fn update[](w: *mut f32, v: *mut f32, g: *const f32, length: usize, with: &Coefficients)
    where [] {
        let one = |w: f32, v: f32, g: f32| {
            let step = with.rate * (with.gradient_scale * g + with.weight_decay * w);
            let v = with.momentum * v + step;
            (w - if with.nesterov { step + with.momentum * v } else { v }, v)
        };
        let mut i = 0;
        while i + LANES <= length {
            // SAFETY: the block ends at or before `length`.
            unsafe {
                let mut ws = w.add(i).cast::<[f32; LANES]>().read_unaligned();
                let mut vs = v.add(i).cast::<[f32; LANES]>().read_unaligned();
                let gs = g.add(i).cast::<[f32; LANES]>().read_unaligned();
                for lane in 0..LANES {
                    (ws[lane], vs[lane]) = one(ws[lane], vs[lane], gs[lane]);
                }
                w.add(i).cast::<[f32; LANES]>().write_unaligned(ws);
                v.add(i).cast::<[f32; LANES]>().write_unaligned(vs);
            }
            i += LANES;
        }
        while i < length {
            // SAFETY: `i < length`.
            unsafe { (*w.add(i), *v.add(i)) = one(*w.add(i), *v.add(i), *g.add(i)) };
            i += 1;
        }
    }
}
