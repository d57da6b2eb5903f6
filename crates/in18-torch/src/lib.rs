//! The kernel provider on libtorch. The CPU and GPUs run the same operations. There is no autograd
//! and no Python.
//!
//! Three layers: `sys` gives the operations of `in18-libtorch`, a library that is loaded with the
//! provider; `safe` owns libtorch's tensors and turns codes into errors; `ops` compiles each
//! [`Op`](in18_kernels::Op) into a call on tensors that are made once. `Torch` owns the memory and
//! runs the calls. `in18-cuda` has what only GPUs need.
//!
//! Activations lie as (N, H, W, C), which suits tensor cores. Results lie where the program planned
//! them, even those that libtorch's operations would allocate (`in18-libtorch/shim/placement.h`).

mod gpu;
mod memory;
mod ops;
mod provider;
mod safe;
mod sys;

pub use provider::Torch;
pub use safe::{Device, copied_results, version};

pub use in18_cuda::{gpus, has_driver};
