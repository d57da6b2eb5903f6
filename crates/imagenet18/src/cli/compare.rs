//! Arguments of `imagenet18 compare`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use crate::cli::{EngineArgs, ReadingArgs};

/// `imagenet18 compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Folder with train/ and validation/ (or val/), as for `train`.
    #[arg(value_name = "DATA")]
    pub data: PathBuf,

    /// A recipe, by name or as a TOML file, and after it fields that differ, as
    /// `--recipe 'mine.toml average.ema_half_life=100'`. Given once for each recipe; the others are
    /// compared with the first.
    #[arg(long = "recipe", value_name = "RECIPE [FIELD=VALUE ...]", required = true)]
    pub recipes: Vec<String>,

    /// How many seeds each recipe is trained with: 0, 1, 2 and so on.
    #[arg(long, value_name = "N", default_value = "5")]
    pub seeds: NonZeroUsize,

    /// Where runs, logs and the picture go. The same command goes on with what is there.
    #[arg(long, value_name = "DIR", default_value = "runs/compare")]
    pub logdir: PathBuf,

    /// Runs side by side [default: as many as there are cores for their --threads; one on GPUs].
    #[arg(long, value_name = "N")]
    pub processes: Option<NonZeroUsize>,

    /// What computes. Here, --threads is of each run [default: 1].
    #[command(flatten)]
    pub engine: EngineArgs,

    /// Threads that decode images, of each run [default: as its --threads].
    #[arg(long, short = 'j', value_name = "N")]
    pub workers: Option<NonZeroUsize>,

    /// How images are read.
    #[command(flatten)]
    pub reading: ReadingArgs,

    /// One JSON object a recipe instead of the table.
    #[arg(long)]
    pub json: bool,
}
