//! Finds oneDNN and tells the linker where it is. The first of these counts:
//!
//! 1. `ONEDNN_DIR`, a folder with `lib/libdnnl.so` and `include/`;
//! 2. feature `vendored-onednn`: the static library that the crate `onednn-src` has built;
//! 3. what `cargo xtask setup` has fetched.
//!
//! A program also has to find a shared library when it starts. Link arguments from a library's
//! build script reach only the library's own tests and examples. The folder is therefore passed on
//! as metadata: the build script of a crate that makes a program reads `DEP_IN18_ONEDNN_RPATH` and
//! emits the same argument.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use in18_native::location::{self, variable};

/// The oldest version of oneDNN that has every function this crate calls. The next major version
/// changes the C interface.
const MAJOR: u32 = 3;
const OLDEST_MINOR: u32 = 2;

enum Library {
    Shared(PathBuf),
    Static(PathBuf),
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for name in ["ONEDNN_DIR", "IN18_DEPS", "XDG_CACHE_HOME", "HOME"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    match find() {
        Ok(Library::Shared(folder)) => {
            println!("cargo::rerun-if-changed={}", folder.join("libdnnl.so").display());
            println!("cargo::rustc-link-search=native={}", folder.display());
            println!("cargo::rustc-link-lib=dylib=dnnl");
            println!("cargo::rustc-link-arg=-Wl,-rpath,{}", folder.display());
            println!("cargo::metadata=RPATH={}", folder.display());
            link_openmp();
        }
        Ok(Library::Static(folder)) => {
            println!("cargo::rustc-link-search=native={}", folder.display());
            // Not bundled into the rlib: the linker must meet the archive before the libraries that
            // the archive needs.
            println!("cargo::rustc-link-lib=static:-bundle=dnnl");
            println!("cargo::rustc-link-lib=dylib=stdc++");
            link_openmp();
        }
        Err(message) => println!("cargo::error={message}"),
    }
}

fn find() -> Result<Library, String> {
    if let Some(folder) = variable("ONEDNN_DIR") {
        return in_folder(Path::new(&folder))
            .map(Library::Shared)
            .map_err(|problem| format!("ONEDNN_DIR={folder}: {problem}"));
    }
    if variable("CARGO_FEATURE_VENDORED_ONEDNN").is_some() {
        return vendored().map(Library::Static);
    }
    let how = "run `cargo xtask setup` to fetch it (seconds), or build with `--features vendored-onednn` (half an hour, \
               needs cmake), or set ONEDNN_DIR to a folder that holds its lib/ and include/";
    let Some(folder) = location::ONEDNN.folder(variable) else {
        return Err(format!("oneDNN not found, as neither IN18_DEPS, XDG_CACHE_HOME nor HOME names a folder: {how}"));
    };
    in_folder(&folder).map(Library::Shared).map_err(|problem| {
        let problem = if folder.exists() { format!(": {problem}") } else { String::new() };
        format!("oneDNN not found in {}{problem}; {how}", folder.display())
    })
}

/// The folder of `libdnnl.so` below `root`. The headers there must be of a version that fits.
fn in_folder(root: &Path) -> Result<PathBuf, String> {
    if !root.is_absolute() {
        return Err("expected an absolute path".to_owned());
    }
    let version = root.join("include/oneapi/dnnl/dnnl_version.h");
    // Cargo watches the file even while it is absent: once it appears, a failed build is tried
    // again.
    println!("cargo::rerun-if-changed={}", version.display());
    let header = fs::read_to_string(&version).map_err(|error| format!("{}: {error}", version.display()))?;
    let (major, minor) = (number(&header, "DNNL_VERSION_MAJOR"), number(&header, "DNNL_VERSION_MINOR"));
    if major != Some(MAJOR) || minor < Some(OLDEST_MINOR) {
        return Err(format!(
            "expected oneDNN {MAJOR}.{OLDEST_MINOR} or a later {MAJOR}.x, got {}.{} by {}",
            major.map_or("?".to_owned(), |n| n.to_string()),
            minor.map_or("?".to_owned(), |n| n.to_string()),
            version.display()
        ));
    }
    ["lib", "lib64", "lib/x86_64-linux-gnu"]
        .into_iter()
        .map(|name| root.join(name))
        .find(|folder| folder.join("libdnnl.so").exists())
        .ok_or_else(|| format!("no lib/libdnnl.so in {}", root.display()))
}

/// The folder of `libdnnl.a`, below the root that the build script of `onednn-src` reports. Some
/// systems install to `lib64` instead of `lib`.
fn vendored() -> Result<PathBuf, String> {
    let root = variable("DEP_DNNL_ROOT").ok_or("onednn-src did not report where it built oneDNN (DEP_DNNL_ROOT)")?;
    ["lib", "lib64"]
        .into_iter()
        .map(|name| Path::new(&root).join(name))
        .find(|folder| folder.join("libdnnl.a").exists())
        .ok_or_else(|| format!("onednn-src built no lib/libdnnl.a in {root}"))
}

/// Links GNU OpenMP, oneDNN's thread pool. GCC looks into its own folder by itself. Other compilers
/// have to be told the folder.
fn link_openmp() {
    let linker = variable("RUSTC_LINKER").unwrap_or_else(|| "cc".to_owned());
    if let Ok(output) = Command::new(linker).arg("-print-file-name=libgomp.so").output() {
        // A compiler that does not know the file answers with the bare name.
        let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        if let Some(folder) = path.parent().filter(|_| path.is_absolute()) {
            println!("cargo::rustc-link-search=native={}", folder.display());
        }
    }
    println!("cargo::rustc-link-lib=dylib=gomp");
}

/// The value of `#define NAME value`.
fn number(header: &str, name: &str) -> Option<u32> {
    let mut lines = header.lines().filter_map(|line| line.strip_prefix("#define ")?.strip_prefix(name));
    lines.next()?.trim().parse().ok()
}
