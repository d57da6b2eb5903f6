//! Arguments of `imagenet18 dawn`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `imagenet18 dawn`.
#[derive(Debug, Args)]
pub struct DawnArgs {
    /// What to print.
    #[command(subcommand)]
    pub what: DawnCommand,
}

/// What can be printed of a run.
#[derive(Debug, Subcommand)]
pub enum DawnCommand {
    /// DAWNBench's table: epoch, hours, top-1, top-5, up to the first validation with a top-5 of 93 %.
    Tsv {
        /// Where from.
        #[command(flatten)]
        events: EventsArgs,
        /// Leave the time of validations out, which DAWNBench does not count.
        #[arg(long)]
        ignore_eval: bool,
    },
    /// The learning rate by training images, as DAWNBench's JSON has it.
    Lr(EventsArgs),
    /// The batch of all devices by training images.
    Batch(EventsArgs),
    /// The image size by training images.
    Size(EventsArgs),
}

/// Where the numbers come from.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// A TensorBoard event file (of this program, tensorboardX or TensorFlow), or a folder of them.
    #[arg(long = "events", visible_alias = "events_path", value_name = "FILE|DIR")]
    pub path: PathBuf,
}
