//! The command line: reads arguments, chooses a kernel provider, runs a command, and turns errors
//! into one line and an exit code.
#![forbid(unsafe_code)]

mod classifier;
mod cli;
mod commands;
mod cores;
mod engine;
mod exit;
mod failure;
mod launch;
mod logdir;
mod output;
mod rank_environment;
mod ranks;
mod recipe;
mod resume;
mod run;
mod signals;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::report_usage(&error),
    };
    if let Command::Train(arguments) = &cli.command
        && rank_environment::is_reporter()
    {
        arguments.original.answers().iter().for_each(|answer| output::complain(answer));
    }
    let result = match cli.command {
        Command::Train(arguments) if arguments.dry_run => commands::dry_run(&arguments),
        Command::Train(arguments) => commands::train(&arguments),
        Command::Demo(arguments) => commands::demo(&arguments),
        Command::Engines(arguments) => commands::engines(&arguments),
        Command::Recipes(arguments) => commands::recipes(&arguments),
        Command::Dawn(arguments) => commands::dawn(&arguments),
        Command::Report(arguments) => commands::report(&arguments),
        Command::Compare(arguments) => commands::compare(&arguments),
        Command::Watch(arguments) => commands::watch(&arguments),
        Command::Eval(arguments) => commands::eval(&arguments),
        Command::Predict(arguments) => commands::predict(&arguments),
        Command::Export(arguments) => commands::export(&arguments),
        Command::Data(arguments) => commands::data(&arguments),
        Command::Bench(arguments) => commands::bench(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    }
}
