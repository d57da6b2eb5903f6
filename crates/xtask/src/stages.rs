//! `cargo xtask test`: the stages, each with its name, its time and the command that repeats it. All run even if one
//! fails, so that one run shows everything there is to mend.

use crate::process::{capture, cargo, show, succeeds};
use crate::{architecture, golden, interop};
use anyhow::{Result, bail};
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
}

impl Stage {
    /// In the order in which they run: what answers soonest comes first.
    pub const ALL: [Stage; 7] =
        [Stage::Format, Stage::Architecture, Stage::Deny, Stage::Clippy, Stage::Doc, Stage::Tests, Stage::Interop];

    pub fn name(self) -> &'static str {
        match self {
            Stage::Format => "fmt",
            Stage::Architecture => "architecture",
            Stage::Clippy => "clippy",
            Stage::Doc => "doc",
            Stage::Tests => "tests",
            Stage::Deny => "deny",
            Stage::Interop => "interop",
        }
    }

    /// `torch`: with the crates of feature `torch`, too.
    fn run(self, torch: bool) -> Result<Outcome> {
        // Features of single packages, since without libtorch nothing of it can be built.
        let features: &[&str] = if torch { &["--features", "imagenet18/torch"] } else { &[] };
        match self {
            Stage::Format => show(&mut cargo(&["fmt", "--all", "--check"]))?,
            Stage::Architecture => architecture::check()?,
            Stage::Clippy => {
                let lints = ["--", "-D", "warnings"];
                show(cargo(&["clippy", "--workspace", "--all-targets"]).args(features).args(lints))?;
            }
            Stage::Doc => {
                show(cargo(&["doc", "--workspace", "--no-deps"]).args(features).env("RUSTDOCFLAGS", "-D warnings"))?;
            }
            Stage::Tests => tests(features)?,
            Stage::Deny => return deny(),
            Stage::Interop => return Ok(interop::run(torch)?.map_or(Outcome::Passed, Outcome::Skipped)),
        }
        Ok(Outcome::Passed)
    }
}

enum Outcome {
    Passed,
    Skipped(String),
}

/// Runs the stages in the given order and fails if one of them did.
/// `torch`: with feature `torch`.
pub fn run(stages: &[Stage], torch: bool) -> Result<()> {
    let mut summary = Vec::new();
    let mut failed = Vec::new();
    for &stage in stages {
        println!("\n── {} ──", stage.name());
        let start = Instant::now();
        let outcome = stage.run(torch);
        let seconds = start.elapsed().as_secs_f64();
        let verdict = match outcome {
            Ok(Outcome::Passed) => "ok".to_owned(),
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

/// Every test, by nextest where it is installed (it cannot run examples in documentation, so cargo runs those).
fn tests(features: &[&str]) -> Result<()> {
    golden::make()?;
    if succeeds(&mut cargo(&["nextest", "--version"])) {
        show(cargo(&["nextest", "run", "--workspace", "--no-fail-fast"]).args(features))?;
        show(cargo(&["test", "--workspace", "--doc"]).args(features))
    } else {
        show(cargo(&["test", "--workspace", "--no-fail-fast"]).args(features))
    }
}

/// Licences, duplicates and sources of all dependencies; known vulnerabilities where their database can be fetched.
fn deny() -> Result<Outcome> {
    if !succeeds(&mut cargo(&["deny", "--version"])) {
        return Ok(Outcome::Skipped(
            "cargo-deny is not installed; get it with: cargo install --locked cargo-deny".to_owned(),
        ));
    }
    if capture(&mut cargo(&["deny", "fetch", "db"]))?.status.success() {
        show(&mut cargo(&["deny", "check"]))?;
    } else {
        println!("advisories not checked: their database cannot be fetched");
        show(&mut cargo(&["deny", "check", "licenses", "bans", "sources"]))?;
    }
    Ok(Outcome::Passed)
}
