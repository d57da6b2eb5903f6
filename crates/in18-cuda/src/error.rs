//! The library's codes as errors.

use std::ffi::{CStr, c_int};

use in18_libtorch::operations::{DONE, OUT_OF_MEMORY};

use crate::sys::Functions;

/// What went wrong on a GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CudaError {
    /// There is not enough memory.
    OutOfMemory,
    /// Any other error: what was done, and the library's message.
    Failed(String),
}

impl std::fmt::Display for CudaError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CudaError::OutOfMemory => f.write_str("the GPU's memory is full"),
            CudaError::Failed(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for CudaError {}

/// Turns a code into a result; `doing` describes the call.
pub(crate) fn check(functions: &Functions, code: c_int, doing: &str) -> Result<(), CudaError> {
    match code {
        DONE => Ok(()),
        OUT_OF_MEMORY => Err(CudaError::OutOfMemory),
        _ => {
            // SAFETY: the text lives until this thread's next call.
            let text = unsafe { CStr::from_ptr(functions.error()) }.to_string_lossy();
            Err(CudaError::Failed(format!("{doing}: {text}")))
        }
    }
}
