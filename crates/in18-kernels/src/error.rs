//! What can go wrong in a kernel provider.

use in18_tensor::{ArenaId, Region};
use thiserror::Error;

/// An error of a kernel provider.
#[derive(Debug, Error)]
pub enum KernelError {
    /// The library beneath refused a call.
    #[error("{provider} failed in {operation}: {status}")]
    Library {
        /// The provider.
        provider: &'static str,
        /// The call, with the shapes it was for.
        operation: String,
        /// What the library answered.
        status: String,
    },
    /// The provider does not compute this.
    #[error("{provider} cannot do {what}; {remedy}")]
    Unsupported {
        /// The provider.
        provider: &'static str,
        /// What was asked for.
        what: String,
        /// What to do instead.
        remedy: &'static str,
    },
    /// The provider computes nothing on this machine.
    #[error("{provider}: expected {expected}, got {got}: {remedy}")]
    Machine {
        /// The provider.
        provider: &'static str,
        /// What it needs.
        expected: &'static str,
        /// What the machine is.
        got: String,
        /// What to do instead.
        remedy: &'static str,
    },
    /// Memory could not be had.
    #[error("{provider} could not get {bytes} bytes of memory; use a smaller batch or image size")]
    OutOfMemory {
        /// The provider.
        provider: &'static str,
        /// How much was asked for.
        bytes: usize,
    },
    /// Memory for an operation's own use could not be had.
    #[error("{provider} has no memory left for an operation; use a smaller batch or image size")]
    Full {
        /// The provider.
        provider: &'static str,
    },
    /// A region lies outside its arena: an error of the caller.
    #[error("bytes {}..{} lie outside arena {} of {size} bytes", region.offset, region.end(), region.arena.0)]
    OutOfBounds {
        /// The region.
        region: Region,
        /// The size of its arena.
        size: usize,
    },
    /// An arena that the provider does not own: an error of the caller.
    #[error("there is no arena {}", .0.0)]
    NoSuchArena(ArenaId),
    /// A program that the provider does not hold: an error of the caller.
    #[error("there is no program {0}")]
    NoSuchProgram(u32),
    /// A copy that the provider has not started: an error of the caller.
    #[error("there is no copy {0} under way")]
    NoSuchRead(u32),
    /// An operand is not what its operation takes: an error of the caller.
    #[error("{operation}: {operand} must be {expected}, got {got}")]
    Operand {
        /// The operation.
        operation: &'static str,
        /// The operand.
        operand: &'static str,
        /// What the operation takes.
        expected: String,
        /// What it was given.
        got: String,
    },
    /// A slice and the tensor it is for differ in length: an error of the caller.
    #[error("{what}: expected {expected} elements, got {got}")]
    Length {
        /// The call.
        what: &'static str,
        /// Elements of the tensor.
        expected: usize,
        /// Elements of the slice.
        got: usize,
    },
}
