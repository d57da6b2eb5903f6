//! What can go wrong in compiling and running a program.

use in18_kernels::KernelError;
use thiserror::Error;

use crate::model::Size;

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
    /// The program needs more memory than there is.
    #[error("{} images of {}x{} pixels need {} MiB beside the parameters, expected at most {} MiB; {}", size.batch, size.height,
        size.width, needed >> 20, available >> 20, match fits {
            0 => "not even one fits: use smaller images".to_owned(),
            fits => format!("the largest batch that fits is {fits}"),
        })]
    TooLarge {
        /// The size that the program was to be prepared for.
        size: Size,
        /// Bytes that it needs.
        needed: usize,
        /// Bytes that there are.
        available: usize,
        /// The largest batch that would fit.
        fits: usize,
    },
    /// There is no parameter or statistic of this name.
    #[error("there is no parameter named {0}")]
    NoSuchParameter(String),
    /// A program's results were asked for before it was prepared.
    #[error("no step of this mode and size has been prepared")]
    NotPrepared,
    /// The model does not have this average.
    #[error("the model has no average {0:?}")]
    NoSuchAverage(crate::Average),
    /// Two classes an image, for a loss of one.
    #[error("expected one class for each image, got two: the model's loss is not one of mixed images")]
    Mixed,
    /// The number of values is not the number of the parameter's elements.
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

impl ProgramError {
    /// Whether there was not enough memory.
    pub fn is_about_memory(&self) -> bool {
        use KernelError::{Full, OutOfMemory};
        matches!(self, ProgramError::TooLarge { .. } | ProgramError::Kernel(Full { .. } | OutOfMemory { .. }))
    }
}
