//! Networks as files. A safetensors file with torchvision's names is written whole and sealed with a
//! checksum, read and checked; an ONNX file is only written.
//!
//! * [`write_sealed`], [`save_parameters`]: tensors, and a model's state, as a file.
//! * [`WeightFile`]: a network out of any safetensors file with torchvision's names.
//! * [`checksum`]: the digest that such a file carries of itself.
//! * [`onnx`]: a network for inference elsewhere.
//!
//! This crate knows what a network's file looks like and nothing of runs: what else a checkpoint holds, its writer adds as
//! further tensors and further keys of the description. Nothing in a file is ever executed.
#![forbid(unsafe_code)]

pub mod checksum;
mod error;
pub mod onnx;
mod read;
mod save;

pub use checksum::DESCRIPTION;
pub use error::{WeightsError, plain};
pub use read::{Head, STATE, WeightFile};
pub use save::{Stored, description, save_parameters, write_sealed};
