//! The steps that a compiled operation consists of, and the memory that they run on.

use in18_kernels::KernelError;
use in18_tensor::{ALIGNMENT, ArenaId, Region};

use crate::arena::Arena;
use crate::isa::Isa;
use crate::layout::Layout;
use crate::safe::{Attributes, Call, Engine, PROVIDER, Stream};
use crate::weights::{CopyId, WeightCopies};

/// A part of a compiled operation, prepared as far as possible.
pub trait Step {
    /// Runs the step.
    fn run(&self, context: &mut Context) -> Result<(), KernelError>;

    /// The name of the implementation, for people: oneDNN's own name such as `jit:avx2`, or `own:`
    /// and a name of ours.
    fn implementation(&self) -> &str;
}

/// The memory and the library's objects that steps share.
///
/// Field order is drop order: objects made on the engine are dropped before the engine.
pub struct Context {
    /// Convolution weights in the layouts that the primitives need.
    pub weights: WeightCopies,
    /// The settings that all primitives share.
    pub attributes: Attributes,
    /// The queue that primitives run in.
    pub stream: Stream,
    /// The CPU.
    pub engine: Engine,
    /// The instruction set of our own loops.
    pub isa: Isa,
    /// Whether bf16 pairs are multiplied faster than fp32 numbers.
    pub fast_pairs: bool,
    /// Whether evaluations may compute with 16-bit fixed-point numbers.
    pub fixed_point: bool,
    /// Whether all convolutions are products of packed matrices.
    pub only_packed: bool,
    /// Whether steps are only asked for the names of their implementations. If so, no memory is
    /// looked up or reserved, no code is generated, and compiled programs cannot run.
    pub describes_only: bool,
    /// The layout of activations.
    pub layout: Layout,
    /// The caller's arenas, by id.
    pub arenas: Vec<Block>,
    /// Memory that a step uses only while it runs. It is as large as the largest need of any
    /// compiled step.
    pub scratch: Arena,
}

/// An arena, and how often its content was changed from outside the programs.
pub struct Block {
    /// The memory.
    pub arena: Arena,
    /// Grows with each write and each update of parameters. Copies made from an older generation
    /// are out of date.
    pub generation: u64,
}

impl Context {
    /// An arena by its id.
    pub fn block(&self, id: ArenaId) -> Result<&Block, KernelError> {
        self.arenas.get(id.0 as usize).ok_or(KernelError::NoSuchArena(id))
    }

    /// An arena by its id, mutable.
    pub fn block_mut(&mut self, id: ArenaId) -> Result<&mut Block, KernelError> {
        self.arenas.get_mut(id.0 as usize).ok_or(KernelError::NoSuchArena(id))
    }

    /// The current address of a region.
    pub fn address(&self, region: &Region) -> Result<*mut u8, KernelError> {
        if self.describes_only {
            return Ok(std::ptr::null_mut());
        }
        self.block(region.arena)?.arena.address(region)
    }

    /// The current address of an operand. Loops rely on operands starting at multiples of
    /// [`ALIGNMENT`].
    pub fn operand(&self, region: &Region) -> Result<*mut u8, KernelError> {
        if region.offset.is_multiple_of(ALIGNMENT) {
            return self.address(region);
        }
        Err(KernelError::Unsupported {
            provider: PROVIDER,
            what: format!("an operand at byte {}, which is no multiple of {ALIGNMENT}", region.offset),
            remedy: "this is an error of the caller",
        })
    }

    /// Makes sure that steps find at least `bytes` of scratch memory.
    pub fn reserve_scratch(&mut self, bytes: usize) -> Result<(), KernelError> {
        if !self.describes_only && self.scratch.bytes() < bytes {
            self.scratch = Arena::new(bytes)?;
        }
        Ok(())
    }
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
