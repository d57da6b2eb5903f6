//! What GPUs need beside libtorch's operations: their memory and its statistics, asynchronous
//! copies, kernels, and NCCL.
//!
//! The code is a library of its own (`shim/`, C++ behind a C interface, and `kernels/`, CUDA C++),
//! over libtorch's and NVIDIA's libraries. Programs do not link it, so that they start without an
//! NVIDIA driver. [`library`] looks for it at run time if there is a driver. Three layers: `sys`
//! declares the interface, `library` finds and loads it, `device` owns a GPU. `error` turns codes
//! into errors. `in18-torch-build` compiles the library.
//!
//! A second library runs the same kernels on the CPU, for tests. The C++ compiler compiles the
//! operations and copies unchanged. `emulator/` replaces CUDA:
//! * `emulated.h` and `threads.cpp`: a block's threads are fibers that take turns at barriers. The
//!   order of threads and of blocks is random each time, so that a dependence on it shows as
//!   results that do not repeat.
//! * `runtime.cpp`: streams and events. What a GPU may do late is done as late as possible.
//! * `libtorch.cpp` and `c10/`: next to nothing, because libtorch then computes on the CPU.
//!
//! The emulator cannot show: how fast kernels are; whether a GPU has enough registers and shared
//! memory for them; the order of memory writes without a fence; what shared memory holds before it
//! is written; and whether a copy waits for earlier results, since the emulator computes at once.

mod device;
mod error;
pub mod library;
pub mod sys;

pub use device::{Gpu, Memory, Read, join_nccl};
pub use error::CudaError;
pub use library::{gpus, has_driver};
