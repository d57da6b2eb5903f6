//! Arguments of `imagenet18 recipes`.

use clap::Args;

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
