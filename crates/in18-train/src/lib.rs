//! The training loop: it walks a plan epoch by epoch, feeds batches to the model, the optimizer and the record, and
//! saves the result.
//!
//! This is the only crate that reads the clock, and the place where all others meet. It knows kernel providers only
//! through their trait.
//!
//! * [`Trainer`]: the loop.
//! * [`Data`]: the image sets that a plan names.
#![forbid(unsafe_code)]

mod clock;
mod data;
mod error;
mod memory;
mod tally;
mod trainer;

pub use data::Data;
pub use error::TrainError;
pub use memory::peak_rss_bytes;
pub use trainer::{Outcome, RunOptions, Trainer, optimizer};
