//! Gradient clipping by the norm of all gradients together.

use in18_kernels::op;
use in18_program::{ParameterTable, UpdateOperand};

/// The operation that bounds the norm of a network's gradients, to run before the update. Padding
/// between parameters is zeros and adds nothing.
pub fn clip(max_norm: f32, parameters: &ParameterTable) -> op::ClipGradients<UpdateOperand> {
    let gradient = UpdateOperand::Gradients { offset: 0, bytes: parameters.bytes() };
    op::ClipGradients { max_norm, scalars: UpdateOperand::Scalars, gradient }
}
