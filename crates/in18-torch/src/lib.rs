//! The kernel provider of libtorch, on the CPU and on GPUs, which run the same operations. There is no autograd and no Python.
//!
//! Three layers: `sys` is the table of operations of `in18-libtorch`, a library that is loaded with the provider; `safe` owns its
//! tensors and turns codes into errors; and `ops` compiles each [`Op`](in18_kernels::Op) of the vocabulary into a call on
//! tensors that are made once. `Torch` owns the memory and runs them. What only
//! GPUs need is `in18-cuda`'s.
//!
//! Activations lie as (N, H, W, C), which tensor cores want. Results lie where the program planned them, also those that
//! libtorch's operations would allocate (`in18-libtorch/shim/placement.h`).

mod gpu;
mod memory;
mod ops;
mod provider;
mod safe;
mod sys;

pub use provider::Torch;
pub use safe::{Device, copied_results, version};

pub use in18_cuda::{gpus, has_driver};
