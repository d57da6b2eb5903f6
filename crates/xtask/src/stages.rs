//! `cargo xtask test`: the stages, each with its name, its time and the command that repeats it. All run even if one
//! fails, so that one run shows everything there is to mend.

use crate::process::{capture, cargo, is_ci, show, succeeds};
use crate::{architecture, golden, interop, tools, vectors};
use anyhow::{Result, anyhow, bail};
use std::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stage {
    Format,
    Architecture,
    Clippy,
    Doc,
    Tests,
    Deny,
    Interop,
    /// Lints, documentation, tests and interoperation of what feature `torch` adds.
    Torch,
}

impl Stage {
    /// In the order in which they run: what answers soonest comes first.
    pub const ALL: [Stage; 8] = [
        Stage::Format,
        Stage::Architecture,
        Stage::Deny,
        Stage::Clippy,
        Stage::Doc,
        Stage::Tests,
        Stage::Interop,
        Stage::Torch,
    ];

    /// Those that need nothing but the default build.
    pub fn default_build() -> Vec<Stage> {
        Stage::ALL.into_iter().filter(|stage| *stage != Stage::Torch).collect()
    }

    pub fn name(self) -> &'static str {
        match self {
            Stage::Format => "fmt",
            Stage::Architecture => "architecture",
            Stage::Clippy => "clippy",
            Stage::Doc => "doc",
            Stage::Tests => "tests",
            Stage::Deny => "deny",
            Stage::Interop => "interop",
            Stage::Torch => "torch",
        }
    }

    fn run(self) -> Result<Outcome> {
        match self {
            Stage::Format => show(&mut cargo(&["fmt", "--all", "--check"]))?,
            Stage::Architecture => architecture::check()?,
            Stage::Clippy => clippy(&["--workspace"])?,
            Stage::Doc => doc(&["--workspace"])?,
            Stage::Tests => {
                tests(&["--workspace"])?;
                vectors::check()?;
            }
            Stage::Deny => return deny(),
            Stage::Interop => return Ok(interop::run(false)?.map_or(Outcome::Passed, Outcome::Skipped)),
            Stage::Torch => {
                clippy(&TORCH)?;
                doc(&TORCH)?;
                tests(&TORCH)?;
                return Ok(interop::run(true)?.map_or(Outcome::Passed, Outcome::Skipped));
            }
        }
        Ok(Outcome::Passed)
    }
}

enum Outcome {
    Passed,
    /// But for something that this machine does not let it do.
    Partly(String),
    Skipped(String),
}

/// Runs the stages in the given order and fails if one of them did.
pub fn run(stages: &[Stage]) -> Result<()> {
    let mut summary = Vec::new();
    let mut failed = Vec::new();
    for &stage in stages {
        println!("\n── {} ──", stage.name());
        let start = Instant::now();
        let outcome = stage.run();
        let seconds = start.elapsed().as_secs_f64();
        let verdict = match outcome {
            Ok(Outcome::Passed) => "ok".to_owned(),
            Ok(Outcome::Partly(but)) => format!("ok, but {but}"),
            Ok(Outcome::Skipped(why)) => format!("skipped: {why}"),
            Err(error) => {
                eprintln!("error: {error:#}");
                failed.push(stage.name());
                format!("FAILED, repeat with: cargo xtask test --only {}", stage.name())
            }
        };
        let line = format!("{:<12} {seconds:>6.1} s  {verdict}", stage.name());
        println!("{line}");
        summary.push(line);
    }
    println!("\n── summary ──\n{}", summary.join("\n"));
    if !failed.is_empty() {
        bail!("{} of {} stages failed: {}", failed.len(), stages.len(), failed.join(", "));
    }
    Ok(())
}

/// What feature `torch` changes, with it.
const TORCH: [&str; 12] = [
    "--package",
    "in18-cuda",
    "--package",
    "in18-cuda-emulator",
    "--package",
    "in18-torch",
    "--package",
    "in18-comm",
    "--package",
    "imagenet18",
    "--features",
    "in18-cuda/libtorch,in18-torch/libtorch,in18-comm/c10d,imagenet18/torch",
];

fn clippy(packages: &[&str]) -> Result<()> {
    show(cargo(&["clippy", "--all-targets"]).args(packages).args(["--", "-D", "warnings"]))
}

fn doc(packages: &[&str]) -> Result<()> {
    show(cargo(&["doc", "--no-deps"]).args(packages).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Every test, by nextest where it is installed (it cannot run examples in documentation, so cargo runs those).
fn tests(packages: &[&str]) -> Result<()> {
    golden::make(is_ci())?;
    if succeeds(&mut cargo(&["nextest", "--version"])) {
        show(cargo(&["nextest", "run", "--no-fail-fast"]).args(packages))?;
        show(cargo(&["test", "--doc"]).args(packages))
    } else if is_ci() {
        bail!("cargo-nextest is not installed: {}", tools::INSTALL)
    } else {
        show(cargo(&["test", "--no-fail-fast"]).args(packages))
    }
}

/// Licences, duplicates and sources of all dependencies; known vulnerabilities where their database can be fetched.
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
