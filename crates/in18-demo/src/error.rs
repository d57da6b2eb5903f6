//! What can go wrong while the photo set is written.

use std::io;
use std::path::PathBuf;

/// Why a photo set could not be made. Each message is one line that names the path and the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// The specification asks for a set that cannot be trained on.
    #[error("{what}: got {got}, expected {expected}")]
    Spec {
        /// The field of the specification.
        what: &'static str,
        /// Its value.
        got: usize,
        /// What it may be.
        expected: &'static str,
    },
    /// The folder holds something that the generator did not put there.
    #[error("{dir} is not empty and holds no generated photo set: name a new or an empty folder for it")]
    NotOurs {
        /// The folder that was named.
        dir: PathBuf,
    },
    /// The folder holds a set of another specification.
    #[error(
        "{dir} holds another generated photo set ({found}; wanted {expected}): delete that folder or name another one"
    )]
    OtherSet {
        /// The folder that was named.
        dir: PathBuf,
        /// What its marker says.
        found: String,
        /// What was asked for.
        expected: String,
    },
    /// A file or folder could not be read or written.
    #[error("cannot {operation} {path}: {cause}")]
    File {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A photo could not be encoded as JPEG.
    #[error("cannot encode {path} as JPEG: {cause}")]
    Encode {
        /// The photo's path.
        path: PathBuf,
        /// What the encoder said.
        cause: String,
    },
}
