//! Operations that need nothing but their operands and attributes: the shim's functions with the
//! operations' names.

use in18_kernels::{KernelError, Op};

use super::{Step, step};
use crate::memory::Context;
use crate::safe::{Operation, View};

/// Compiles an operation.
///
/// # Errors
/// [`KernelError::Library`] if the shim has no operation of this name with these numbers of
/// operands and attributes.
pub fn compile(op: &Op, context: &mut Context) -> Result<Step, KernelError> {
    let views = op.operands().iter().map(|tensor| context.view(tensor)).collect::<Result<_, KernelError>>()?;
    let label = format!("{} {}", op.name(), op.operands()[0].shape);
    let call = call(op.name(), views, op.attributes(), label)?;
    let mut updated: Vec<_> = op.updates().iter().map(|tensor| tensor.region.arena).collect();
    updated.dedup();
    Ok(Box::new(move |context| {
        call(context)?;
        // Copies of weights that were made of what has changed are now out of date.
        updated.iter().try_for_each(|&arena| context.changed(arena))
    }))
}

/// A call of the operation of this name. `label` names the call in an error.
pub fn call(name: &str, operands: Vec<View>, attributes: Vec<f64>, label: String) -> Result<Step, KernelError> {
    let operation = Operation::named(name, operands.len(), attributes.len())?;
    // SAFETY: see `step`; there are as many as the operation takes.
    Ok(step(label, move || unsafe { operation.run(&operands, &attributes) }))
}
