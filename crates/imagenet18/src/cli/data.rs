//! Arguments of `imagenet18 data`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use in18_dataset::PreparedSize;

use crate::cli::OnBadImage;

/// `imagenet18 data`.
#[derive(Debug, Args)]
pub struct DataArgs {
    /// What to do.
    #[command(subcommand)]
    pub what: DataCommand,
}

/// What can be done with images.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Print classes, counts, sizes and shapes, from the images' headers alone.
    Info(DataInfoArgs),
    /// Make smaller copies for the schedules that train on them: DST-sz/160/train/CLASS/* and so on, in one pass.
    Prepare(DataPrepareArgs),
    /// Decode every image whole, and name those that cannot be.
    Verify(DataSetArgs),
}

/// Which images.
#[derive(Debug, Args)]
pub struct DataSetArgs {
    /// Folder with train/CLASS/* and validation/CLASS/* or val/CLASS/*, or one of class folders.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,

    /// Threads that read [default: as many as there are cores].
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
}

/// `imagenet18 data prepare`.
#[derive(Debug, Args)]
pub struct DataPrepareArgs {
    /// Folder with train/CLASS/* and validation/CLASS/* or val/CLASS/*.
    #[arg(value_name = "SRC")]
    pub from: PathBuf,

    /// Data path of the copies, which sizes are appended to: DST-sz/160, or DST itself for full.
    #[arg(value_name = "DST")]
    pub to: PathBuf,

    /// Pixels of the short side (aspect kept, never enlarged), or full.
    #[arg(long, value_name = "SIZES", value_delimiter = ',', default_value = "160,352")]
    pub sizes: Vec<PreparedSize>,

    /// Quality of the JPEGs; images that are small enough are copied as they are.
    #[arg(long, value_name = "Q", default_value = "90", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub quality: u8,

    /// What happens at an image that cannot be read.
    #[arg(long, value_enum, default_value_t = OnBadImage::Skip)]
    pub on_bad_image: OnBadImage,

    /// Threads that work [default: as many as there are cores].
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
}

/// `imagenet18 data info`.
#[derive(Debug, Args)]
pub struct DataInfoArgs {
    /// Which images.
    #[command(flatten)]
    pub set: DataSetArgs,

    /// One JSON object on one line.
    #[arg(long)]
    pub json: bool,
}
