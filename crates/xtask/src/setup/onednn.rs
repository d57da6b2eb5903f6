//! The prebuilt oneDNN, from two packages: one with the library and one with the headers.

use super::packages::{Source, Wheel, check_openmp, take};
use anyhow::{Result, anyhow, bail};
use in18_native::location::{ONEDNN, variable};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The packages have the version of the oneAPI release that contains oneDNN 3.2.
const WHEEL_VERSION: &str = "2023.2.0";

const SOURCE: Source = Source {
    library: &ONEDNN,
    wheels: &[
        Wheel {
            package: "onednn-cpu-gomp",
            version: WHEEL_VERSION,
            sha256: "2f22a54d6a890ed14bfa185d42a4be65d8b5b1df85dc1f0f3a9abe31620416fb",
            tags: &[],
        },
        Wheel {
            package: "onednn-devel-cpu-gomp",
            version: WHEEL_VERSION,
            sha256: "9763c69e8c907e119056bd52ad918ca84ac9ba939d130a99dfa95ccca3e5e284",
            tags: &[],
        },
    ],
    arrange,
    is_complete,
    alternatives: "or set ONEDNN_DIR to a folder with oneDNN's lib/ and include/, or build with `--features vendored-onednn`",
};

/// The library's real file. The package contains it three times, also under the names of [`LINKS`].
const REAL_LIBRARY: &str = "libdnnl.so.3.2";

/// Symbolic links and their targets: the name that the program loads, and the linker's.
const LINKS: [(&str, &str); 2] = [("libdnnl.so.3", REAL_LIBRARY), ("libdnnl.so", "libdnnl.so.3")];

/// Makes oneDNN available to the build. Does nothing if it already is.
pub fn run() -> Result<()> {
    if let Some(folder) = variable("ONEDNN_DIR") {
        println!("oneDNN: taken from ONEDNN_DIR={folder}, nothing to fetch");
        return Ok(());
    }
    let (version, alternatives) = (ONEDNN.version, SOURCE.alternatives);
    let home = ONEDNN
        .folder(variable)
        .ok_or_else(|| anyhow!("no folder to install to: set IN18_DEPS to an absolute path, {alternatives}"))?;
    if is_complete(&home) {
        println!("oneDNN {version}: already in {}", home.display());
    } else {
        check_platform()?;
        println!("oneDNN {version}: fetching (39 MB)");
        SOURCE.install(&home)?;
        println!("oneDNN {version}: installed in {}", home.display());
    }
    check_openmp()
}

fn arrange(unpacked: &Path, staged: &Path) -> Result<()> {
    let data = |stem: &str| -> PathBuf { unpacked.join(format!("{stem}-{WHEEL_VERSION}.data/data")) };
    let (library, headers) = (data("onednn_cpu_gomp"), data("onednn_devel_cpu_gomp"));
    fs::create_dir(staged.join("lib"))?;
    take(&library.join("lib").join(REAL_LIBRARY), &staged.join("lib").join(REAL_LIBRARY))?;
    for (link, target) in LINKS {
        symlink(target, staged.join("lib").join(link))?;
    }
    take(&headers.join("include"), &staged.join("include"))?;
    for name in ["LICENSE", "THIRD-PARTY-PROGRAMS"] {
        take(&library.join("share/doc/onednn").join(name), &staged.join(name))?;
    }
    Ok(())
}

fn is_complete(home: &Path) -> bool {
    home.join("lib/libdnnl.so").exists() && home.join("include/oneapi/dnnl/dnnl.h").exists()
}

/// Checks the platform: the prebuilt library is for one only.
fn check_platform() -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
        bail!(
            "the prebuilt oneDNN is for x86-64 Linux with glibc: build with `--features vendored-onednn`, or set ONEDNN_DIR"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_library_with_links_is_arranged() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (unpacked, staged) = (folder.path().join("unpacked"), folder.path().join("staged"));
        for file in [
            "onednn_cpu_gomp-2023.2.0.data/data/lib/libdnnl.so",
            "onednn_cpu_gomp-2023.2.0.data/data/lib/libdnnl.so.3",
            "onednn_cpu_gomp-2023.2.0.data/data/lib/libdnnl.so.3.2",
            "onednn_cpu_gomp-2023.2.0.data/data/share/doc/onednn/LICENSE",
            "onednn_cpu_gomp-2023.2.0.data/data/share/doc/onednn/THIRD-PARTY-PROGRAMS",
            "onednn_devel_cpu_gomp-2023.2.0.data/data/include/oneapi/dnnl/dnnl.h",
        ] {
            let path = unpacked.join(file);
            fs::create_dir_all(path.parent().expect("a file in a folder")).expect("folder");
            fs::write(path, file).expect("file");
        }
        fs::create_dir(&staged).expect("folder");
        arrange(&unpacked, &staged).expect("arranged");
        assert!(is_complete(&staged));
        assert_eq!(fs::read_dir(staged.join("lib")).expect("folder").count(), 3);
        assert_eq!(fs::read_link(staged.join("lib/libdnnl.so")).expect("link"), Path::new("libdnnl.so.3"));
        let content = fs::read_to_string(staged.join("lib/libdnnl.so")).expect("file");
        assert!(content.ends_with("lib/libdnnl.so.3.2"), "{content}");
    }
}
