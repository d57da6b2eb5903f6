//! Arguments of `imagenet18 train`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use in18_program::Arch;

use crate::cli::Precision;

/// `imagenet18 train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// Folder with train/CLASS/* and validation/CLASS/* (or val/CLASS/*): JPEG or PNG files.
    #[arg(value_name = "DATA", required_unless_present = "images")]
    pub data: Option<PathBuf>,

    /// The network: resnet18, resnet34, resnet50, resnet101 or resnet152.
    #[arg(long, short = 'a', value_name = "NAME", default_value = "resnet50")]
    pub arch: Arch,

    /// The schedule, as a Python list of dicts: "[{'ep':0,'sz':128,'bs':64}, {'ep':(0,5),'lr':(0.1,0.01)}]".
    #[arg(long, value_name = "PHASES", conflicts_with = "recipe", required_unless_present = "recipe")]
    pub phases: Option<String>,

    /// The schedule, by the name of a published one (`imagenet18 recipes`) or as a TOML file.
    #[arg(long, value_name = "NAME|FILE.toml")]
    pub recipe: Option<String>,

    /// Start the last batch normalisation of each residual block at 0, and the classifier at N(0, 0.01).
    #[arg(long)]
    pub init_bn0: bool,

    /// No weight decay on batch normalisation's parameters.
    #[arg(long)]
    pub no_bn_wd: bool,

    /// SGD's momentum.
    #[arg(long, value_name = "M", default_value_t = 0.9, value_parser = unit_interval)]
    pub momentum: f32,

    /// L2 penalty.
    #[arg(long, visible_alias = "wd", value_name = "W", default_value_t = 1e-4, value_parser = not_negative)]
    pub weight_decay: f32,

    /// Threads that decode images [default: as many as there are cores].
    #[arg(long, short = 'j', value_name = "N")]
    pub workers: Option<NonZeroUsize>,

    /// Threads that compute [default: as many as there are cores]. The result depends on it in its last bits.
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,

    /// Seed of initial weights, order and augmentation: the same seed gives the same network, bit for bit.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// Batches between two lines of the log.
    #[arg(long, short = 'p', value_name = "N", default_value = "10")]
    pub print_freq: NonZeroUsize,

    /// End each epoch after ten batches, to try a schedule out; rates are those of the whole epoch's first steps.
    #[arg(long, conflicts_with = "dry_run")]
    pub short_epoch: bool,

    /// Where logs and the trained network go; made if it is not there [default: runs/ARCH-TIME].
    #[arg(long, value_name = "DIR")]
    pub logdir: Option<PathBuf>,

    /// Type of activations: `auto` is bf16 where the CPU computes it natively, else fp32.
    #[arg(long, value_enum, default_value_t = Precision::Auto)]
    pub precision: Precision,

    /// Print what would be done, epoch by epoch, and stop. Reads no image.
    #[arg(long)]
    pub dry_run: bool,

    /// With --dry-run: one JSON object an epoch.
    #[arg(long, requires = "dry_run")]
    pub json: bool,

    /// With --dry-run: plan for this many training images instead of those in DATA.
    #[arg(long, value_name = "N", requires = "dry_run")]
    pub images: Option<NonZeroUsize>,

    /// With --dry-run: plan for this many devices.
    #[arg(long, value_name = "W", requires = "dry_run", default_value = "1")]
    pub world: NonZeroUsize,
}

fn unit_interval(text: &str) -> Result<f32, String> {
    number(text, "a number from 0 to 1 (1 excluded)", |value| (0.0..1.0).contains(&value))
}

fn not_negative(text: &str) -> Result<f32, String> {
    number(text, "a number from 0 on", |value| value >= 0.0 && value.is_finite())
}

fn number(text: &str, expected: &str, accepts: impl Fn(f32) -> bool) -> Result<f32, String> {
    let value = text.parse().ok().filter(|&value| accepts(value));
    value.ok_or_else(|| format!("expected {expected}"))
}
