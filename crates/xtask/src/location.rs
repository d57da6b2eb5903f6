//! Where `cargo xtask setup` puts oneDNN. The build script of `in18-onednn` includes this file, so the two cannot disagree.

use std::path::PathBuf;

/// Version of the prebuilt oneDNN; also part of the folder's name, so that another version never mixes with this one.
pub const ONEDNN_VERSION: &str = "3.2.0";

/// The folder that holds the prebuilt oneDNN as `lib/` and `include/`: `onednn-VERSION` in the dependency folder.
/// `None` as for [`dependencies`].
pub fn onednn(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    Some(dependencies(variable)?.join(format!("onednn-{ONEDNN_VERSION}")))
}

/// The folder for what the project fetches: `$IN18_DEPS`, else `imagenet18` in the user's cache folder
/// (`$XDG_CACHE_HOME`, else `$HOME/.cache`). `None` where no variable names an absolute path: relative ones would mean
/// another folder to every program (and the XDG specification says to ignore them).
pub fn dependencies(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("IN18_DEPS").or_else(|| {
        let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
        Some(cache.join("imagenet18"))
    })
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
            assert_eq!(onednn(variable).as_deref(), case.expected.map(std::path::Path::new), "{:?}", case.variables);
        }
    }
}
