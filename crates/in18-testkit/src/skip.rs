//! For tests that cannot do their work on this machine. A test that returns early passes, as far as
//! its runner knows. So these functions write a line for `cargo xtask test`, which counts the lines
//! (`crates/xtask/src/tally.rs`):
//!
//! * [`missing`], [`lacks`]: something that the project's own commands would have built or
//!   downloaded. Where `CI` is set, that is an error.
//! * [`impossible`]: something that this machine lacks, and that no command can provide.
//!
//! Only a test that does none of its work calls these. It then counts as skipped instead of passed.

use std::env;
use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::thread;

use in18_native::OwnLibrary;

/// The variable that names the file for these lines. `crates/xtask/src/tally.rs` reads the file.
const LIST: &str = "IN18_SKIPS";

/// What a machine may lack for a test. Where `CI` is set, only these reasons excuse a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// An NVIDIA GPU.
    Gpu,
    /// A machine without an NVIDIA GPU, for tests of its messages.
    AbsentGpu,
    /// A processor with bf16 arithmetic.
    Bf16,
    /// Network namespaces: the tool `ip` that creates them, and the right to do so.
    NetworkNamespaces,
    /// Slow network links, and the tool `tc` that slows them down.
    SlowLinks,
    /// The right to mount a file system.
    Mounting,
    /// Photos in `../shared/data`, which may not be distributed. Tests with committed and generated
    /// images run without them.
    Photos,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Lack::Gpu => "no GPU",
            Lack::AbsentGpu => "a GPU is here",
            Lack::Bf16 => "no CPU with bf16",
            Lack::NetworkNamespaces => "no network namespaces",
            Lack::SlowLinks => "no slow links",
            Lack::Mounting => "no right to mount",
            Lack::Photos => "no photos in ../shared/data",
        })
    }
}

/// Records that the machine lacks what this test needs.
pub fn impossible(lack: Lack) {
    skip(&lack.to_string());
}

/// Records that the project's set-up lacks `what`. `remedy` is the command that provides it.
///
/// # Panics
/// Where `CI` is set.
#[track_caller]
pub fn missing(what: &str, remedy: &str) {
    missing_on(env::var_os("CI").is_some_and(|value| !value.is_empty()), what, remedy);
}

/// Whether a library that programs load is missing. The test should then return, and counts as
/// skipped.
///
/// # Panics
/// As [`missing`].
#[track_caller]
pub fn lacks(library: OwnLibrary) -> bool {
    let lacks = library.find().is_err();
    if lacks {
        missing(&library.file(), &format!("`{}`", library.setup));
    }
    lacks
}

#[track_caller]
fn missing_on(is_ci: bool, what: &str, remedy: &str) {
    assert!(!is_ci, "{what} is missing, which is an error where CI is set: run {remedy}");
    skip(&format!("{what} is missing: run {remedy}"));
}

fn skip(reason: &str) {
    eprintln!("skipped: {reason}");
    if let Some(list) = env::var_os(LIST) {
        let list = Path::new(&list);
        if let Err(error) = record(list, &this_test(), reason) {
            panic!("cannot write to {}, which counts skipped tests: {error}", list.display());
        }
    }
}

/// Adds one line in one write, because tests run at the same time.
fn record(list: &Path, test: &str, reason: &str) -> io::Result<()> {
    let line = format!("{test}\t{}\n", reason.replace(['\n', '\t'], " "));
    OpenOptions::new().create(true).append(true).open(list)?.write_all(line.as_bytes())
}

/// The package, the program and the function of the test that runs on this thread.
fn this_test() -> String {
    let package = env::var("CARGO_PKG_NAME").unwrap_or_default();
    let program = env::current_exe().ok().and_then(|path| Some(path.file_stem()?.to_string_lossy().into_owned()));
    let program = program.unwrap_or_default();
    // Remove the hash that cargo adds.
    let program = program.rsplit_once('-').map_or(program.as_str(), |(name, _)| name);
    format!("{package}::{program} {}", thread::current().name().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn each_skip_is_one_line() {
        let list = env::temp_dir().join(format!("in18-skips-{}", std::process::id()));
        thread::scope(|scope| {
            for name in ["one", "two"] {
                let list = &list;
                scope.spawn(move || record(list, name, "a reason\nof two lines").unwrap());
            }
        });
        let text = fs::read_to_string(&list).unwrap();
        fs::remove_file(&list).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["one\ta reason of two lines", "two\ta reason of two lines"]);
    }

    #[test]
    #[should_panic(expected = "the library is missing, which is an error where CI is set: run `make`")]
    fn nothing_may_be_missing_where_ci_is_set() {
        missing_on(true, "the library", "`make`");
    }

    #[test]
    fn a_test_is_known_by_its_package_and_name() {
        let name = this_test();
        assert!(name.starts_with("in18-testkit::in18_testkit "), "{name}");
        assert!(name.ends_with(" skip::tests::a_test_is_known_by_its_package_and_name"), "{name}");
    }
}
