//! Arguments of the commands that use a trained network: `eval`, `predict`, `export`.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use clap::Args;
use in18_program::Arch;
use in18_recipe::{CentreCrop, Tta};

use crate::cli::{EngineArgs, ReadingArgs};

/// The network's file, and what computes it.
#[derive(Debug, Args)]
pub struct NetworkArgs {
    /// A checkpoint, a run's model.safetensors, or any safetensors file with torchvision's names.
    #[arg(long, value_name = "FILE")]
    pub checkpoint: PathBuf,

    /// The network.
    #[arg(
        long,
        short = 'a',
        value_name = "NAME",
        help = format!(
            "The network, for a file that does not say so itself: one of {}, as ResNet-D NAMEd, with BlurPool \
             NAME-blurpool-convolutions or NAME-blurpool-all",
            Arch::names()
        )
    )]
    pub arch: Option<Arch>,
}

/// `imagenet18 eval`.
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// Folder with validation/ or val/, as `train` takes it.
    #[arg(value_name = "DATA")]
    pub data: PathBuf,

    /// What is evaluated.
    #[command(flatten)]
    pub network: NetworkArgs,

    /// Side of the images in pixels: the short side is resized to 1.14 times as much, or as --crop
    /// says, and the centre cut out.
    #[arg(long, value_name = "N", default_value = "224")]
    pub size: NonZeroU32,

    /// How much of the short side is seen: the short side is resized to the size over this share.
    #[arg(long, value_name = "SHARE|original", default_value = "original")]
    pub crop: CentreCrop,

    /// Rectangular images: each batch has the mean aspect ratio of its images.
    #[arg(long)]
    pub rect: bool,

    /// Look at each image and its mirror image, too: `flip` takes the mean of their probabilities,
    /// `flip-logits` the mean of their logits.
    #[arg(long, value_enum, value_name = "HOW", default_value_t, hide_possible_values = true)]
    pub tta: Tta,

    /// Images of a batch. With --rect, the result depends on it.
    #[arg(long, value_name = "N", default_value = "128")]
    pub batch: NonZeroUsize,

    /// Suffix appended to DATA, as a phase's `valdir`.
    #[arg(long, value_name = "SUFFIX", default_value = "")]
    pub valdir: String,

    /// Threads that decode images [default: as many as there are cores].
    #[arg(long, short = 'j', value_name = "N")]
    pub workers: Option<NonZeroUsize>,

    /// How images are read.
    #[command(flatten)]
    pub reading: ReadingArgs,

    /// What computes.
    #[command(flatten)]
    pub engine: EngineArgs,

    /// One JSON object.
    #[arg(long)]
    pub json: bool,
}

/// `imagenet18 predict`.
#[derive(Debug, Args)]
pub struct PredictArgs {
    /// JPEG or PNG files, and folders of them.
    #[arg(value_name = "IMAGE|DIR", required = true)]
    pub images: Vec<PathBuf>,

    /// What looks at them.
    #[command(flatten)]
    pub network: NetworkArgs,

    /// How many classes to name.
    #[arg(long, value_name = "K", default_value = "5")]
    pub top: NonZeroUsize,

    /// The short side in pixels. The whole image is seen: its long side follows, rounded to a multiple of 8, up to 8 times N.
    #[arg(long, value_name = "N", default_value = "224")]
    pub size: NonZeroU32,

    /// Turn images as their EXIF orientation says.
    #[arg(long)]
    pub exif: bool,

    /// What computes.
    #[command(flatten)]
    pub engine: EngineArgs,

    /// One JSON object an image: file, class, probability, and the best K as `top`.
    #[arg(long)]
    pub json: bool,
}

/// `imagenet18 export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// What is exported.
    #[command(flatten)]
    pub network: NetworkArgs,

    /// The file to write: .safetensors (PyTorch's `load_state_dict` takes it) or .onnx.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}
