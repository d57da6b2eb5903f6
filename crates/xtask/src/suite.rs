//! Runs the tests, by nextest if it is installed, and counts them. nextest cannot run examples in
//! documentation, so cargo runs those.

use crate::process::{cargo, is_ci, show, show_lines, succeeds, workspace};
use crate::tally::{SKIPS, Tally};
use crate::{golden, tools};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::process::Command;

/// nextest's report, always below the workspace, as `.config/nextest.toml` sets it.
const REPORT: &str = "target/nextest/default/junit.xml";

/// Runs the workspace's tests and the examples in its documentation. Adds the outcomes to `tally`,
/// even if some fail.
pub fn run(tally: &mut Tally) -> Result<()> {
    golden::make(is_ci())?;
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let skips = folder.path().join("skips");
    let mut counted = Tally::default();
    let tests = run_tests(&skips, &mut counted);
    let examples = show_lines(&mut cargo(&["test", "--workspace", "--doc"]), |line| counted.add_line(line));
    let skips = counted.add_skips(&skips);
    tally.add(counted);
    tests.and(examples).and(skips)
}

fn run_tests(skips: &Path, counted: &mut Tally) -> Result<()> {
    let prepare = |command: &mut Command| {
        command.args(["--no-fail-fast", "--workspace", "--tests"]).env(SKIPS, skips);
    };
    if !succeeds(&mut cargo(&["nextest", "--version"])) {
        if is_ci() {
            bail!("cargo-nextest is not installed: {}", tools::INSTALL);
        }
        let mut command = cargo(&["test"]);
        prepare(&mut command);
        return show_lines(&mut command, |line| counted.add_line(line));
    }
    let report = workspace().join(REPORT);
    if report.exists() {
        // The report of an earlier run, which must not be mistaken for this run's.
        fs::remove_file(&report).with_context(|| format!("cannot remove {}", report.display()))?;
    }
    let mut command = cargo(&["nextest", "run", "--profile", "default"]);
    prepare(&mut command);
    let outcome = show(&mut command);
    match fs::read_to_string(&report) {
        Ok(text) => counted.add_junit(&text)?,
        // If the tests do not compile, there is no report.
        Err(_) if outcome.is_err() => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read nextest's report {}", report.display())),
    }
    outcome
}
