//! What GPUs need beside libtorch's operations: memory and its figures, copies that do not wait, and NCCL.
//!
//! It lies in a library of its own (`shim/`, C++ behind a C interface), over libtorch's and NVIDIA's libraries. Programs do not
//! link it: `library` looks for it at run time, where an NVIDIA driver is, so that they start without one. Three layers: `sys`
//! declares the interface, `library` finds and loads it, `device` owns a GPU and turns codes into errors.
//!
//! `in18-cuda-emulator` compiles kernels and shim for the CPU, too, for tests.
//!
//! Without feature `libtorch` this crate is empty.
#![cfg(feature = "libtorch")]

mod device;
mod library;
pub mod sys;

pub use device::{CudaError, Gpu, Memory, Read, join_nccl};
pub use library::{check_built, gpus, has_driver};
