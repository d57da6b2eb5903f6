//! What can go wrong in writing and reading a network's file.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// An error of a network's file. One line each.
#[derive(Debug, Error)]
pub enum WeightsError {
    /// The file could not be written.
    #[error("{path}: expected to write it, got: {cause}; choose another folder, or make room")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The network could not be read out of a model, or put into one.
    #[error(transparent)]
    Program(#[from] in18_program::ProgramError),
}
