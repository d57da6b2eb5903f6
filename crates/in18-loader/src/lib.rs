#![forbid(unsafe_code)]
//! From images to batches: order, shares of ranks, augmentation, worker threads.
//!
//! ```text
//! ImageSet ─► BatchPlan (which images, which size) ─► Loader (threads, ring of slots) ─► Batch
//! ```
//! A [`BatchPlan`] says everything about an epoch before its first image is read. A [`Loader`]
//! carries the plan out. Whatever is random is a function of (seed, epoch, image, draw). Batches
//! are therefore the same bits for any number of workers, and an epoch can be continued in its
//! middle.
//!
//! This crate knows no network and no learning rate. Its clock only measures where worker threads
//! spend their time ([`StageTimes`]). Pixels leave as they are in the image, with 8 bits;
//! normalising is the kernels' work.

mod bad;
mod crop;
mod erase;
mod error;
#[cfg(test)]
mod golden;
mod jitter;
mod loader;
mod mix;
mod order;
mod pipeline;
mod plan;
mod rect;
mod ring;
mod stages;

pub use bad::{BadImage, OnBadImage};
pub use crop::{FlipAndCrop, random_resized_crop};
pub use error::{LoadError, PlanError};
pub use in18_image::{Crop, Size};
pub use jitter::Jitter;
pub use loader::{Batch, Epoch, Loader};
pub use mix::{Mix, MixedIn, Mixing};
pub use order::{EpochOrder, Shuffle};
pub use plan::{Augmentation, BatchPlan, Flip, Share, TrainingBatch};
pub use rect::{resized_for_validation, short_side};
pub use stages::StageTimes;
