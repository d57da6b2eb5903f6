//! Arguments that say how images are read.

use std::path::PathBuf;

use clap::Args;
use in18_dataset::OpenOptions;

/// How images are read.
#[derive(Clone, Debug, Default, Args)]
pub struct ReadingArgs {
    /// Turn images as their EXIF orientation says. The original did not.
    #[arg(long)]
    pub exif: bool,

    /// Where lists of what lies in tar shards without an index are kept [default: beside the
    /// shards].
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
}

impl ReadingArgs {
    /// The options that `in18-dataset` takes.
    pub fn options(&self) -> OpenOptions {
        OpenOptions { cache: self.cache.clone(), exif: self.exif, ..OpenOptions::default() }
    }
}
