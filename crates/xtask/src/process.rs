//! Starts other programs, always in the workspace's root folder. A bad exit status is an error.

use crate::tools;
use anyhow::{Context, Result, bail};
use std::env;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The root folder of the workspace that this binary was built from, wherever it is started.
pub fn workspace() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).expect("this crate lies in crates/xtask").to_owned()
}

/// cargo's output folder.
pub fn target_folder() -> PathBuf {
    // cargo is started in the workspace's root folder, so a relative path starts there.
    workspace().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// Whether this machine runs continuous integration. There, a check that cannot run is an error.
pub fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|value| !value.is_empty())
}

/// The program that the build of the tests made.
pub fn built_program() -> Result<PathBuf> {
    let program = target_folder().join("debug/imagenet18");
    if !program.is_file() {
        bail!("expected the program at {}, got nothing there", program.display());
    }
    Ok(program)
}

/// The `cargo` that runs this program, with the installed [tools] on its search path.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(workspace());
    if let Ok(path) = env::var("PATH") {
        command.env("PATH", tools::search_path(|name| env::var(name).ok(), &path));
    }
    command
}

/// Runs a command and shows its output. Its error is only the exit status: the rest was printed.
pub fn show(command: &mut Command) -> Result<()> {
    let program = name(command);
    let status = command.status().with_context(|| format!("cannot start `{program}`"))?;
    if !status.success() {
        bail!("`{program}` failed ({status})");
    }
    Ok(())
}

/// Like [`show`], but also passes each line of the command's standard output to `line`.
pub fn show_lines(command: &mut Command, mut line: impl FnMut(&str)) -> Result<()> {
    let program = name(command);
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start `{program}`"))?;
    for printed in BufReader::new(child.stdout.take().expect("piped")).split(b'\n') {
        let printed = printed.with_context(|| format!("cannot read what `{program}` prints"))?;
        let printed = String::from_utf8_lossy(&printed);
        println!("{printed}");
        line(&printed);
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`{program}` failed ({status})");
    }
    Ok(())
}

/// Runs a command silently and returns its output, whatever its exit status.
pub fn capture(command: &mut Command) -> Result<Output> {
    let program = name(command);
    command.output().with_context(|| format!("cannot start `{program}`"))
}

/// Whether a command can be started and succeeds.
pub fn succeeds(command: &mut Command) -> bool {
    capture(command).is_ok_and(|output| output.status.success())
}

/// The last line of a command's error output, as the reason in a one-line message.
pub fn last_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it said nothing").to_owned()
}

/// Builds the program, in the profile that compiles fastest, and trains on generated images.
pub fn demo(arguments: &[String]) -> Result<()> {
    show(cargo(&["run", "--profile", "quick", "--package", "imagenet18", "--", "demo"]).args(arguments))
}

fn name(command: &Command) -> String {
    Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned()
}
