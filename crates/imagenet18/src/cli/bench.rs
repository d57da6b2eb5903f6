//! Arguments of `imagenet18 bench`.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use in18_program::Arch;
use in18_recipe::{GradientType, Shuffle};

use crate::cli::{EngineArgs, ReadingArgs};

/// `imagenet18 bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// What to measure.
    #[command(subcommand)]
    pub what: BenchCommand,
}

/// What can be measured.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// A training step (forward, backward, update) or an evaluation step, on random pixels.
    Step(BenchStepArgs),
    /// Every operation's rate over networks, image sizes and batches, beside the machine's own peak: where are cliffs? Winograd's
    /// convolutions do less than their counted arithmetic, so they may exceed it.
    Sweep(BenchSweepArgs),
    /// Training batches out of a folder of photos, without a network: read, decode, random resized crop, flip.
    Loader(BenchLoaderArgs),
}

/// `imagenet18 bench step`.
#[derive(Debug, Args)]
pub struct BenchStepArgs {
    /// Measure the step of a recipe: its network, loss, optimizer and averages. The recipe is the
    /// name of a published one or a TOML file [default: the original's].
    #[arg(long, value_name = "NAME|FILE.toml")]
    pub recipe: Option<String>,

    /// The network [default: the recipe's, or resnet50].
    #[arg(long, value_name = "NAME")]
    pub arch: Option<Arch>,

    /// Set a field of the recipe that changes the step, as `-o network.blurpool=all`.
    #[arg(short = 'o', value_name = "FIELD=VALUE")]
    pub fields: Vec<String>,

    /// Height of the images in pixels, and their width unless that is given.
    #[arg(long, value_name = "PIXELS", default_value = "128")]
    pub size: NonZeroUsize,

    /// Width of the images, in pixels [default: the height].
    #[arg(long, value_name = "PIXELS")]
    pub width: Option<NonZeroUsize>,

    /// Images a step.
    #[arg(long, value_name = "N", default_value = "32")]
    pub batch: NonZeroUsize,

    /// Measure an evaluation step instead of a training step.
    #[arg(long)]
    pub eval: bool,

    /// Steps that are counted, after two that are not; the median is reported.
    #[arg(long, value_name = "N", default_value = "7")]
    pub steps: NonZeroUsize,

    /// What computes.
    #[command(flatten)]
    pub engine: EngineArgs,

    /// With several devices: the type in which gradients are exchanged [default: the recipe's, or
    /// fp32].
    #[arg(long, value_enum)]
    pub gradients: Option<GradientType>,

    /// With several devices: sum gradients after the backward half instead of while it goes on.
    #[arg(long)]
    pub no_overlap: bool,

    /// Show where the time goes: each kind of operation's time, share of the step, Gflop/s and GB/s.
    #[arg(long, conflicts_with = "json")]
    pub profile: bool,

    /// One JSON object on one line.
    #[arg(long)]
    pub json: bool,
}

/// `imagenet18 bench sweep`.
#[derive(Debug, Args)]
pub struct BenchSweepArgs {
    /// The networks.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "resnet18,resnet50")]
    pub arch: Vec<Arch>,

    /// Sides of the images, in pixels; HEIGHTxWIDTH for those that are not square.
    #[arg(long, value_name = "PIXELS", value_delimiter = ',', default_value = "32,48,64,96,128,160,224,288,128x168")]
    pub sizes: Vec<Extents>,

    /// Images a step.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "2,32")]
    pub batch: Vec<NonZeroUsize>,

    /// Steps whose operations are timed; each operation's median counts.
    #[arg(long, value_name = "N", default_value = "3")]
    pub steps: NonZeroUsize,

    /// What computes.
    #[command(flatten)]
    pub engine: EngineArgs,

    /// One JSON object a line: the machine, then every operation of every step.
    #[arg(long)]
    pub json: bool,
}

/// Height and width of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extents {
    /// Pixels of a column.
    pub height: NonZeroUsize,
    /// Pixels of a row.
    pub width: NonZeroUsize,
}

impl std::str::FromStr for Extents {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (height, width) = text.split_once('x').unwrap_or((text, text));
        let side = |text: &str| text.parse().ok();
        match (side(height), side(width)) {
            (Some(height), Some(width)) => Ok(Extents { height, width }),
            _ => Err(format!("expected a side in pixels such as 128, or HEIGHTxWIDTH such as 128x168, got {text:?}")),
        }
    }
}

/// `imagenet18 bench loader`.
#[derive(Debug, Args)]
pub struct BenchLoaderArgs {
    /// Folder of class folders or of shards, as DATA/train is.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,

    /// How images are read.
    #[command(flatten)]
    pub reading: ReadingArgs,

    /// How an epoch's images are mixed.
    #[arg(long, value_enum, default_value_t = Shuffle::Full)]
    pub shuffle: Shuffle,

    /// Side of the images in a batch, in pixels.
    #[arg(long, value_name = "PIXELS", default_value = "128")]
    pub size: NonZeroU32,

    /// Images a batch.
    #[arg(long, value_name = "N", default_value = "128")]
    pub batch: NonZeroUsize,

    /// Threads that decode [default: as many as there are cores].
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,

    /// Lower bound of a crop's share of the image's area.
    #[arg(long, value_name = "SHARE", default_value = "0.08")]
    pub min_scale: f64,

    /// Set a field of the recipe that changes images, as `-o augment.mixup=0.2`.
    #[arg(short = 'o', value_name = "FIELD=VALUE")]
    pub fields: Vec<String>,

    /// Epochs that are counted, after one that is not and brings the files into memory; the best and the median one are
    /// reported.
    #[arg(long, value_name = "N", default_value = "2")]
    pub passes: NonZeroUsize,

    /// One JSON object on one line.
    #[arg(long)]
    pub json: bool,
}
