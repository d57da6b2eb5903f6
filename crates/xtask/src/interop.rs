//! `cargo xtask interop`: whether other programs read what this one writes. Each script of `scripts/interop` is given the
//! program and an empty folder, and fails with a line that says what differs.

use crate::process::{cargo, show, workspace};
use crate::python;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;
use std::{env, fs};

/// What the scripts import.
const PACKAGES: [&str; 3] = ["tensorboard==2.21.0", "numpy==2.4.6", "pillow==12.3.0"];

/// Builds the program and runs all scripts; the reason if there are no packages to be had. On CI that is an error.
pub fn run() -> Result<Option<String>> {
    let packages = match python::packages(&PACKAGES) {
        Err(error) if env::var_os("CI").is_none() => return Ok(Some(format!("{error:#}"))),
        packages => packages?,
    };
    show(&mut cargo(&["build", "--package", "imagenet18"]))?;
    let program = program()?;
    let folder = workspace().join("scripts/interop");
    let mut scripts: Vec<PathBuf> = fs::read_dir(&folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    scripts.retain(|path| path.extension().is_some_and(|extension| extension == "py"));
    scripts.sort();
    let mut failed = Vec::new();
    for script in scripts {
        let name = script.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let work = tempfile::tempdir()?;
        let start = Instant::now();
        println!("{name}:");
        let outcome =
            show(Command::new("python3").arg(&script).arg(&program).arg(work.path()).env("PYTHONPATH", &packages));
        println!("{name}: {} in {:.1} s", if outcome.is_ok() { "ok" } else { "FAILED" }, start.elapsed().as_secs_f64());
        if outcome.is_err() {
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("other programs disagree: {}", failed.join(", "));
    }
    Ok(None)
}

/// The program that was just built.
fn program() -> Result<PathBuf> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from);
    let program = target.join("debug/imagenet18");
    if !program.is_file() {
        bail!("expected the program at {}, got nothing there", program.display());
    }
    Ok(program)
}
