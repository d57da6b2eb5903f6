//! The library of `in18-cuda` for the CPU, for tests: its kernels, operations and copies, compiled as they are by the C++ compiler.
//!
//! In place of CUDA stand, in `emulator/`:
//! * `emulated.h` and `threads.cpp`: a block's threads are fibers that take turns at barriers. Their order, and that of blocks, is
//!   by chance and another one each time, so that what depends on it does not repeat itself.
//! * `runtime.cpp`: streams and events. What a GPU may do late is done as late as can be.
//! * `libtorch.cpp` and `c10/`: next to nothing, as libtorch computes on the CPU then.
//!
//! What this cannot show: how fast kernels are, whether a GPU has the registers and the shared memory that they ask for, what its
//! memory does with writes that no fence orders, what shared memory holds before it is written, and whether a copy waits for what
//! was computed before it, since that is computed at once.
#![forbid(unsafe_code)]

#[cfg(feature = "libtorch")]
use std::path::Path;

/// The library's file, for `in18_cuda::Gpu::emulated`; none without CUDA's toolkit, which `cargo xtask setup --cuda` and
/// `cargo xtask test --torch` fetch.
#[cfg(feature = "libtorch")]
pub fn library() -> Option<&'static Path> {
    const FILE: &str = env!("IN18_CUDA_EMULATOR");
    (!FILE.is_empty()).then_some(Path::new(FILE))
}
