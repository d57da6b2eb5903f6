//! Where `cargo xtask setup` puts what it downloads and builds.

use std::env;
use std::path::PathBuf;

/// A library that the project downloads instead of building it.
pub struct Prebuilt {
    /// The beginning of its folder's name.
    pub name: &'static str,
    /// Part of the folder's name too, so that versions never mix.
    pub version: &'static str,
}

/// The kernels for CPUs.
pub const ONEDNN: Prebuilt = Prebuilt { name: "onednn", version: "3.2.0" };

/// The library under the second engine and under the exchange between ranks.
pub const LIBTORCH: Prebuilt = Prebuilt { name: "libtorch", version: "2.13.0" };

/// What compiling the library for GPUs needs beside libtorch: NVIDIA's compiler, and headers.
pub const CUDA_TOOLKIT: Prebuilt = Prebuilt { name: "cuda-toolkit", version: "13.0" };

/// What running on GPUs needs beside libtorch: the libraries of CUDA, cuDNN and NCCL.
pub const CUDA: Prebuilt = Prebuilt { name: "cuda", version: "13.0" };

impl Prebuilt {
    /// The folder that holds the library as `lib/` and `include/`: `NAME-VERSION` in the dependency
    /// folder. `None` as for [`dependencies`].
    pub fn folder(&self, variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
        Some(dependencies(variable)?.join(format!("{}-{}", self.name, self.version)))
    }
}

/// The folder for downloads: `$IN18_DEPS`, else `imagenet18` in the user's cache folder
/// (`$XDG_CACHE_HOME`, else `$HOME/.cache`). `None` if no variable names an absolute path. A
/// relative path would mean a different folder to every program; the XDG specification says to
/// ignore it.
pub fn dependencies(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("IN18_DEPS").or_else(|| {
        let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
        Some(cache.join("imagenet18"))
    })
}

/// A variable of this process's environment. A variable that is set but empty counts as unset.
pub fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefers_the_most_specific_variable_and_skips_relative_paths() {
        struct Case {
            variables: &'static [(&'static str, &'static str)],
            expected: Option<&'static str>,
        }
        let cases = [
            Case { variables: &[("HOME", "/h")], expected: Some("/h/.cache/imagenet18/onednn-3.2.0") },
            Case {
                variables: &[("HOME", "/h"), ("XDG_CACHE_HOME", "/c")],
                expected: Some("/c/imagenet18/onednn-3.2.0"),
            },
            Case {
                variables: &[("HOME", "/h"), ("XDG_CACHE_HOME", "/c"), ("IN18_DEPS", "/d")],
                expected: Some("/d/onednn-3.2.0"),
            },
            Case {
                variables: &[("HOME", "/h"), ("XDG_CACHE_HOME", "c"), ("IN18_DEPS", "./d")],
                expected: Some("/h/.cache/imagenet18/onednn-3.2.0"),
            },
            Case { variables: &[], expected: None },
        ];
        for case in cases {
            let variable = |name: &str| {
                case.variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(
                ONEDNN.folder(variable).as_deref(),
                case.expected.map(std::path::Path::new),
                "{:?}",
                case.variables
            );
        }
    }
}
