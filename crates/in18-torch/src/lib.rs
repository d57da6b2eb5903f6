//! The kernel provider of libtorch, on the CPU and on GPUs, which run the same operations. There is no autograd and no Python.
//!
//! Three layers: `sys` declares the shim (`shim/`, C++ behind a C interface, one function an operation), `safe` owns its
//! tensors and turns codes into errors, and `ops` compiles each [`Op`](in18_kernels::Op) of the vocabulary into a call on
//! tensors that are made once. `Torch` owns the memory and runs them. What only
//! GPUs need is `in18-cuda`'s.
//!
//! Activations lie as (N, H, W, C), which tensor cores want. Results lie where the program planned them, also those that
//! libtorch's operations would allocate (`shim/placement.h`).
//!
//! Without feature `libtorch` this crate is empty.
#![cfg(feature = "libtorch")]

mod gpu;
mod memory;
mod ops;
mod provider;
mod safe;
pub mod sys;
mod weights;

pub use provider::Torch;
pub use safe::Device;

pub use in18_cuda::{gpus, has_driver};
