//! Libraries of machine code: where `cargo xtask setup` puts them, and how a program loads the project's own at run time.
//!
//! This crate knows nothing of what the libraries do. Build scripts use it, too, so it depends on next to nothing.

mod library;
pub mod location;
mod sources;

pub use library::{FOLDER, Library, LibraryError, OwnLibrary};
pub use sources::{Source, digest, unlisted};
