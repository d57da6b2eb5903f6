//! Compiles a shim over libtorch and links both. The build scripts of all crates with such a shim include this file.
#![allow(dead_code, reason = "each of them uses its part")]

use std::path::{Path, PathBuf};
use std::{env, fs};

#[path = "../../xtask/src/location.rs"]
pub mod location;

use location::LIBTORCH;

/// Compiles `shim/NAME.cpp` for each of the names into a static library; `includes` are the shim's own folders of headers.
/// Links libtorch, as `LIBTORCH` names it or as `cargo xtask setup --torch` has fetched it, and returns the folder of its
/// libraries.
pub fn link(library: &str, names: &[&str], includes: &[&str]) -> Result<PathBuf, String> {
    println!("cargo::rerun-if-changed=shim");
    let home = find()?;
    let files: Vec<String> = names.iter().map(|name| format!("shim/{name}.cpp")).collect();
    let includes: Vec<PathBuf> = includes.iter().map(PathBuf::from).collect();
    compiler(&home, &files, &includes).try_compile(library).map_err(|error| failed(&error))?;
    let lib = home.join("lib");
    println!("cargo::rustc-link-search=native={}", lib.display());
    for name in ["torch_cpu", "c10"] {
        println!("cargo::rustc-link-lib=dylib={name}");
    }
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", lib.display());
    Ok(lib)
}

/// A compiler of files over libtorch's headers and those in other folders.
pub fn compiler(home: &Path, files: &[String], includes: &[PathBuf]) -> cc::Build {
    let mut build = cc::Build::new();
    build.cpp(true).std("c++20").opt_level(2).files(files);
    let include = home.join("include");
    let theirs = [include.clone(), include.join("torch/csrc/api/include")];
    for folder in includes.iter().chain(&theirs) {
        // Headers that are not ours to warn about.
        build.flag("-isystem").flag(folder.display().to_string());
    }
    build
}

/// What is said of a compiler's error, in one line.
pub fn failed(error: &cc::Error) -> String {
    format!("the shim over libtorch does not compile: {error}").replace('\n', " ")
}

/// The folder with libtorch's `lib/` and `include/`.
pub fn find() -> Result<PathBuf, String> {
    for name in ["LIBTORCH", "IN18_DEPS", "XDG_CACHE_HOME", "HOME"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let how = "run `cargo xtask setup --torch` to fetch it (540 MB), or set LIBTORCH to a folder that holds its lib/ and \
               include/";
    let Some(home) = variable("LIBTORCH").map(PathBuf::from).or_else(|| LIBTORCH.folder(variable)) else {
        return Err(format!("libtorch not found, as neither LIBTORCH, IN18_DEPS nor HOME names a folder: {how}"));
    };
    let version = home.join("include/torch/headeronly/version.h");
    // Watched even while absent: its appearance is what makes a failed build worth trying again.
    println!("cargo::rerun-if-changed={}", version.display());
    let header =
        fs::read_to_string(&version).map_err(|_| format!("libtorch not found in {}; {how}", home.display()))?;
    let got = version_of(&header).ok_or_else(|| format!("{} names no version; {how}", version.display()))?;
    if got != LIBTORCH.version {
        return Err(format!("expected libtorch {}, got {got} in {}; {how}", LIBTORCH.version, home.display()));
    }
    if !home.join("lib/libtorch_cpu.so").exists() {
        return Err(format!("no lib/libtorch_cpu.so in {}; {how}", home.display()));
    }
    Ok(home)
}

/// Of `#define TORCH_VERSION_MAJOR 2` and its like.
fn version_of(header: &str) -> Option<String> {
    let number = |name: &str| {
        let mut lines = header.lines().filter_map(|line| line.strip_prefix("#define ")?.strip_prefix(name));
        lines.next()?.trim().parse::<u32>().ok()
    };
    let [major, minor, patch] = ["TORCH_VERSION_MAJOR", "TORCH_VERSION_MINOR", "TORCH_VERSION_PATCH"].map(number);
    Some(format!("{}.{}.{}", major?, minor?, patch?))
}

/// An environment variable; one that is set but empty counts as unset.
pub fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
