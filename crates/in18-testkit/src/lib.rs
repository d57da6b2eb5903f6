//! What the tests of other crates share: golden values of whole networks, comparisons of vectors, and images to train on.
//!
//! * [`generator`]: parameters, pixels and labels as a formula, the same as in `scripts/golden/networks.py`.
//! * [`golden`]: what PyTorch computes for them, and how to compare with it.
//! * [`networks`]: the comparison for any kernel provider.
//! * [`compare`]: closeness of two slices, for tests of single operations.
//! * [`skip`]: what a test calls that cannot do its work here.
//! * [`images`]: folders of small JPEGs whose classes a network learns in a few steps.
//! * [`odd`]: odd and damaged image files, and what Pillow makes of them.
//!
//! What is about networks is there with feature `networks` only (the default).
//!
//! Nothing here knows a provider or a loader, so that each of them can be tested against it.
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
