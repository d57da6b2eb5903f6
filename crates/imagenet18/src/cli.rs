//! Arguments as written. What they resolve to is the commands' business.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use in18_program::Arch;

/// Trains ImageNet-style classifiers to a target accuracy, fast.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 110)]
#[command(after_help = crate::exit::HELP)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a network on a folder of images.
    Train(TrainArgs),
    /// Generate a set of photos, train a ResNet-18 on it, and show the result: about three minutes on two cores.
    Demo(DemoArgs),
    /// List the published schedules, with what they reached.
    Recipes(RecipesArgs),
    /// Measure this machine.
    Bench(BenchArgs),
}

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

/// `imagenet18 demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where photos, logs and the trained network go.
    #[arg(long, value_name = "DIR", default_value = "imagenet18-demo")]
    pub dir: PathBuf,

    /// Threads that decode images [default: as many as there are cores].
    #[arg(long, short = 'j', value_name = "N")]
    pub workers: Option<NonZeroUsize>,

    /// Threads that compute [default: as many as there are cores]. The result depends on it in its last bits.
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,

    /// Seed of the network, the order and the augmentation.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// Type of activations.
    #[arg(long, value_enum, default_value_t = Precision::Auto)]
    pub precision: Precision,
}

/// `imagenet18 recipes`.
#[derive(Debug, Args)]
pub struct RecipesArgs {
    /// Show one schedule's phases, as --phases takes them.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,

    /// With NAME: show it as a TOML file for --recipe.
    #[arg(long, requires = "name")]
    pub toml: bool,

    /// One JSON object a schedule.
    #[arg(long, conflicts_with = "toml")]
    pub json: bool,
}

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
}

/// `imagenet18 bench step`.
#[derive(Debug, Args)]
pub struct BenchStepArgs {
    /// The network.
    #[arg(long, value_name = "NAME", default_value = "resnet50")]
    pub arch: Arch,

    /// Side of the square images, in pixels.
    #[arg(long, value_name = "PIXELS", default_value = "128")]
    pub size: NonZeroUsize,

    /// Images a step.
    #[arg(long, value_name = "N", default_value = "32")]
    pub batch: NonZeroUsize,

    /// Type of activations.
    #[arg(long, value_enum, default_value_t = Precision::Auto)]
    pub precision: Precision,

    /// Measure an evaluation step instead of a training step.
    #[arg(long)]
    pub eval: bool,

    /// Steps that are counted, after two that are not; the median is reported.
    #[arg(long, value_name = "N", default_value = "7")]
    pub steps: NonZeroUsize,

    /// Threads that compute [default: as many as there are cores].
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,

    /// One JSON object on one line.
    #[arg(long)]
    pub json: bool,
}

/// The type of activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Precision {
    /// bf16 where the hardware computes it natively, else fp32.
    Auto,
    /// bfloat16, with fp32 master weights, statistics, loss and parameter gradients.
    Bf16,
    /// Single precision.
    Fp32,
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
