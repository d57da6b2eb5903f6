//! What the tests of other crates share: golden values of whole networks, comparisons of vectors, and images to train on.
//!
//! * [`generator`]: parameters, pixels and labels as a formula, the same as in `scripts/golden/networks.py`.
//! * [`golden`]: what PyTorch computes for them, and how to compare with it.
//! * [`networks`]: the comparison for any kernel provider.
//! * [`compare`]: closeness of two slices, for tests of single operations.
//! * [`skip`]: what a test calls that cannot do its work here.
//! * [`images`]: folders of small JPEGs whose classes a network learns in a few steps.
//!
//! Nothing here knows a provider or a loader, so that each of them can be tested against it.
#![forbid(unsafe_code)]

pub mod compare;
pub mod generator;
pub mod golden;
pub mod images;
pub mod networks;
pub mod skip;
