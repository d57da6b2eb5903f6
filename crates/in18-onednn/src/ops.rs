//! Compiles each operation into steps, one file per kind of operation.

mod average;
mod avg_pool;
mod batch_norm;
mod blur_pool;
mod clip_gradients;
mod conv;
mod conv_norm;
mod cross_entropy;
mod elementwise;
mod geometry;
mod lars;
mod linear;
mod norm;
mod normalize;
mod pool;
mod rows;
mod sgd;
mod soft_loss;

use std::ffi::c_int;

use in18_kernels::{KernelError, Op, each_operation};
use in18_tensor::{DType, Region, Tensor};

use crate::context::Context;
use crate::layout::data_type;
use crate::safe::{Call, MemoryDesc, PROVIDER, PrimitiveDesc};
use crate::step::{Described, Place, PrimitiveStep, Step};
use crate::sys;

/// An operation's steps, in the order in which they run.
pub type Steps = Result<Vec<Box<dyn Step>>, KernelError>;

/// What each operation's file implements.
trait Compile {
    /// Prepares the operation.
    fn compile(&self, context: &mut Context) -> Steps;
}

/// Prepares an operation.
pub fn compile(op: &Op, context: &mut Context) -> Steps {
    each_operation!(op, op => op.compile(context))
}

/// The step of [`Kernels::compile_product`](in18_kernels::Kernels::compile_product).
pub fn square_product(
    side: usize,
    dtype: DType,
    context: &mut Context,
    region: impl FnMut(&mut Context, usize) -> Result<Region, KernelError>,
) -> Result<Box<dyn Step>, KernelError> {
    linear::square_product(side, data_type(dtype)?, context, region)
}

/// Binds a primitive's operands to places, one by one.
struct Binding<'a> {
    context: &'a mut Context,
    desc: &'a PrimitiveDesc,
    operation: String,
    operands: Vec<(c_int, MemoryDesc, Place)>,
}

impl<'a> Binding<'a> {
    fn new(context: &'a mut Context, desc: &'a PrimitiveDesc, operation: String) -> Self {
        Binding { context, desc, operation, operands: Vec::new() }
    }

    /// Adds an operand in planned memory. The region must be at least as long as the description.
    fn region(mut self, argument: c_int, desc: MemoryDesc, region: Region) -> Result<Self, KernelError> {
        self.context.address(&region)?;
        if desc.bytes() > region.bytes {
            return Err(KernelError::Length {
                what: "a region of planned memory, in bytes",
                expected: desc.bytes(),
                got: region.bytes,
            });
        }
        self.operands.push((argument, desc, Place::Region(region)));
        Ok(self)
    }

    /// Adds a tensor in planned memory, described by the tensor's own format.
    fn tensor(self, argument: c_int, tensor: &Tensor) -> Result<Self, KernelError> {
        let desc = self.context.layout.describe(tensor)?;
        self.region(argument, desc, tensor.region)
    }

    /// Adds an operand at any other place.
    fn place(mut self, argument: c_int, desc: MemoryDesc, place: Place) -> Self {
        self.operands.push((argument, desc, place));
        self
    }

    /// Makes the step, and reserves its scratch memory.
    fn finish(self) -> Result<Box<dyn Step>, KernelError> {
        self.finish_with_scratch_at(0)
    }

    /// Makes the step. Its scratch memory begins after the first `offset` bytes, which others use.
    fn finish_with_scratch_at(self, offset: usize) -> Result<Box<dyn Step>, KernelError> {
        if self.context.describes_only {
            return Ok(Box::new(Described(self.desc.implementation())));
        }
        let scratchpad = self.desc.operand(sys::QUERY_SCRATCHPAD)?;
        self.context.reserve_scratch(offset + scratchpad.bytes())?;
        let this = self.place(sys::ARG_SCRATCHPAD, scratchpad, Place::Scratch(offset));
        let described: Vec<(c_int, &MemoryDesc)> = this.operands.iter().map(|(arg, desc, _)| (*arg, desc)).collect();
        let call = Call::new(this.desc, &described, &this.context.engine, this.operation)?;
        Ok(Box::new(PrimitiveStep { call, places: this.operands.iter().map(|(_, _, place)| *place).collect() }))
    }
}

/// Checks that regions exist, are long enough for their shapes, and have the type that a loop
/// reads.
fn check(context: &Context, tensors: &[(&Tensor, DType)]) -> Result<(), KernelError> {
    for (tensor, dtype) in tensors {
        context.address(&tensor.region)?;
        let expected = tensor.shape.elements() * dtype.bytes();
        if tensor.dtype != *dtype {
            return Err(KernelError::Unsupported {
                provider: PROVIDER,
                what: format!("an operand of type {} where {dtype} is expected", tensor.dtype),
                remedy: "this is an error of the caller",
            });
        }
        if tensor.region.bytes < expected {
            return Err(KernelError::Length {
                what: "a region of planned memory, in bytes",
                expected,
                got: tensor.region.bytes,
            });
        }
    }
    Ok(())
}
