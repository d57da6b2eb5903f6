//! Arguments of `imagenet18 train`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use in18_program::Arch;
use in18_recipe::{GradientType, LossScale, Shuffle};
use in18_train::StopAt;

use crate::cli::{EngineArgs, OnBadImage, OriginalArgs, ReadingArgs};

/// `imagenet18 train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// Folder with train/ and validation/ (or val/), each of CLASS/* files, JPEG or PNG, or of tar
    /// shards.
    #[arg(value_name = "DATA", required_unless_present = "images")]
    pub data: Option<PathBuf>,

    /// The network.
    #[arg(
        long,
        short = 'a',
        value_name = "NAME",
        help = format!(
            "The network, one of {}, or one as ResNet-D, such as resnet50d [default: the recipe's, or resnet50]",
            Arch::names()
        )
    )]
    pub arch: Option<Arch>,

    /// The schedule, as a Python list of dicts: "[{'ep':0,'sz':128,'bs':64},
    /// {'ep':(0,5),'lr':(0.1,0.01)}]".
    #[arg(long, value_name = "PHASES", conflicts_with = "recipe", required_unless_present = "recipe")]
    pub phases: Option<String>,

    /// The whole recipe, by the name of a published one (`imagenet18 recipes`) or as a TOML file
    /// (`imagenet18 recipes show NAME` is one). It brings the network and flags that its result was
    /// reached with, unless the command line has its own.
    #[arg(long, value_name = "NAME|FILE.toml")]
    pub recipe: Option<String>,

    /// Set any field of the recipe, as `-o optimizer.momentum=0.95`; may be given often, and the
    /// last one counts. `imagenet18 recipes show NAME` shows what fields there are.
    #[arg(short = 'o', value_name = "FIELD=VALUE")]
    pub fields: Vec<String>,

    /// Start the last batch normalisation of each residual block at 0, and the classifier at N(0,
    /// 0.01) [default: as the recipe says, or false].
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub init_bn0: Option<bool>,

    /// Start from this network instead of random values: a safetensors file with torchvision's
    /// names.
    #[arg(long, value_name = "FILE")]
    pub init: Option<PathBuf>,

    /// With --init: start the classifier from random values all the same, for classes of another
    /// number or meaning.
    #[arg(long, requires = "init")]
    pub new_head: bool,

    /// No weight decay on batch normalisation's parameters [default: as the recipe says, or false].
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub no_bn_wd: Option<bool>,

    /// SGD's momentum [default: the recipe's, or 0.9].
    #[arg(long, value_name = "M", value_parser = unit_interval)]
    pub momentum: Option<f32>,

    /// L2 penalty [default: the recipe's, or 0.0001].
    #[arg(long, visible_alias = "wd", value_name = "W", value_parser = not_negative)]
    pub weight_decay: Option<f32>,

    /// Threads that decode images, of each rank [default: as many as it has cores].
    #[arg(long, short = 'j', value_name = "N")]
    pub workers: Option<NonZeroUsize>,

    /// What happens at an image that cannot be loaded: `skip` names it and goes on, another taking
    /// its place in training (up to 1 % of a set, so none of fewer than 100), `fail` ends the run.
    #[arg(long, value_enum, default_value_t = OnBadImage::Skip)]
    pub on_bad_image: OnBadImage,

    /// How an epoch's images are mixed: `full` is a permutation of all; `window` reads shards in
    /// long stretches and mixes within 16,384 images, for sets larger than memory or on slow disks
    /// [default: the recipe's, or full].
    #[arg(long, value_enum)]
    pub shuffle: Option<Shuffle>,

    /// End each epoch before a last step of fewer images than the batch.
    #[arg(long)]
    pub drop_last: bool,

    /// How images are read.
    #[command(flatten)]
    pub reading: ReadingArgs,

    /// Seed of initial weights, order and augmentation: the same seed gives the same network, bit
    /// for bit [default: the recipe's, or 0].
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// Batches between two lines of the log.
    #[arg(long, short = 'p', value_name = "N", default_value = "10")]
    pub print_freq: NonZeroUsize,

    /// End each epoch after ten batches, to try a schedule out; rates are those of the whole
    /// epoch's first steps.
    #[arg(long, conflicts_with = "dry_run")]
    pub short_epoch: bool,

    /// End after the first evaluation that reaches this accuracy in percent, as `top5=93` or
    /// `top1=76`; `none` takes back what the run that is continued was told.
    #[arg(long, value_name = "top1=P|top5=P|none", conflicts_with_all = ["dry_run", "evaluate"])]
    pub stop_at: Option<Stop>,

    /// Where logs, checkpoints and the trained network go; made if it is not there [default:
    /// runs/ARCH-TIME].
    #[arg(long, value_name = "DIR")]
    pub logdir: Option<PathBuf>,

    /// What computes.
    #[command(flatten)]
    pub engine: EngineArgs,

    /// With fp16: what the loss is multiplied with, so that small gradients are not lost; or
    /// `dynamic`: as much as gradients allow, beginning with 65536 or, after a colon, another
    /// number [default: the recipe's, or 1024]. Other types need none.
    #[arg(long, value_name = "S|dynamic[:S]")]
    pub loss_scale: Option<LossScale>,

    /// With several devices: the type in which gradients are exchanged. `compute` halves what goes
    /// over the network, and rounds each rank's gradients and their sum [default: the recipe's, or
    /// fp32].
    #[arg(long, value_enum)]
    pub gradients: Option<GradientType>,

    /// Print what would be done, epoch by epoch, and stop. Reads no image.
    #[arg(long)]
    pub dry_run: bool,

    /// With --dry-run: one JSON object an epoch.
    #[arg(long, requires = "dry_run")]
    pub json: bool,

    /// With --dry-run: plan for this many training images instead of those in DATA.
    #[arg(long, value_name = "N", requires = "dry_run")]
    pub images: Option<NonZeroUsize>,

    /// With --dry-run: plan for this many devices [default: as many as --devices or the launcher
    /// says].
    #[arg(long, value_name = "W", requires = "dry_run")]
    pub world: Option<NonZeroUsize>,

    /// With several ranks: seconds that one may keep the others waiting, in a step or while images
    /// are listed at the start, before the run ends.
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub step_timeout: u64,

    // Last in the struct, because clap applies their headings to every argument that follows.
    /// How the run is saved and continued.
    #[command(flatten)]
    pub checkpoints: CheckpointArgs,

    /// What is accepted beside.
    #[command(flatten)]
    pub original: OriginalArgs,
}

