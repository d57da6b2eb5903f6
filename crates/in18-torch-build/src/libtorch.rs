//! Finds libtorch and CUDA's toolkit, as `cargo xtask setup` has downloaded them.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use in18_native::location::{CUDA_TOOLKIT, LIBTORCH, variable};

/// The folder with libtorch's `lib/` and `include/`: the one that LIBTORCH names, or that of
/// `cargo xtask setup --torch`.
pub fn find() -> Result<PathBuf> {
    let how = "run `cargo xtask setup --torch` to fetch it (540 MB), or set LIBTORCH to a folder that holds its lib/ and \
               include/";
    let home = variable("LIBTORCH").map(PathBuf::from).or_else(|| LIBTORCH.folder(variable));
    let home = home.with_context(|| {
        format!("libtorch not found, as neither LIBTORCH, IN18_DEPS nor HOME names a folder: {how}")
    })?;
    let version = home.join("include/torch/headeronly/version.h");
    let header =
        fs::read_to_string(&version).map_err(|_| anyhow!("libtorch not found in {}; {how}", home.display()))?;
    let got = version_of(&header).with_context(|| format!("{} names no version; {how}", version.display()))?;
    if got != LIBTORCH.version {
        bail!("expected libtorch {}, got {got} in {}; {how}", LIBTORCH.version, home.display());
    }
    if !home.join("lib/libtorch_cpu.so").exists() {
        bail!("no lib/libtorch_cpu.so in {}; {how}", home.display());
    }
    Ok(home)
}

/// The version, from `#define TORCH_VERSION_MAJOR 2` and the two lines that follow it.
fn version_of(header: &str) -> Option<String> {
    let number = |name: &str| {
        let mut lines = header.lines().filter_map(|line| line.strip_prefix("#define ")?.strip_prefix(name));
        lines.next()?.trim().parse::<u32>().ok()
    };
    let [major, minor, patch] = ["TORCH_VERSION_MAJOR", "TORCH_VERSION_MINOR", "TORCH_VERSION_PATCH"].map(number);
    Some(format!("{}.{}.{}", major?, minor?, patch?))
}

/// The folder with CUDA's compiler in `bin/` and its headers in `include/`.
pub fn toolkit() -> Result<PathBuf> {
    let how = "run `cargo xtask setup --cuda` to fetch it";
    let folder = CUDA_TOOLKIT.folder(variable).with_context(|| format!("CUDA's toolkit has no folder: {how}"))?;
    if !folder.join("bin/nvcc").exists() {
        bail!("CUDA's toolkit not found in {}: {how}", folder.display());
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_the_header() {
        let header = "#pragma once\n#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 13\n\
                      #define TORCH_VERSION_PATCH 0\n";
        assert_eq!(version_of(header).as_deref(), Some("2.13.0"));
        assert_eq!(version_of("#define TORCH_VERSION_MAJOR 2\n"), None);
    }
}
