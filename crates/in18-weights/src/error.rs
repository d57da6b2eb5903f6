//! What can go wrong in writing and reading a network's file.

use std::io;
use std::path::PathBuf;

use in18_program::Arch;
use thiserror::Error;

/// What a file says of itself, fit for a message of one line: characters that a terminal would obey are shown as escapes.
pub fn plain(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { letter.escape_default().to_string() } else { letter.to_string() })
        .collect()
}

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
    /// The system does not let it be read.
    #[error("{path}: expected to read a network, got: {cause}; name a safetensors file")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Another format.
    #[error("{path}: expected a safetensors file, got {got}")]
    NotSafetensors {
        /// The file.
        path: PathBuf,
        /// What it is, and what to do.
        got: String,
    },
    /// Cut, changed or inconsistent.
    #[error("{path}: expected a whole safetensors file, got a damaged one ({}); take another copy of it", plain(.reason))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It does not say which network it holds.
    #[error("{path}: expected to be told which network it holds, since it does not say so itself; {hint}")]
    ArchNeeded {
        /// The file.
        path: PathBuf,
        /// What to do.
        hint: String,
    },
    /// It holds another network.
    #[error("{path}: expected a {expected}, got {}; {hint}", plain(.got))]
    OtherNetwork {
        /// The file.
        path: PathBuf,
        /// What it was to be.
        expected: Arch,
        /// Its first tensor that is missing, unknown, or of another shape or type.
        got: String,
        /// What to do.
        hint: String,
    },
    /// It tells other classes apart.
    #[error(
        "{path}: expected a classifier of {expected} classes, got one of {got}; train --init replaces it with --new-head"
    )]
    OtherClasses {
        /// The file.
        path: PathBuf,
        /// Classes that are needed.
        expected: usize,
        /// Classes that it has.
        got: usize,
    },
}