/// How a run is saved and continued.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Checkpoints")]
pub struct CheckpointArgs {
    /// Go on from a checkpoint: a file, a run's folder, or `auto`: the newest whole one in
    /// --logdir, or from the start if there is none.
    #[arg(long, value_name = "PATH|auto", conflicts_with = "dry_run")]
    pub resume: Option<Resume>,

    /// Go on even if the plan, the images or other settings are not the checkpoint's.
    #[arg(long, requires = "resume")]
    pub resume_anyway: bool,

    /// Begin with this epoch, counted from 0, instead of where the checkpoint stands or the plan
    /// begins.
    #[arg(long, value_name = "EPOCH", conflicts_with = "dry_run")]
    pub start_epoch: Option<usize>,

    /// Only validate the network of --resume or --init, as the checkpoint's last epoch was (or the
    /// first, or that of --start-epoch, would be), and end.
    #[arg(long, short = 'e', conflicts_with = "dry_run")]
    pub evaluate: bool,

    /// Minutes between two checkpoints within an epoch; there is one at each epoch's end, too.
    #[arg(long, value_name = "MINUTES", default_value_t = Self::default().checkpoint_minutes, value_parser = positive)]
    pub checkpoint_minutes: f64,

    /// Checkpoints that are kept.
    #[arg(long, value_name = "N", default_value_t = Self::default().keep)]
    pub keep: NonZeroUsize,

    /// Top-5, in percent, that an epoch must pass to become `model_best.safetensors`, if it is the
    /// best.
    #[arg(long, value_name = "PERCENT", default_value_t = Self::default().best_top5, value_parser = positive)]
    pub best_top5: f64,
}

/// What `--resume` names.
#[derive(Clone, Debug, PartialEq)]
pub enum Resume {
    /// The newest whole checkpoint of the run's folder, if there is any.
    Auto,
    /// A checkpoint's file, or a run's folder.
    From(PathBuf),
}

/// What `--stop-at` says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stop {
    /// The run goes on to the end of its plan.
    Never,
    /// It ends at this accuracy.
    At(StopAt),
}

impl FromStr for Stop {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" { Ok(Stop::Never) } else { text.parse().map(Stop::At) }
    }
}

impl From<&str> for Resume {
    fn from(text: &str) -> Self {
        if text == "auto" { Resume::Auto } else { Resume::From(PathBuf::from(text)) }
    }
}

impl Default for CheckpointArgs {
    /// As if nothing was said.
    fn default() -> Self {
        CheckpointArgs {
            resume: None,
            resume_anyway: false,
            start_epoch: None,
            evaluate: false,
            checkpoint_minutes: 10.0,
            keep: NonZeroUsize::MIN.saturating_add(1),
            best_top5: 93.0,
        }
    }
}

fn positive(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|&value: &f64| value > 0.0 && value.is_finite());
    value.ok_or_else(|| "expected a number above 0".to_owned())
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
