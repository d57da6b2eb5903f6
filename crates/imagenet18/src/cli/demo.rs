//! Arguments of `imagenet18 demo`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use crate::cli::EngineArgs;

/// `imagenet18 demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where photos, logs and the trained network go.
    #[arg(long, value_name = "DIR", default_value = "imagenet18-demo")]
    pub dir: PathBuf,

    /// Threads that decode images [default: as many as there are cores].
    #[arg(long, short = 'j', value_name = "N")]
    pub workers: Option<NonZeroUsize>,

    /// Seed of the network, the order and the augmentation.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// What computes.
    #[command(flatten)]
    pub engine: EngineArgs,
}
