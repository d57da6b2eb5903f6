//! Arguments of `imagenet18 report`.

use clap::Args;
use std::path::PathBuf;

/// `imagenet18 report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Folders of runs (their --logdir); several are compared.
    #[arg(value_name = "LOGDIR", required = true)]
    pub logdirs: Vec<PathBuf>,

    /// The page to write; one that is there is replaced.
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    pub out: PathBuf,

    /// Draw a published run beside them: `seed` is ResNet-50 on ImageNet, 27 epochs on eight Titan RTX.
    #[arg(long, value_name = "NAME", value_parser = in18_report::Reference::NAMES)]
    pub reference: Option<String>,
}
