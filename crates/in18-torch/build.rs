//! With feature `libtorch`: compiles the shim and links libtorch, as `LIBTORCH` names it or as `cargo xtask setup --torch`
//! has fetched it. A program finds the libraries by DEP_IN18_TORCH_RPATH, as with `in18-onednn`.

#[cfg(feature = "libtorch")]
#[path = "../xtask/src/location.rs"]
#[allow(dead_code, reason = "it knows other libraries, too")]
mod location;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "libtorch")]
    if let Err(message) = libtorch::link() {
        println!("cargo::error={message}");
    }
}

#[cfg(feature = "libtorch")]
mod libtorch {
    use std::path::{Path, PathBuf};
    use std::{env, fs};

    use super::location::LIBTORCH;

    pub fn link() -> Result<(), String> {
        for name in ["LIBTORCH", "IN18_DEPS", "XDG_CACHE_HOME", "HOME"] {
            println!("cargo::rerun-if-env-changed={name}");
        }
        let home = find()?;
        let lib = home.join("lib");
        println!("cargo::rerun-if-changed=shim");
        let include = home.join("include");
        cc::Build::new()
            .cpp(true)
            .std("c++20")
            .files(["placement", "tensors", "ops"].map(|name| format!("shim/{name}.cpp")))
            // Not ours to warn about.
            .flag("-isystem")
            .flag(include.display().to_string())
            .flag("-isystem")
            .flag(include.join("torch/csrc/api/include").display().to_string())
            .opt_level(2)
            .try_compile("in18_torch")
            .map_err(|error| format!("the shim over libtorch does not compile: {error}").replace('\n', " "))?;
        println!("cargo::rustc-link-search=native={}", lib.display());
        for name in ["torch_cpu", "c10"] {
            println!("cargo::rustc-link-lib=dylib={name}");
        }
        println!("cargo::rustc-link-arg=-Wl,-rpath,{}", lib.display());
        println!("cargo::metadata=RPATH={}", lib.display());
        Ok(())
    }

    /// The folder with libtorch's `lib/` and `include/`.
    fn find() -> Result<PathBuf, String> {
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
        if !Path::new(&home).join("lib/libtorch_cpu.so").exists() {
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
    fn variable(name: &str) -> Option<String> {
        env::var(name).ok().filter(|value| !value.is_empty())
    }
}
