//! Networks as files. A safetensors file has torchvision's names. It is written as a whole and
//! sealed with a checksum; it can be read back and checked. An ONNX file is only written.
//!
//! * [`write_sealed`], [`save_parameters`]: write tensors, or a model's state, to a file.
//! * [`WeightFile`]: reads a network from any safetensors file with torchvision's names.
//! * [`checksum`]: the digest that such a file carries of itself.
//! * [`onnx`]: writes a network for inference elsewhere.
//!
//! This crate knows the format of a network's file, but no runs. The writer of a checkpoint adds
//! everything else as further tensors and further keys of the description. Nothing in a file is
//! ever executed.
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
