//! What GPUs need beside libtorch's operations: memory and its figures, copies that do not wait, kernels, and NCCL.
//!
//! It lies in a library of its own (`shim/`, C++ behind a C interface, and `kernels/`, CUDA C++), over libtorch's and NVIDIA's
//! libraries. Programs do not link it: [`library`] looks for it at run time, where an NVIDIA driver is, so that they start
//! without one. Three layers: `sys` declares the interface, `library` finds and loads it, `device` owns a GPU, `error` turns
//! codes into errors. `in18-torch-build` compiles it.
//!
//! A second library, for tests, runs the same kernels on the CPU: operations and copies are compiled as they are by the C++
//! compiler, and in place of CUDA stand, in `emulator/`:
//! * `emulated.h` and `threads.cpp`: a block's threads are fibers that take turns at barriers. Their order, and that of
//!   blocks, is by chance and another one each time, so that what depends on it does not repeat itself.
//! * `runtime.cpp`: streams and events. What a GPU may do late is done as late as can be.
//! * `libtorch.cpp` and `c10/`: next to nothing, as libtorch computes on the CPU then.
//!
//! What the emulator cannot show: how fast kernels are, whether a GPU has the registers and the shared memory that they ask
//! for, what its memory does with writes that no fence orders, what shared memory holds before it is written, and whether a
//! copy waits for what was computed before it, since that is computed at once.

mod device;
mod error;
pub mod library;
pub mod sys;

pub use device::{Gpu, Memory, Read, join_nccl};
pub use error::CudaError;
pub use library::{gpus, has_driver};
