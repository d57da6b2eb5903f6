//! Convolutions of any shape and type as products of packed matrices, forward and backward: the general way, for whatever
//! neither the faster special ones nor oneDNN's vectorised implementations cover.
//!
//! A convolution and the gradient of its input are sums over taps of the kernel and channels: for each result pixel, the
//! numbers that meet it are [gathered](gather) into a row, and the rows are multiplied with [packed weights](weights). The
//! gradient of the weights multiplies the same rows, turned, with the gradients of the results. Arithmetic is fp32, of bf16
//! activations, too.
//!
//! Threads share result pixels and output channels, or for the weights' gradient channels of both sides. Each sum has one
//! order, whatever their number.

mod convolution;
mod gather;
mod gradient;
mod weights;

use in18_kernels::KernelError;
use in18_kernels::op::{Conv, ConvBackwardData, ConvBackwardWeight, Window};
use in18_tensor::{DType, Tensor};

use self::gather::Plane;
pub use self::weights::{Direction, PackedWeights, Parts};
use crate::finish::End;
use crate::safe::PROVIDER;
use crate::step::{Context, Step};
use crate::weights::Fold;

/// The name of these steps.
const NAME: &str = "own:packed";

/// The step that computes a convolution.
pub fn forward(op: &Conv, context: &mut Context) -> Result<Box<dyn Step>, KernelError> {
    let shapes = Shapes { window: op.window, direction: Direction::Forward };
    convolution::compile(shapes, [&op.src, &op.weight, &op.dst], None, End::default(), context)
}

/// The step that computes the gradient of a convolution's input.
pub fn backward_data(op: &ConvBackwardData, context: &mut Context) -> Result<Box<dyn Step>, KernelError> {
    let shapes = Shapes { window: op.window, direction: Direction::BackwardData };
    convolution::compile(shapes, [&op.ddst, &op.weight, &op.dsrc], None, End::default(), context)
}

/// The step that computes a convolution in an evaluation, with what is fused to it.
pub fn evaluation(
    window: Window,
    tensors: [&Tensor; 3],
    fold: Fold,
    end: End,
    context: &mut Context,
) -> Result<Box<dyn Step>, KernelError> {
    convolution::compile(Shapes { window, direction: Direction::Forward }, tensors, Some(fold), end, context)
}

/// The step that computes the gradient of a convolution's weights.
pub fn backward_weight(op: &ConvBackwardWeight, context: &mut Context) -> Result<Box<dyn Step>, KernelError> {
    gradient::compile(op, context)
}

/// What a convolution is beside its operands.
#[derive(Clone, Copy)]
struct Shapes {
    window: Window,
    direction: Direction,
}

/// An activation's plane, its region compared with its shape.
fn plane(tensor: &Tensor, context: &Context) -> Result<Plane, KernelError> {
    context.operand(&tensor.region)?;
    let expected = context.layout.activation_bytes(tensor.shape, tensor.dtype);
    if tensor.region.bytes < expected {
        let what = "an operand of a convolution, in bytes";
        return Err(KernelError::Length { what, expected, got: tensor.region.bytes });
    }
    Ok(Plane::new(tensor, context.layout))
}

fn unsupported(dtype: DType) -> KernelError {
    KernelError::Unsupported {
        provider: PROVIDER,
        what: format!("convolutions of {dtype}"),
        remedy: "this is an error of the caller",
    }
}
