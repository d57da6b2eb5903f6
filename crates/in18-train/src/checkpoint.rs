//! Checkpoints: a run's whole state as one safetensors file, and the folder that they lie in.
//!
//! The file is the network's own, with torchvision's names (`save_parameters` writes the same), and more: a tensor
//! `momentum_buffer.NAME` for every parameter, and in the JSON object under `imagenet18` in the metadata the run's
//! [`Progress`](crate::Progress), the marks of its logs and what it is ([`identity`](mod@crate::identity)). `checksum` there is the SHA-256
//! of the whole file with its own digits replaced by zeros: one flipped bit anywhere is found.
//!
//! * `file`: one file, written and read.
//! * `store`: the folder, a thread that writes into it, and how many are kept.

mod file;
mod store;

pub use file::{About, Checkpoint, Tables, VERSION};
pub use store::{CheckpointOptions, Found, newest};
pub(crate) use store::{Store, Written};
