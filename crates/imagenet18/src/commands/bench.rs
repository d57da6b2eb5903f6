//! `imagenet18 bench`: measures this machine.

mod loader;
mod step;
mod sweep;

use anyhow::Result;

use crate::cli::{BenchArgs, BenchCommand};

/// Runs the chosen measurement.
pub fn bench(arguments: &BenchArgs) -> Result<()> {
    match &arguments.what {
        BenchCommand::Step(arguments) => step::step(arguments),
        BenchCommand::Sweep(arguments) => sweep::sweep(arguments),
        BenchCommand::Loader(arguments) => loader::loader(arguments),
    }
}
