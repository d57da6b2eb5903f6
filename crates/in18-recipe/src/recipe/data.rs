//! `[data]`: which images a step sees. Where they lie and how many threads read them changes
//! nothing.

use serde::{Deserialize, Serialize};

/// Order and reading of images.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Data {
    /// How the images of an epoch are mixed.
    pub shuffle: Shuffle,
    /// Epochs end before a last step of fewer images than the batch.
    pub drop_last: bool,
    /// Images are turned as their EXIF orientation says. The original did not.
    pub exif: bool,
}

/// How the images of an epoch are mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Shuffle {
    /// A permutation of all.
    #[default]
    Full,
    /// Long stretches of shards, mixed within windows.
    Window,
}
