//! The update of parameters: libtorch's fused one, for all ranges with equal coefficients at once.

use in18_kernels::op::{SGD_SCALARS, Sgd};
use in18_kernels::{KernelError, Op};
use in18_tensor::{DType, Tensor, from_bytes};

use super::Step;
use crate::memory::Context;
use crate::safe::{View, check};
use crate::sys::torch;

/// How many operations at the beginning are updates with equal coefficients. They run as one step.
pub fn alike(ops: &[Op]) -> usize {
    let Some(Op::Sgd(first)) = ops.first() else { return 0 };
    // Everything but the ranges: a later attribute counts, too.
    let ranges =
        |op: &Sgd| Sgd { gradient: first.gradient, parameter: first.parameter, velocity: first.velocity, ..*op };
    let is_alike = |op: &&Op| matches!(op, Op::Sgd(op) if ranges(op) == *first);
    ops.iter().take_while(is_alike).count()
}

/// A step that updates all ranges of operations that are [`alike`].
pub fn compile(ops: &[Op], context: &Context) -> Result<Step, KernelError> {
    let attributes = ops[0].attributes();
    let ops: Vec<Sgd> = ops.iter().filter_map(|op| if let Op::Sgd(op) = op { Some(*op) } else { None }).collect();
    let views = |operand: fn(&Sgd) -> &Tensor| -> Result<Vec<View>, KernelError> {
        ops.iter().map(|op| context.view(operand(op))).collect()
    };
    let (parameters, gradients) = (views(|op| &op.parameter)?, views(|op| &op.gradient)?);
    let velocities = views(|op| &op.velocity)?;
    Ok(Box::new(move |context| {
        let mut bytes = [0; SGD_SCALARS * DType::F32.bytes()];
        context.read_host(&ops[0].scalars.region, &mut bytes)?;
        let scalars = from_bytes(DType::F32, &bytes).into_iter().map(f64::from);
        let numbers: Vec<f64> = scalars.chain(attributes.iter().copied()).collect();
        let lists = [&parameters, &velocities, &gradients].map(|views| views.iter().map(View::raw).collect::<Vec<_>>());
        // SAFETY: three lists of one length, of views that `Context::view` checked and that do not
        // overlap, as `Op::check` saw.
        let code = unsafe {
            let [w, v, g] = lists.each_ref().map(Vec::as_ptr);
            torch().sgd(ops.len(), w, v, g, numbers.as_ptr())
        };
        check(code, || "an update of parameters".to_owned())?;
        ops.iter().try_for_each(|op| context.changed(op.parameter.region.arena))
    }))
}
