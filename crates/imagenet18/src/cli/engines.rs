//! Arguments of `imagenet18 engines`.

use clap::Args;

/// `imagenet18 engines`.
#[derive(Debug, Args)]
pub struct EnginesArgs {
    /// One JSON object an engine or device.
    #[arg(long)]
    pub json: bool,
}
