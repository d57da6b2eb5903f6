//! The errors of writing and reading a network's file.

use std::io;
use std::path::PathBuf;

use in18_program::Arch;
use thiserror::Error;

/// Text from a file, made fit for a message of one line: control characters, which a terminal would
/// obey, are escaped.
pub fn plain(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { letter.escape_default().to_string() } else { letter.to_string() })
        .collect()
}

/// An error of a network's file. Each message has one line.
#[derive(Debug, Error)]
pub enum WeightsError {
    /// The file could not be written.
    #[error("{path}: expected to write it, got: {cause}; choose another folder, or make room")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// The network could not be read out of a model, or put into one.
    #[error(transparent)]
    Program(#[from] in18_program::ProgramError),
    /// The system does not let the file be read.
    #[error("{path}: expected to read a network, got: {cause}; name a safetensors file")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// The file has another format.
    #[error("{path}: expected a safetensors file, got {got}")]
    NotSafetensors {
        /// The file.
        path: PathBuf,
        /// What the file is, and what to do.
        got: String,
    },
    /// The file is truncated, changed or inconsistent.
    #[error("{path}: expected a whole safetensors file, got a damaged one ({}); take another copy of it", plain(.reason))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with the file.
        reason: String,
    },
    /// The file does not say which network it holds.
    #[error("{path}: expected to be told which network it holds, since it does not say so itself; {hint}")]
    ArchNeeded {
        /// The file.
        path: PathBuf,
        /// What to do.
        hint: String,
    },
    /// The file holds another network.
    #[error("{path}: expected a {expected}, got {}; {hint}", plain(.got))]
    OtherNetwork {
        /// The file.
        path: PathBuf,
        /// The expected network.
        expected: Arch,
        /// The first tensor that is missing, unknown, or of another shape or type.
        got: String,
        /// What to do.
        hint: String,
    },
    /// The file's network has another number of classes.
    #[error(
        "{path}: expected a classifier of {expected} classes, got one of {got}; train --init replaces it with --new-head"
    )]
    OtherClasses {
        /// The file.
        path: PathBuf,
        /// The number of classes needed.
        expected: usize,
        /// The number of classes in the file.
        got: usize,
    },
}
