//! Arguments of `imagenet18 data`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use in18_dataset::PreparedSize;

use crate::cli::{OnBadImage, ReadingArgs};

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
    /// Print classes, counts, sizes and shapes, from an index or the images' headers.
    Info(DataInfoArgs),
    /// Make smaller copies for the schedules that train on them, DST-sz/160/train and so on, in one pass.
    Prepare(DataPrepareArgs),
    /// Compare every byte of prepared shards with their checksums, decode every image whole, and name what is damaged.
    Verify(DataSetArgs),
}

/// Which images.
#[derive(Debug, Args)]
pub struct DataSetArgs {
    /// Folder with train/ and validation/ or val/, each of class folders or tar shards; or one such folder.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,

    /// How images are read.
    #[command(flatten)]
    pub reading: ReadingArgs,

    /// Threads that read [default: as many as there are cores].
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
}

/// `imagenet18 data prepare`.
#[derive(Debug, Args)]
pub struct DataPrepareArgs {
    /// Folder with train/ and validation/ or val/, each of class folders or archives; or one with ImageNet's archives as
    /// they are handed out (tar), WebDataset's tar shards, or Parquet files.
    #[arg(value_name = "SRC")]
    pub from: PathBuf,

    /// Data path of the copies, which sizes are appended to: DST-sz/160, or DST itself for full.
    #[arg(value_name = "DST")]
    pub to: PathBuf,

    /// Pixels of the short side (aspect kept, never enlarged), or full.
    #[arg(long, value_name = "SIZES", value_delimiter = ',', default_value = "160,352")]
    pub sizes: Vec<PreparedSize>,

    /// Quality of the JPEGs; images that are small enough keep their pixels to the bit.
    #[arg(long, value_name = "Q", default_value = "90", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub quality: u8,

    /// Tar shards with an index, or a file for each image in class folders.
    #[arg(long, value_enum, default_value_t = SetFormat::Tar)]
    pub format: SetFormat,

    /// Images in a shard.
    #[arg(long, value_name = "N", default_value = "4096")]
    pub shard_images: NonZeroUsize,

    /// List of the validation images' labels, where they come without and it does not lie beside them.
    #[arg(long, value_name = "FILE")]
    pub ground_truth: Option<PathBuf>,

    /// How images are read. Copies are upright with --exif; without, smaller copies lose what --exif would need.
    #[command(flatten)]
    pub reading: ReadingArgs,

    /// What happens at an image that cannot be read.
    #[arg(long, value_enum, default_value_t = OnBadImage::Skip)]
    pub on_bad_image: OnBadImage,

    /// Threads that work [default: as many as there are cores].
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
}

/// How prepared images lie on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SetFormat {
    /// Tar shards with an index.
    Tar,
    /// A file for each image, in class folders.
    Folder,
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
