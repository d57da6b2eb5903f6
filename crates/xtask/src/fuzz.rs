//! Fuzzes readers: runs `cargo fuzz` on each target for a while, and names what it finds.

use crate::process::{cargo, show, succeeds, workspace};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// Fuzzes one target, or each in turn, for `minutes` each.
pub fn run(target: Option<&str>, minutes: u64) -> Result<()> {
    let targets = targets()?;
    let chosen: Vec<&String> = match target {
        None => targets.iter().collect(),
        Some(name) => match targets.iter().find(|target| *target == name) {
            Some(target) => vec![target],
            None => bail!("expected one of {}, got `{name}`", targets.join(", ")),
        },
    };
    if !succeeds(&mut cargo(&["fuzz", "--version"])) {
        bail!("expected cargo-fuzz, got none: `cargo install cargo-fuzz` installs it");
    }
    for target in chosen {
        fuzz(target, minutes)?;
    }
    Ok(())
}

/// The names of the targets.
fn targets() -> Result<Vec<String>> {
    let folder = workspace().join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path: PathBuf = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

fn fuzz(target: &str, minutes: u64) -> Result<()> {
    // New inputs are kept out of the committed corpus, which is only the start.
    let found = workspace().join("target/fuzz/corpus").join(target);
    fs::create_dir_all(&found).with_context(|| format!("cannot make {}", found.display()))?;
    let (seeds, seconds) = (format!("fuzz/corpus/{target}"), minutes * 60);
    let mut command: Command = cargo(&["fuzz", "run", target]);
    command.arg(&found).args([&seeds, "--", "-print_final_stats=1"]);
    command.args([format!("-max_total_time={seconds}"), "-rss_limit_mb=2048".to_owned()]);
    // No reader needs this much memory at once, whatever sizes a file claims.
    command.arg("-malloc_limit_mb=256");
    // The sanitizer's flags are unstable. This variable makes the stable compiler accept them.
    command.env("RUSTC_BOOTSTRAP", "1");
    let artifacts = format!("fuzz/artifacts/{target}");
    let start = SystemTime::now();
    show(&mut command).with_context(|| match newest(&workspace().join(&artifacts), start) {
        Some(name) => format!("fuzzing {target} found {artifacts}/{name}"),
        None => format!("could not fuzz {target}"),
    })
}

/// The newest file in a folder, if it was written after the given time.
fn newest(folder: &Path, after: SystemTime) -> Option<String> {
    let files = fs::read_dir(folder).ok()?.flatten();
    let times = files.filter_map(|file| Some((file.metadata().ok()?.modified().ok()?, file.file_name())));
    let (time, name) = times.max()?;
    (time >= after).then(|| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_target_has_seeds_and_a_place_in_the_manifest() {
        let manifest = fs::read_to_string(workspace().join("fuzz/Cargo.toml")).expect("manifest");
        let targets = targets().expect("targets");
        assert!(!targets.is_empty());
        for target in targets {
            let seeds = workspace().join("fuzz/corpus").join(&target);
            assert!(fs::read_dir(&seeds).expect(&target).next().is_some(), "{target} has no seeds");
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target}");
        }
    }

    #[test]
    fn only_what_this_run_found_is_named() {
        let folder = tempfile::tempdir().expect("folder");
        let start = SystemTime::now();
        let write = |name: &str, time: SystemTime| {
            let file = fs::File::create(folder.path().join(name)).expect(name);
            file.set_modified(time).expect(name);
        };
        write("crash-of-earlier", start - Duration::from_secs(1));
        assert_eq!(newest(folder.path(), start), None);
        write("crash-a", start + Duration::from_secs(1));
        assert_eq!(newest(folder.path(), start).as_deref(), Some("crash-a"));
        assert_eq!(newest(&folder.path().join("none"), start), None);
    }
}
