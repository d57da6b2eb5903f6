//! The operations that a network is made of, and what a provider of kernels must do to run them.
//!
//! [`Op`] is the whole vocabulary of about two dozen operations. A forward operation and its
//! backward operations stand in one file. [`Kernels`] is the trait that hardware stands behind.
//! [`mod@reference`] implements the trait as plainly as possible: it is the oracle. The suite in
//! `conformance` (feature `conformance`, for tests) checks every other provider against it.
//!
//! This crate knows no network, no data and no ranks.
#![forbid(unsafe_code)]

#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod kernels;
#[macro_use]
pub mod op;
pub mod reference;

pub use error::KernelError;
pub use kernels::{DeviceMemory, Kernels, PendingRead, ProgramId};
pub use op::Op;
