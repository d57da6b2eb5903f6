//! `imagenet18 bench`: measures this machine.

mod loader;
mod profile;
mod step;

use anyhow::Result;

use crate::cli::{BenchArgs, BenchCommand};

/// Measures what was asked for.
pub fn bench(arguments: &BenchArgs) -> Result<()> {
    match &arguments.what {
        BenchCommand::Step(arguments) => step::step(arguments),
        BenchCommand::Loader(arguments) => loader::loader(arguments),
    }
}
