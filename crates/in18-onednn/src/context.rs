//! The memory and the library's objects that steps share.

use in18_kernels::KernelError;
use in18_tensor::{ALIGNMENT, ArenaId, Region};

use crate::arena::Arena;
use crate::isa::Isa;
use crate::layout::Layout;
use crate::safe::{Attributes, Engine, PROVIDER, Stream};

mod weights;

pub use weights::{CopyId, WeightCopies};

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
