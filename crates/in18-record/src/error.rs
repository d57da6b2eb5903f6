//! What can go wrong while a record is written.

use std::io;
use std::path::PathBuf;

/// Why a sink could not be made or could not continue. One line that names the file and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A log could not be created.
    #[error("cannot create log {path}: {cause}; choose a folder that can be written with --logdir")]
    Create {
        /// The log.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A log or the console could not be written to.
    #[error("cannot write {name}: {cause}; nothing more is written there")]
    Write {
        /// The log's path, or the console's name.
        name: String,
        /// What the system said.
        cause: io::Error,
    },
    /// A time stamp lies outside of the calendar.
    #[error("cannot write {name}: expected a Unix time within the years -9999 to 9999, got {got} s")]
    Time {
        /// The log's path.
        name: String,
        /// Seconds since 1970.
        got: f64,
    },
}
