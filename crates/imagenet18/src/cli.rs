//! The command line's arguments as written, one file a command. The commands resolve them.

mod bench;
mod compare;
mod data;
mod dawn;
mod demo;
mod engine;
mod engines;
mod inference;
mod original;
mod reading;
mod recipes;
mod report;
mod train;
mod watch;

use clap::{Parser, Subcommand, ValueEnum};

pub use bench::{BenchArgs, BenchCommand, BenchLoaderArgs, BenchStepArgs, BenchSweepArgs};
pub use compare::CompareArgs;
pub use data::{DataArgs, DataCommand, DataInfoArgs, DataPrepareArgs, DataSetArgs, SetFormat};
pub use dawn::{DawnArgs, DawnCommand, EventsArgs};
pub use demo::DemoArgs;
pub use engine::{Devices, EngineArgs, EngineChoice};
pub use engines::EnginesArgs;
pub use inference::{EvalArgs, ExportArgs, NetworkArgs, PredictArgs};
pub use original::OriginalArgs;
pub use reading::ReadingArgs;
pub use recipes::{RecipesArgs, RecipesCommand};
pub use report::ReportArgs;
pub use train::{CheckpointArgs, Resume, Stop, TrainArgs};
pub use watch::WatchArgs;

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
    Train(Box<TrainArgs>),
    /// Generate a set of photos, train a ResNet-18 on it, and show the result: about three minutes on two cores.
    Demo(DemoArgs),
    /// List the engines and devices that can compute, and for each that is missing the command that brings it.
    Engines(EnginesArgs),
    /// List the published schedules, with what they reached.
    Recipes(RecipesArgs),
    /// Print DAWNBench's table, or a curve of the schedule, from TensorBoard's event files.
    Dawn(DawnArgs),
    /// Write runs, with curves and tables, as one HTML page.
    Report(ReportArgs),
    /// Follow a run in the terminal.
    Watch(WatchArgs),
    /// Train recipes with several seeds, and say which is better, by how much, and how sure that is.
    Compare(CompareArgs),
    /// Measure how good a trained network is on validation images.
    Eval(EvalArgs),
    /// Name what is on images, of any shape and whole.
    Predict(PredictArgs),
    /// Write a trained network for PyTorch or ONNX runtimes.
    Export(ExportArgs),
    /// Look into folders of images, check them, and make smaller copies.
    Data(DataArgs),
    /// Measure this machine.
    Bench(BenchArgs),
}

/// What happens at an image that cannot be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnBadImage {
    /// Named, and done without.
    Skip,
    /// The run ends.
    Fail,
}

impl From<OnBadImage> for in18_loader::OnBadImage {
    fn from(written: OnBadImage) -> Self {
        match written {
            OnBadImage::Skip => Self::Skip,
            OnBadImage::Fail => Self::Fail,
        }
    }
}
