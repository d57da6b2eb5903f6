//! Python packages for checks against other programs. Nothing that ships needs them.

use crate::process::{capture, last_line};
use anyhow::{Context, Result, bail};
use in18_native::location;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

/// The folder with these packages (`NAME==VERSION`), for `PYTHONPATH`. Missing packages are
/// installed now. Only wheels are used, so that nobody has to compile for a test. Not a virtual
/// environment, because Debian's Python cannot make one as installed.
pub fn packages(packages: &[&str]) -> Result<PathBuf> {
    if packages.is_empty() {
        // No packages are needed, so an empty path will do.
        return Ok(PathBuf::new());
    }
    let version = capture(Command::new("python3").args(["-c", "import sys; print(sys.implementation.cache_tag)"]))?;
    let version = String::from_utf8(version.stdout).context("python3 does not say its version")?;
    let dependencies = location::dependencies(|name| env::var(name).ok()).context("no cache folder: set IN18_DEPS")?;
    // Compiled packages fit one version of Python.
    let folder = dependencies.join([version.trim(), &packages.join("-")].join("-").replace("==", "-"));
    if folder.is_dir() {
        return Ok(folder);
    }
    fs::create_dir_all(&dependencies).with_context(|| format!("cannot create {}", dependencies.display()))?;
    let work = tempfile::Builder::new().prefix(".python-").tempdir_in(&dependencies)?;
    let staged = work.path().join("staged");
    let pip = ["-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet", "--only-binary=:all:"];
    let output = capture(Command::new("python3").args(pip).arg("--target").arg(&staged).args(packages))?;
    if !output.status.success() {
        bail!("pip cannot install {} ({})", packages.join(" and "), last_line(&output));
    }
    match fs::rename(&staged, &folder) {
        Err(_) if folder.is_dir() => {} // Another run was faster.
        outcome => outcome.with_context(|| format!("cannot create {}", folder.display()))?,
    }
    Ok(folder)
}
