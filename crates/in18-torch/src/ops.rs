//! Compiles each operation into calls. Most need only the shim's function of their name (`plain`);
//! those that need more have functions here, one file a kind.

mod batch_norm;
mod conv;
mod elementwise;
mod own;
mod plain;
mod pool;
mod sgd;

use in18_kernels::{KernelError, Op};
use in18_tensor::Tensor;

pub use self::pool::workspace_bytes;
pub use self::sgd::{alike as updates_alike, compile as update};
use crate::memory::Context;
use crate::safe::{View, check};

/// A compiled operation: a call with all its arguments.
pub type Step = Box<dyn Fn(&mut Context) -> Result<(), KernelError>>;

/// Compiles an operation: our own kernel, or libtorch's where ours does not apply.
pub fn compile(op: &Op, context: &mut Context) -> Result<Step, KernelError> {
    if let Some(step) = own::compile(op, context)? {
        return Ok(step);
    }
    match op {
        Op::Normalize(op) => elementwise::normalize(op, context),
        Op::Conv(op) => conv::forward(op, context),
        Op::ConvBackwardData(op) => conv::backward_data(op, context),
        Op::ConvBackwardWeight(op) => conv::backward_weight(op, context),
        Op::ConvNorm(op) => conv::norm(op, context),
        Op::ConvNormAddRelu(op) => conv::norm_add_relu(op, context),
        Op::BatchNormBackward(op) => batch_norm::backward(op, context),
        Op::BatchNormReluBackward(op) => batch_norm::relu_backward(op, context),
        Op::SumReluBackward(op) => elementwise::sum_relu_backward(op, context),
        Op::MaxPool(op) => pool::max(op, context),
        Op::MaxPoolBackward(op) => pool::max_backward(op, context),
        Op::Sgd(_) => sgd::compile(std::slice::from_ref(op), context),
        _ => plain::compile(op, context),
    }
}

/// The views of an operation's operands.
fn views<const K: usize>(context: &Context, tensors: [&Tensor; K]) -> Result<[View; K], KernelError> {
    let views = tensors.iter().map(|tensor| context.view(tensor)).collect::<Result<Vec<View>, KernelError>>()?;
    Ok(views.try_into().expect("a view for each of the tensors"))
}

/// A step that only calls the shim. `label` names the operation in an error.
///
/// The unsafe blocks within `call` rest on what `Context::view` checked (each view lies in its
/// arena), on `Op::check` (shapes, types and formats fit), and on programs being rebuilt when an
/// arena has moved.
fn step(label: String, call: impl Fn() -> i32 + 'static) -> Step {
    Box::new(move |_| check(call(), || label.clone()))
}
