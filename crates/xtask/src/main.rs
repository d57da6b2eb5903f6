//! Developer commands, run as `cargo xtask COMMAND`. Programs are started in the workspace's root folder; this crate
//! knows nothing of training, and of the project's other crates it links those alone that make libraries.

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
use arguments::{Command, USAGE};
use setup::Wanted;
use stages::Stage;
use std::process::ExitCode;

/// Exit code for a command line that cannot be understood, as that of most Unix tools.
const USAGE_ERROR: u8 = 2;

fn main() -> ExitCode {
    let command = match arguments::parse(std::env::args().skip(1)) {
        Ok(command) => command,
        Err(message) => {
            eprintln!("error: {message}\n\n{USAGE}");
            return ExitCode::from(USAGE_ERROR);
        }
    };
    match run(command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Help => println!("{USAGE}"),
        Command::Setup(wanted) => setup::run(wanted)?,
        Command::Demo(arguments) => {
            setup::run(Wanted::default())?;
            process::demo(&arguments)?;
        }
        Command::Fuzz { target, minutes } => fuzz::run(target.as_deref(), minutes)?,
        Command::Golden => {
            golden::make(true)?;
            golden::record()?;
        }
        Command::Interop => return stages::run(&[Stage::Interop], false, None),
        Command::Test { stages, torch, times } => return stages::run(&stages, torch, times.as_ref()),
    }
    Ok(ExitCode::SUCCESS)
}
