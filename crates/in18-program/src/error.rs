//! What can go wrong in compiling and running a program.

use in18_kernels::KernelError;
use thiserror::Error;

/// An error of a program.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// The kernel provider failed.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The images are too small for the network.
    #[error("{layer} has nothing left of an image of {height}x{width} pixels; use larger images")]
    ImageTooSmall {
        /// The layer that ran out of pixels.
        layer: String,
        /// Of the image.
        height: usize,
        /// Of the image.
        width: usize,
    },
    /// There is no parameter or statistic of this name.
    #[error("there is no parameter named {0}")]
    NoSuchParameter(String),
    /// Results of a program that does not exist.
    #[error("no step of this mode and size has been prepared")]
    NotPrepared,
    /// Values of another number than the parameter's elements.
    #[error("{name}: expected {expected} values, got {got}")]
    Length {
        /// The parameter, or the operand of a step.
        name: String,
        /// Elements that it has.
        expected: usize,
        /// Values that came.
        got: usize,
    },
}
