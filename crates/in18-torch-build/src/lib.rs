//! Builds the project's C++ over libtorch into libraries that programs load. No other crate
//! compiles it, and nothing that ships uses this crate.
//!
//! * `libtorch`: where libtorch and CUDA's toolkit are.
//! * `recipes`: what each library is built from, and how.
//! * `make`: compilers and the linker.
#![forbid(unsafe_code)]

mod libtorch;
mod make;
mod recipes;

use std::path::PathBuf;

use anyhow::Result;

/// A library that exists now.
#[derive(Debug)]
pub struct Made {
    /// Its file.
    pub file: PathBuf,
    /// Whether it was built just now.
    pub is_new: bool,
}

/// Builds the library of operations and ranks, unless an up-to-date one exists. Takes 10 seconds on
/// two cores.
///
/// # Errors
/// One line that says what is missing, or the compiler's message.
pub fn torch() -> Result<Made> {
    make::make(&recipes::torch()?)
}

/// The file of the library of operations and ranks, if it exists.
///
/// # Errors
/// The command that builds it.
pub fn find_torch() -> Result<PathBuf> {
    Ok(in18_libtorch::LIBRARY.find()?)
}

/// Builds the library for GPUs, which takes a minute. Needs CUDA's toolkit. `None` if this libtorch
/// has no part for GPUs.
///
/// # Errors
/// As for [`torch`].
pub fn cuda() -> Result<Option<Made>> {
    recipes::cuda()?.as_ref().map(make::make).transpose()
}

/// Builds the GPU kernels for the CPU, for tests. Needs CUDA's headers.
///
/// # Errors
/// As for [`torch`].
pub fn emulator() -> Result<Made> {
    make::make(&recipes::emulator()?)
}
