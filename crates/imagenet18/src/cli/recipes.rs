//! Arguments of `imagenet18 recipes`.

use clap::{Args, Subcommand};

/// `imagenet18 recipes`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct RecipesArgs {
    /// What else than a list.
    #[command(subcommand)]
    pub command: Option<RecipesCommand>,

    /// Show one schedule's phases, as --phases takes them.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,

    /// With NAME: as `recipes show NAME`.
    #[arg(long, requires = "name")]
    pub toml: bool,

    /// One JSON object a schedule.
    #[arg(long, conflicts_with = "toml")]
    pub json: bool,
}

/// What `imagenet18 recipes` does beside listing them.
#[derive(Debug, Subcommand)]
pub enum RecipesCommand {
    /// Show one whole recipe as a TOML file for --recipe.
    Show {
        /// Its name.
        #[arg(value_name = "NAME")]
        name: String,
    },
}
