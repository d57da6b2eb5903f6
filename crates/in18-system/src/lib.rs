#![forbid(unsafe_code)]
//! What more than one crate asks of the operating system.
//!
//! * [`WholeFile`]: files that appear whole or not at all.
//! * [`proc`]: what Linux says of this machine and this process under `/proc`.
//!
//! Knows nothing of images, networks or runs, and depends on the standard library only.

pub mod proc;
mod whole;

pub use whole::{TEMPORARY, WholeFile};
