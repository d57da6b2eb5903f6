//! Checkpoints: a run's whole state as one safetensors file, and the folder that they lie in.
//!
//! The file holds the network's own tensors with torchvision's names, as `save_parameters` writes
//! them, and a tensor `momentum_buffer.NAME` for every parameter. The metadata has a JSON object
//! under `imagenet18` with the run's [`Progress`](crate::Progress), the marks of its logs, and its
//! [`identity`](mod@crate::identity). The object's `checksum` is the SHA-256 of the whole file with
//! the checksum's own digits replaced by zeros. It finds one flipped bit anywhere.
//!
//! * `file`: one file, written and read.
//! * `store`: the folder, a thread that writes into it, and how many are kept.

mod file;
mod store;

pub use file::{About, Checkpoint, Tables, VERSION};
pub use store::{CheckpointOptions, Found, newest};
pub(crate) use store::{Store, Written};
