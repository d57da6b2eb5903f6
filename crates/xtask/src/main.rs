//! Developer commands, run as `cargo xtask COMMAND`. Programs are started in the workspace's root
//! folder. This crate knows nothing of training. Of the project's other crates it links only those
//! that build libraries.

#![forbid(unsafe_code)]

mod architecture;
mod arguments;
mod circles;
mod fuzz;
mod golden;
mod interop;
mod process;
mod python;
mod setup;
mod stages;
mod suite;
mod tally;
mod times;
mod tools;
mod vectors;

use anyhow::Result;
use arguments::{Arguments, Command};
use clap::Parser;
use setup::Wanted;
use stages::Stage;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Setup(arguments) => setup::run(arguments.wanted())?,
        Command::Demo { arguments } => {
            setup::run(Wanted::default())?;
            process::demo(&arguments)?;
        }
        Command::Fuzz { target, minutes } => fuzz::run(target.as_deref(), minutes.get())?,
        Command::Golden => {
            golden::make(true)?;
            golden::record()?;
        }
        Command::Interop => return stages::run(&[Stage::Interop], false, None),
        Command::Test(arguments) => {
            return stages::run(&arguments.stages(), arguments.torch, arguments.times().as_ref());
        }
    }
    Ok(ExitCode::SUCCESS)
}
