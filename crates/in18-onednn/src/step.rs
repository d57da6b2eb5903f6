//! What a compiled operation is made of, and the memory that it runs on.

use in18_kernels::KernelError;
use in18_tensor::{ALIGNMENT, ArenaId, Region};

use crate::arena::Arena;
use crate::isa::Isa;
use crate::layout::Layout;
use crate::safe::{Attributes, Call, Engine, PROVIDER, Stream};
use crate::weights::{CopyId, WeightCopies};

/// One thing to do, with everything prepared that can be.
pub trait Step {
    /// Does it.
    fn run(&self, context: &mut Context) -> Result<(), KernelError>;

    /// What does it, for people: oneDNN's own name of its implementation, such as `jit:avx2`, or `own:` and a name of ours.
    fn implementation(&self) -> &str;
}

/// The memory and the library's objects that steps share.
///
/// Fields are dropped in the order of their declaration: what was made on the engine goes before it.
pub struct Context {
    /// Convolution weights as the primitives want them.
    pub weights: WeightCopies,
    /// What primitives have in common.
    pub attributes: Attributes,
    /// The queue.
    pub stream: Stream,
    /// The CPU.
    pub engine: Engine,
    /// The instructions of our own loops.
    pub isa: Isa,
    /// Whether bf16 pairs are multiplied faster than fp32 numbers.
    pub fast_pairs: bool,
    /// Whether evaluations may compute with 16-bit fixed-point numbers.
    pub fixed_point: bool,
    /// Whether all convolutions are products of packed matrices.
    pub only_packed: bool,
    /// Whether steps are only asked for their implementations: no memory is looked up or reserved, no code generated, and what
    /// is compiled cannot run.
    pub describes_only: bool,
    /// The layout of activations.
    pub layout: Layout,
    /// The caller's arenas, by id.
    pub arenas: Vec<Block>,
    /// Room that a step uses and leaves; as large as the largest need of a compiled step.
    pub scratch: Arena,
}

/// An arena and how often its content was changed from outside the programs.
pub struct Block {
    /// The memory.
    pub arena: Arena,
    /// Grows with each write and each update of parameters: copies of older generations are out of date.
    pub generation: u64,
}

impl Context {
    /// An arena by its id.
    pub fn block(&self, id: ArenaId) -> Result<&Block, KernelError> {
        self.arenas.get(id.0 as usize).ok_or(KernelError::NoSuchArena(id))
    }

    /// An arena by its id, to be changed.
    pub fn block_mut(&mut self, id: ArenaId) -> Result<&mut Block, KernelError> {
        self.arenas.get_mut(id.0 as usize).ok_or(KernelError::NoSuchArena(id))
    }

    /// Where a region lies now.
    pub fn address(&self, region: &Region) -> Result<*mut u8, KernelError> {
        if self.describes_only {
            return Ok(std::ptr::null_mut());
        }
        self.block(region.arena)?.arena.address(region)
    }

    /// Where an operand lies now. Operands start at multiples of [`ALIGNMENT`], which loops rely on.
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

    /// Makes sure that steps find `bytes` of scratch memory.
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
    /// In scratch memory, from this byte on.
    Scratch(usize),
    /// In a copy of convolution weights, which is brought up to date first.
    Weights(CopyId),
    /// The bias that folding a normalisation into a copy of weights leaves.
    Bias(CopyId),
}

/// A step that runs one primitive.
pub struct PrimitiveStep {
    /// The primitive.
    pub call: Call,
    /// Its operands' places, in the order of the call.
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
        // SAFETY: regions were checked against their arenas, and `compile` checked that each is as long as its
        // operand's description; `&mut Context` keeps everybody else away from the memory.
        unsafe { self.call.run(&context.stream, &addresses[..self.places.len()]) }
    }

    fn implementation(&self) -> &str {
        self.call.implementation()
    }
}

/// A step that was not prepared: its implementation's name alone.
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

/// A step of our own: its implementation's name, and a function of the context.
pub struct LoopStep<F>(pub &'static str, pub F);

impl<F: Fn(&mut Context) -> Result<(), KernelError>> Step for LoopStep<F> {
    fn run(&self, context: &mut Context) -> Result<(), KernelError> {
        (self.1)(context)
    }

    fn implementation(&self) -> &str {
        self.0
    }
}
