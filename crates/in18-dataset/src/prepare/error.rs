//! Why a preparation ends.

use std::io;
use std::path::{Path, PathBuf};

/// Why a preparation ends. One line each.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The system did not let us write.
    #[error("{path}: expected to write it, got: {source}")]
    Write {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder holds images that were prepared otherwise.
    #[error(
        "{path}: expected a new folder or one prepared with {expected}, got one with {got}: give another DST or remove it"
    )]
    Other {
        /// The folder.
        path: PathBuf,
        /// What was asked for.
        expected: String,
        /// What it holds.
        got: String,
    },
    /// What an earlier preparation left is not whole.
    #[error("{path}: expected the shards of an earlier preparation, got {got}: remove the folder")]
    Damaged {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        got: String,
    },
    /// The copy would lie in the source.
    #[error("{path}: expected a folder outside of the source, got one in it: give another DST")]
    Inside {
        /// The folder.
        path: PathBuf,
    },
}

impl PrepareError {
    pub(super) fn damaged(path: &Path, got: &str) -> Self {
        Self::Damaged { path: path.to_owned(), got: got.to_owned() }
    }

    pub(super) fn writing(path: &Path, source: io::Error) -> Self {
        Self::Write { path: path.to_owned(), source }
    }
}
