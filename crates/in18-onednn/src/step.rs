//! The steps that a compiled operation consists of.

use in18_kernels::KernelError;
use in18_tensor::Region;

use crate::context::{Context, CopyId};
use crate::safe::{Call, PROVIDER};

/// A part of a compiled operation, prepared as far as possible.
pub trait Step {
    /// Runs the step.
    fn run(&self, context: &mut Context) -> Result<(), KernelError>;

    /// The name of the implementation, for people: oneDNN's own name such as `jit:avx2`, or `own:`
    /// and a name of ours.
    fn implementation(&self) -> &str;
}

/// Where an operand of a primitive lies.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// In planned memory.
    Region(Region),
    /// In scratch memory, at this byte offset.
    Scratch(usize),
    /// In a copy of convolution weights, which is brought up to date before use.
    Weights(CopyId),
    /// The bias that remains when a normalisation is folded into a copy of weights.
    Bias(CopyId),
}

/// A step that runs one primitive.
pub struct PrimitiveStep {
    /// The primitive.
    pub call: Call,
    /// The places of its operands, in the order of the call.
    pub places: Vec<Place>,
}

impl Step for PrimitiveStep {
    fn run(&self, context: &mut Context) -> Result<(), KernelError> {
        const MOST: usize = 12;
        let mut addresses = [std::ptr::null_mut(); MOST];
        for (address, place) in addresses.iter_mut().zip(&self.places) {
            *address = match place {
                Place::Region(region) => context.address(region)?,
                // SAFETY: `reserve_scratch` made room for every compiled step's offsets.
                Place::Scratch(offset) => unsafe { context.scratch.start().add(*offset) },
                Place::Weights(copy) => context.refreshed_weights(*copy)?,
                Place::Bias(copy) => context.refreshed_bias(*copy)?,
            };
        }
        // SAFETY: regions were checked against their arenas, and `compile` checked that each region
        // is as long as its operand's description. `&mut Context` keeps everybody else away from
        // the memory.
        unsafe { self.call.run(&context.stream, &addresses[..self.places.len()]) }
    }

    fn implementation(&self) -> &str {
        self.call.implementation()
    }
}

/// A step that was not prepared. It has only the name of its implementation.
pub struct Described(pub String);

impl Step for Described {
    fn run(&self, _: &mut Context) -> Result<(), KernelError> {
        Err(KernelError::Unsupported {
            provider: PROVIDER,
            what: "a run of what was only described".to_owned(),
            remedy: "this is an error of the caller",
        })
    }

    fn implementation(&self) -> &str {
        &self.0
    }
}

/// A step of our own: the name of its implementation, and a function of the context.
pub struct LoopStep<F>(pub &'static str, pub F);

impl<F: Fn(&mut Context) -> Result<(), KernelError>> Step for LoopStep<F> {
    fn run(&self, context: &mut Context) -> Result<(), KernelError> {
        (self.1)(context)
    }

    fn implementation(&self) -> &str {
        self.0
    }
}
