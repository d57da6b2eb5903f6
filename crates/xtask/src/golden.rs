//! Golden pixels of photos, against which `in18-jpeg` is tested where there are photos. They are derived from pictures
//! that may not be distributed, so they are made here, from scratch, by Pillow, and stay in `target`. Where the
//! photos or Python are missing, the test that needs them skips itself.

use crate::process::{show, workspace};
use crate::python;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Names of golden folders and the photos for them, relative to the workspace.
const PHOTOS: [(&str, &str); 2] =
    [("original", "../shared/data/photos-original"), ("imagewoof", "../shared/data/imagewoof320/val")];

const SCRIPT: &str = "scripts/golden/crops.py";

/// The Python packages that the script needs.
const PACKAGES: [&str; 2] = ["pillow==12.3.0", "numpy==2.4.6"];

/// Makes what is missing or older than the script. What cannot be made for lack of Python packages is named and skipped.
pub fn crops() -> Result<()> {
    let root = workspace();
    let script = root.join(SCRIPT);
    let mut packages = None;
    for (name, photos) in PHOTOS {
        let folder = root.join(photos);
        if !folder.is_dir() {
            println!("golden crops of {photos}: skipped, no such folder");
            continue;
        }
        let out = root.join("target/golden/crops").join(name);
        if is_newer(&out.join("manifest.tsv"), &script) {
            println!("golden crops of {photos}: up to date");
            continue;
        }
        if packages.is_none() {
            match python::packages(&PACKAGES) {
                Ok(folder) => packages = Some(folder),
                Err(error) => {
                    println!("golden crops: skipped, {error:#}");
                    return Ok(());
                }
            }
        }
        println!("golden crops of {photos}:");
        let path = packages.as_deref().expect("just installed");
        show(Command::new("python3").arg(&script).arg(&folder).arg(&out).env("PYTHONPATH", path))
            .with_context(|| format!("{SCRIPT} on {photos}"))?;
    }
    Ok(())
}

/// Whether both files exist and the first was written after the second.
fn is_newer(file: &Path, than: &Path) -> bool {
    let written = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
    matches!((written(file), written(than)), (Ok(file), Ok(than)) if file > than)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

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
