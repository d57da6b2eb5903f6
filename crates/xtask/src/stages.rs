//! `cargo xtask test`: the stages, each with its name, its time and the command that repeats it.
//! All stages run even if one fails, so that one run shows everything that needs fixing.

use crate::process::{capture, cargo, is_ci, show, succeeds};
use crate::setup::{self, Gpus, Wanted};
use crate::tally::Tally;
use crate::times::{Row, Times};
use crate::{architecture, interop, suite, tools, vectors};
use anyhow::{Result, anyhow};
use clap::ValueEnum;
use std::process::ExitCode;
use std::time::Instant;

/// The stages in the order in which they run: the fastest answers come first.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Stage {
    #[value(name = "fmt")]
    Format,
    Architecture,
    Deny,
    Clippy,
    Doc,
    Tests,
    Interop,
}

impl Stage {
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn run(self, tally: &mut Tally) -> Result<Outcome> {
        match self {
            Stage::Format => show(&mut cargo(&["fmt", "--all", "--check"]))?,
            Stage::Architecture => architecture::check()?,
            Stage::Clippy => {
                show(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
                // Tests may be long tables of cases.
                show(&mut cargo(&["clippy", "--workspace", "--", "-D", "warnings", "-D", "clippy::too_many_lines"]))?;
            }
            Stage::Doc => {
                show(cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
            }
            Stage::Tests => {
                suite::run(tally)?;
                vectors::check()?;
            }
            Stage::Deny => return deny(),
            Stage::Interop => return Ok(interop::run()?.map_or(Outcome::Passed, Outcome::Skipped)),
        }
        Ok(Outcome::Passed)
    }
}

enum Outcome {
    Passed,
    /// Passed, except for what this machine cannot do.
    Partly(String),
    Skipped(String),
}

/// Downloads what the stages need and runs them in the given order. Prints the outcome of each
/// stage and of all tests, and adds the seconds to `times`. `torch`: also downloads and builds what
/// tests of libtorch's library and of GPUs need. Without it, they run only if that exists.
pub fn run(stages: &[Stage], torch: bool, times: Option<&Times>) -> Result<ExitCode> {
    let (mut summary, mut rows, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    let mut tally = Tally::default();
    let start = Instant::now();
    // Where CI is set, a stage without its tool fails. Elsewhere the tool is optional.
    let tools = is_ci();
    setup::run(Wanted { torch, gpus: Gpus::Toolkit, tools })?;
    rows.push(Row { stage: "setup".to_owned(), seconds: start.elapsed().as_secs_f64(), verdict: "ok" });
    for &stage in stages {
        println!("\n── {} ──", stage.name());
        let start = Instant::now();
        let outcome = stage.run(&mut tally);
        let seconds = start.elapsed().as_secs_f64();
        let (verdict, said) = match outcome {
            Ok(Outcome::Passed) => ("ok", "ok".to_owned()),
            Ok(Outcome::Partly(but)) => ("ok", format!("ok, but {but}")),
            Ok(Outcome::Skipped(why)) => ("skipped", format!("skipped: {why}")),
            Err(error) => {
                eprintln!("error: {error:#}");
                failed.push(stage.name());
                ("failed", format!("FAILED, repeat with: cargo xtask test --only {}", stage.name()))
            }
        };
        let line = format!("{:<12} {seconds:>6.1} s  {said}", stage.name());
        println!("{line}");
        summary.push(line);
        rows.push(Row { stage: stage.name(), seconds, verdict });
    }
    println!("\n── summary ──\n{}", summary.join("\n"));
    let seconds: f64 = rows.iter().map(|row| row.seconds).sum();
    println!("{:<12} {seconds:>6.1} s  with setup", "all");
    if !failed.is_empty() {
        println!("{} of {} stages failed: {}", failed.len(), stages.len(), failed.join(", "));
    }
    if let Some(times) = times
        && let Err(error) = times.append(&rows)
    {
        eprintln!("error: {error:#}");
        failed.push("times".to_owned());
    }
    // The outcome of the tests is the last line, for readers of only that line.
    print!("{tally}");
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Checks licences, duplicates and sources of all dependencies; also known vulnerabilities if their
/// database can be downloaded.
fn deny() -> Result<Outcome> {
    if !succeeds(&mut cargo(&["deny", "--version"])) {
        let why = format!("cargo-deny is not installed: {}", tools::INSTALL);
        return if is_ci() { Err(anyhow!(why)) } else { Ok(Outcome::Skipped(why)) };
    }
    if capture(&mut cargo(&["deny", "fetch", "db"]))?.status.success() {
        show(&mut cargo(&["deny", "check"]))?;
        return Ok(Outcome::Passed);
    }
    show(&mut cargo(&["deny", "check", "licenses", "bans", "sources"]))?;
    Ok(Outcome::Partly("known vulnerabilities were not looked up: their database cannot be fetched".to_owned()))
}
