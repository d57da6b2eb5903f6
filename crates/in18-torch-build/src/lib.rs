//! How the project's C++ over libtorch becomes libraries that programs load: the only place that compiles it. Nothing that
//! ships uses this crate.
//!
//! * `libtorch`: where libtorch and CUDA's toolkit are.
//! * `recipes`: what each library is made of, and how.
//! * `make`: compilers and the linker.
#![forbid(unsafe_code)]

mod libtorch;
mod make;
mod recipes;

use std::path::PathBuf;

use anyhow::Result;

/// A library that is there.
#[derive(Debug)]
pub struct Made {
    /// Its file.
    pub file: PathBuf,
    /// Whether it was made now, and not before.
    pub is_new: bool,
}

/// Makes the library of operations and ranks, unless it is there as it would be made now. Takes 10 seconds of two cores.
///
/// # Errors
/// One line that says what is missing, or what the compiler says.
pub fn torch() -> Result<Made> {
    make::make(&recipes::torch()?)
}

/// The file of the library of operations and ranks, if it is there.
///
/// # Errors
/// Which command makes it.
pub fn find_torch() -> Result<PathBuf> {
    Ok(in18_libtorch::LIBRARY.find()?)
}

/// The same for GPUs: a minute. Needs CUDA's toolkit. None where libtorch has no part for GPUs.
///
/// # Errors
/// As for [`torch`].
pub fn cuda() -> Result<Option<Made>> {
    recipes::cuda()?.as_ref().map(make::make).transpose()
}

/// The GPUs' kernels for the CPU, for tests. Needs CUDA's headers.
///
/// # Errors
/// As for [`torch`].
pub fn emulator() -> Result<Made> {
    make::make(&recipes::emulator()?)
}
