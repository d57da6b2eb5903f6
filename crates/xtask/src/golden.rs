//! Golden pixels of photos and odd files, against which `in18-image` is tested.
//!
//! Golden pixels of other people's pictures may not be distributed. So Pillow makes them before the
//! tests, and they stay in `target`. If the pictures or Python are missing, the tests that need
//! them are skipped.
//!
//! The odd files that the test kit makes have golden checksums instead. These are committed, so
//! that every run of the tests has them. [`record`] makes them again after those files, the script
//! or Pillow have changed.

use crate::process::{cargo, show, workspace};
use crate::python;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;
use std::{fs, io};

/// Golden files that one run of a script makes.
struct Golden {
    /// The script, relative to the workspace. Its arguments are the image folder and the output
    /// folder.
    script: &'static str,
    /// Folder of images, relative to the workspace.
    images: &'static str,
    /// The output folder, below `target/golden`.
    out: &'static str,
    /// The output file that is written last.
    manifest: &'static str,
}

const ODD: &str = "scripts/golden/odd.py";

const GOLDENS: [Golden; 3] = [
    Golden {
        script: "scripts/golden/crops.py",
        images: "../shared/data/photos-original",
        out: "crops/original",
        manifest: "manifest.tsv",
    },
    Golden {
        script: "scripts/golden/crops.py",
        images: "../shared/data/imagewoof320/val",
        out: "crops/imagewoof",
        manifest: "manifest.tsv",
    },
    Golden { script: ODD, images: "../shared/data/odd", out: "odd", manifest: "verdicts.tsv" },
];

/// The Python packages that the scripts need.
const PACKAGES: [&str; 2] = ["pillow==12.3.0", "numpy==2.4.6"];

/// Makes what is missing or older than its script. If Python packages are missing, that is an error
/// if `must` is set; otherwise a message names what is skipped.
pub fn make(must: bool) -> Result<()> {
    let root = workspace();
    let mut packages = None;
    for Golden { script, images, out, manifest } in GOLDENS {
        let (path, folder) = (root.join(script), root.join(images));
        if !folder.is_dir() {
            println!("goldens of {images}: skipped, no such folder");
            continue;
        }
        let out = root.join("target/golden").join(out);
        if is_newer(&out.join(manifest), &path) {
            println!("goldens of {images}: up to date");
            continue;
        }
        if packages.is_none() {
            match python::packages(&PACKAGES) {
                Ok(folder) => packages = Some(folder),
                Err(error) if must => return Err(error).context("goldens cannot be made"),
                Err(error) => {
                    println!("goldens: skipped, {error:#}");
                    return Ok(());
                }
            }
        }
        println!("goldens of {images}:");
        let modules = packages.as_deref().expect("just installed");
        run(script, &folder, &out, modules)?;
    }
    Ok(())
}

/// Has the test kit write its odd files and Pillow judge them. The committed verdicts are replaced.
pub fn record() -> Result<()> {
    let root = workspace();
    let (files, out) = (root.join("target/golden/odd-files"), root.join("target/golden/odd-generated"));
    let recorded = root.join("crates/in18-testkit/golden/odd.tsv");
    let modules = python::packages(&PACKAGES)?;
    // Files that the test kit no longer makes must not be judged.
    for folder in [&files, &out] {
        empty(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    show(
        cargo(&["run", "--quiet", "--package", "in18-testkit", "--no-default-features", "--example", "odd", "--"])
            .arg(&files),
    )?;
    run(ODD, &files, &out, &modules)?;
    fs::copy(out.join("verdicts.tsv"), &recorded).with_context(|| format!("cannot write {}", recorded.display()))?;
    println!("recorded in {}", recorded.display());
    Ok(())
}

fn run(script: &str, images: &Path, out: &Path, modules: &Path) -> Result<()> {
    show(Command::new("python3").arg(workspace().join(script)).arg(images).arg(out).env("PYTHONPATH", modules))
        .with_context(|| format!("{script} on {}", images.display()))
}

/// Makes a folder empty, or creates it.
fn empty(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::create_dir_all(folder),
    }
}

/// Whether both files exist and the first is newer than the second.
fn is_newer(file: &Path, than: &Path) -> bool {
    let written = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
    matches!((written(file), written(than)), (Ok(file), Ok(than)) if file > than)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    #[test]
    fn what_was_in_a_folder_is_gone() {
        let parent = tempfile::tempdir().expect("temporary folder");
        let folder = parent.path().join("a/b");
        empty(&folder).expect("made");
        fs::write(folder.join("file"), "").expect("file");
        empty(&folder).expect("emptied");
        assert_eq!(fs::read_dir(&folder).expect("folder").count(), 0);
        fs::write(folder.join("file"), "").expect("file");
        assert!(empty(&folder.join("file")).is_err());
    }

    #[test]
    fn only_an_existing_later_file_is_newer() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (early, late) = (folder.path().join("early"), folder.path().join("late"));
        for (path, age) in [(&early, 20), (&late, 10)] {
            let file = fs::File::create(path).expect("file");
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).expect("time set");
        }
        assert!(is_newer(&late, &early));
        assert!(!is_newer(&early, &late));
        assert!(!is_newer(&early, &early));
        assert!(!is_newer(&folder.path().join("absent"), &early));
    }
}
