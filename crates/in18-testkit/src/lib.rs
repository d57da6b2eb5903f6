//! What the tests of several crates share: golden values of whole networks, comparisons of vectors,
//! and images to train on.
//!
//! * [`generator`]: parameters, pixels and labels as formulas, the same as in
//!   `scripts/golden/networks.py`.
//! * [`golden`]: PyTorch's results for them, and how to compare with these.
//! * [`networks`]: the comparison for any kernel provider.
//! * [`compare`]: closeness of two slices, for tests of single operations.
//! * [`skip`]: functions for a test that cannot do its work on this machine.
//! * [`images`]: folders of small JPEGs whose classes a network learns in a few steps.
//! * [`odd`]: odd and damaged image files, and how Pillow decodes them.
//!
//! The modules about networks need the feature `networks` (on by default).
//!
//! This crate knows no provider and no loader, so that each of them can be tested with it.
#![forbid(unsafe_code)]

pub mod compare;
pub mod generator;
#[cfg(feature = "networks")]
pub mod golden;
pub mod images;
#[cfg(feature = "networks")]
pub mod networks;
pub mod odd;
pub mod skip;
