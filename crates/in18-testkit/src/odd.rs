//! Odd and damaged image files, made here, and what Pillow makes of them.
//!
//! A file follows from its name alone, so none is stored. `cargo xtask golden` has Pillow decode all of them
//! (`scripts/golden/odd.py`) and records its verdicts in `golden/odd.tsv`, which is committed: tests need no Python. The same
//! tests take the odd files of other projects' test suites where someone has those; [`sets()`] gives both.

mod damaged;
mod huffman;
mod jpeg;
mod metadata;
mod others;
mod picture;
mod png;
mod pngs;
mod scan;
mod sets;
mod whole;

pub use sets::{Case, EXCEPTIONS, Exception, Set, Verdict, fingerprint, sets};

/// A file that was made to be odd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OddFile {
    /// What is odd about it, with the extension that it pretends.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl OddFile {
    fn new(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { name: name.into(), bytes }
    }
}

/// All of them, in the order of their names.
pub fn files() -> Vec<OddFile> {
    let mut files = [whole::files(), damaged::files(), metadata::files(), pngs::files(), others::files()].concat();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_that_of_one_file() {
        let files = files();
        assert!(files.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert!(files.iter().all(|file| !file.name.contains(['/', '\t', '\n'])));
    }

    #[test]
    fn every_run_makes_the_same_files() {
        assert!(files() == files());
    }
}
