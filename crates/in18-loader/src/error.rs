//! What can go wrong between a plan and its batches.

use std::io;
use std::path::PathBuf;

/// Why a plan cannot be made. One line each.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// A batch of no images.
    #[error("expected a batch of at least one image, got 0: change bs in the phases")]
    EmptyBatch,
    /// No images at all.
    #[error("expected at least one image, got none")]
    NoImages,
    /// A size too small for the 8-pixel grid of rectangular validation.
    #[error("expected images of at least 8 pixels, got {0}: change sz in the phases")]
    TooSmall(u32),
    /// A rank outside of its world.
    #[error("expected a rank below the number of ranks, got rank {rank} of {world}")]
    Share {
        /// The rank.
        rank: usize,
        /// How many ranks there are.
        world: usize,
    },
    /// An area share outside of (0, 1].
    #[error("expected min_scale above 0 and at most 1, got {0}: change it in the phases")]
    MinScale(f64),
    /// Batches of one image that are to be mixed.
    #[error(
        "expected at least two images a batch to mix, got 1: change bs in the phases, or switch augment.mixup and \
         augment.cutmix off"
    )]
    NothingToMix,
}

/// Why a batch could not be made. One line each, with the file's name if there is a file.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// An image that cannot be read, or a file that is no image.
    #[error(transparent)]
    Image(#[from] in18_dataset::Error),
    /// Decoding panicked. This is a fault of a decoder; the run ends with a message all the same.
    #[error("{path}: expected pixels or an error, got a panic while decoding: {message}")]
    Panic {
        /// The file.
        path: PathBuf,
        /// The panic's message.
        message: String,
    },
    /// The system refused to start a thread.
    #[error("expected to start {workers} loader threads, got: {source}: use fewer workers")]
    Spawn {
        /// How many threads were wanted.
        workers: usize,
        /// What the system said.
        source: io::Error,
    },
    /// The plan has images that the loader's set does not have.
    #[error("expected a plan for at most {images} images, got one that holds image {image}")]
    Plan {
        /// How many images the set has.
        images: usize,
        /// The first image outside the set.
        image: usize,
    },
}

impl LoadError {
    /// Whether the error is about one image, which a run can do without.
    pub fn is_about_an_image(&self) -> bool {
        match self {
            Self::Image(_) | Self::Panic { .. } => true,
            Self::Spawn { .. } | Self::Plan { .. } => false,
        }
    }
}
