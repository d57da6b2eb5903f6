//! `cargo xtask interop`: checks that other programs can read what this one writes. Each script of
//! `scripts/interop` gets the program and an empty folder, and fails with a line that says what
//! differs. A script's line `# requires: NAME==VERSION …` names the Python packages that it
//! imports. A line `# needs: libtorch` says that the program needs libtorch's library for the
//! script.

use crate::process::{built_program, cargo, is_ci, show, workspace};
use crate::python;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Builds the program and runs the scripts. If a script was skipped because something is missing,
/// returns the reason; where CI is set, that is an error.
pub fn run() -> Result<Option<String>> {
    show(&mut cargo(&["build", "--package", "imagenet18"]))?;
    let program = built_program()?;
    let (mut failed, mut skipped) = (Vec::new(), None);
    for script in scripts()? {
        let name = script.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&script)?;
        println!("{name}:");
        let packages = match needs(&text) {
            Err(error) if !is_ci() => {
                println!("{name}: skipped, {error:#}");
                skipped = Some(format!("{name}: {error:#}"));
                continue;
            }
            packages => packages?,
        };
        let start = Instant::now();
        let outcome = check(&script, &program, &packages);
        println!("{name}: {} in {:.1} s", if outcome.is_ok() { "ok" } else { "FAILED" }, start.elapsed().as_secs_f64());
        if outcome.is_err() {
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("other programs disagree: {}", failed.join(", "));
    }
    Ok(skipped)
}

fn check(script: &Path, program: &Path, packages: &Path) -> Result<()> {
    let work = tempfile::tempdir()?;
    show(Command::new("python3").arg(script).arg(program).arg(work.path()).env("PYTHONPATH", packages))
}

fn scripts() -> Result<Vec<PathBuf>> {
    let folder = workspace().join("scripts/interop");
    let mut scripts: Vec<PathBuf> = fs::read_dir(&folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    scripts.retain(|path| path.extension().is_some_and(|extension| extension == "py"));
    scripts.sort();
    Ok(scripts)
}

/// The Python packages that a script requires.
fn required(script: &str) -> Vec<&str> {
    let line = script.lines().find_map(|line| line.strip_prefix("# requires:"));
    line.map(|line| line.split_whitespace().collect()).unwrap_or_default()
}

/// Prepares what a script needs: the folder of its packages, and libtorch's library if it says so.
fn needs(script: &str) -> Result<PathBuf> {
    if script.lines().any(|line| line == "# needs: libtorch") {
        in18_torch_build::find_torch()?;
    }
    python::packages(&required(script))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_says_what_it_requires() {
        for script in scripts().unwrap() {
            let text = fs::read_to_string(&script).unwrap();
            assert!(text.contains("\n# requires:"), "{}", script.display());
            assert!(required(&text).iter().all(|package| package.contains("==")), "{}", script.display());
        }
    }
}
