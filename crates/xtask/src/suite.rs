//! Runs tests, by nextest where it is installed, and counts them. nextest cannot run examples in documentation, so cargo does.

use crate::process::{cargo, is_ci, show, show_lines, succeeds, workspace};
use crate::tally::{SKIPS, Tally};
use crate::{golden, tools};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where nextest writes its report, below the workspace wherever that is built: `.config/nextest.toml` asks for it.
const REPORT: &str = "target/nextest/default/junit.xml";

/// Runs the tests of `packages` (arguments that name them, and features) that `targets` name, and the examples in their
/// documentation; what became of the tests is added to `tally`, also where some fail.
pub fn run(packages: &[&str], targets: &[String], tally: &mut Tally) -> Result<()> {
    golden::make(is_ci())?;
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let skips = folder.path().join("skips");
    let mut counted = Tally::default();
    let tests = run_targets(packages, targets, &skips, &mut counted);
    let examples = show_lines(cargo(&["test", "--doc"]).args(packages), |line| counted.add_line(line));
    let skips = counted.add_skips(&skips);
    tally.add(counted);
    tests.and(examples).and(skips)
}

fn run_targets(packages: &[&str], targets: &[String], skips: &Path, counted: &mut Tally) -> Result<()> {
    let prepare = |command: &mut Command| {
        command.arg("--no-fail-fast").args(packages).args(targets).env(SKIPS, skips);
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
        // Of an earlier run, which this one's must not be taken for.
        fs::remove_file(&report).with_context(|| format!("cannot remove {}", report.display()))?;
    }
    let mut command = cargo(&["nextest", "run", "--profile", "default"]);
    prepare(&mut command);
    let outcome = show(&mut command);
    match fs::read_to_string(&report) {
        Ok(text) => counted.add_junit(&text)?,
        // What does not compile leaves none.
        Err(_) if outcome.is_err() => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read nextest's report {}", report.display())),
    }
    outcome
}

/// Arguments that name all tests.
pub fn all_targets() -> Vec<String> {
    vec!["--tests".to_owned()]
}

/// Arguments that name the tests of these packages that a feature changes: all that lie beside the code, and the files in
/// `tests/` in whose text a feature stands. The others of these files do the same work with a feature as without.
pub fn featured_targets(packages: &[&str]) -> Result<Vec<String>> {
    let mut targets = vec!["--lib".to_owned(), "--bins".to_owned()];
    for package in packages {
        let folder = workspace().join("crates").join(package).join("tests");
        for file in rust_files(&folder)? {
            if names_a_feature(&file)? {
                let name = file.file_stem().and_then(|stem| stem.to_str()).context("a test's name is not UTF-8")?;
                targets.extend(["--test".to_owned(), name.to_owned()]);
            }
        }
    }
    Ok(targets)
}

fn names_a_feature(file: &Path) -> Result<bool> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(text.contains("feature = \""))
}

/// The files of Rust code right in a folder, sorted; none if there is no folder.
fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "rs"));
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::TORCH_PACKAGES;

    #[test]
    fn the_tests_that_a_feature_changes_are_those_that_name_it() {
        let targets = featured_targets(&TORCH_PACKAGES).expect("targets");
        let names = |name: &str| targets.windows(2).any(|pair| pair == ["--test", name]);
        for with in
            ["c10d", "conformance", "engines", "golden", "library", "lost_ranks", "placement", "ranks", "two_hosts"]
        {
            assert!(names(with), "{with} is not among {targets:?}");
        }
        for without in ["train", "resume", "plan", "data"] {
            assert!(!names(without), "{without} is among {targets:?}");
        }
        assert_eq!(targets[..2], ["--lib", "--bins"]);
    }

    /// What several files share would change all of them, and the rule looks only into these themselves.
    #[test]
    fn no_shared_part_of_tests_names_a_feature() {
        for package in TORCH_PACKAGES {
            let tests = workspace().join("crates").join(package).join("tests");
            for entry in fs::read_dir(&tests).into_iter().flatten() {
                let folder = entry.expect("entry").path();
                for file in rust_files(&folder).expect("readable") {
                    assert!(!names_a_feature(&file).expect("readable"), "{}", file.display());
                }
            }
        }
    }
}
