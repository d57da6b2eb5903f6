//! The kernel provider of libtorch, so far on the CPU; GPUs will run the same operations. There is no autograd and no Python.
//!
//! Three layers: `sys` declares the shim (`shim/`, C++ behind a C interface, one function an operation), `safe` owns its
//! tensors and turns codes into errors, and `ops` compiles each [`Op`](in18_kernels::Op) of the vocabulary into a call on
//! tensors that are made once. `Torch` owns the memory and runs them.
//!
//! Activations lie as (N, H, W, C), which tensor cores want. Results lie where the program planned them, also those that
//! libtorch's operations would allocate (`shim/placement.h`).
//!
//! Without feature `libtorch` this crate is empty.
#![cfg(feature = "libtorch")]

mod memory;
mod ops;
mod provider;
mod safe;
pub mod sys;
mod weights;

pub use provider::Torch;
pub use safe::Device;

/// How many GPUs there are, or why none can be used.
pub fn gpus() -> Result<u32, String> {
    Err("GPUs (CUDA) are not supported yet: use --devices cpu".to_owned())
}
