//! Libraries of machine code: where `cargo xtask setup` puts them, and how a program loads our own.
//!
//! This crate does not know what the libraries do. Build scripts use it, too, so it has hardly any
//! dependencies.

mod library;
pub mod location;
mod sources;

pub use library::{FOLDER, Library, LibraryError, OwnLibrary};
pub use sources::{Source, digest, unlisted};
