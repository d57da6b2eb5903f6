//! Arguments of `imagenet18 watch`.

use clap::Args;
use std::path::PathBuf;

/// `imagenet18 watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Folder of a run (its --logdir).
    #[arg(value_name = "LOGDIR")]
    pub logdir: PathBuf,

    /// Print how the run stands now, and end.
    #[arg(long)]
    pub once: bool,

    /// How long to wait for a run that has not begun.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub wait: u64,
}
