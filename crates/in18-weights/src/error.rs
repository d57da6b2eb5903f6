//! What can go wrong in writing and reading a network's file.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::checksum::ChecksumError;

/// An error of a network's file. One line each.
#[derive(Debug, Error)]
pub enum WeightsError {
    /// The file could not be written.
    #[error("{path}: cannot write it: {cause}; choose another folder, or make room")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The tensors could not be laid out as a file.
    #[error("cannot lay out the network as a file: {reason}")]
    Layout {
        /// Why.
        reason: String,
    },
    /// A freshly laid out file could not be sealed.
    #[error("cannot seal the network's file: {0}")]
    Seal(ChecksumError),
    /// The network could not be read out of a model, or put into one.
    #[error(transparent)]
    Program(#[from] in18_program::ProgramError),
}
