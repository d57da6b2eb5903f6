//! Odd and damaged image files, made here, and how Pillow decodes them.
//!
//! Each file follows from its name alone, so none is stored. `cargo xtask golden` has Pillow decode
//! all of them (`scripts/golden/odd.py`) and records its verdicts in `golden/odd.tsv`. That file is
//! committed, so the tests need no Python. The same tests also use the odd files of other projects'
//! test suites if they are on this machine; [`sets()`] returns both.

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
    /// What is odd about the file, with the extension of the format that it pretends to have.
    pub name: String,
    /// The file's content.
    pub bytes: Vec<u8>,
}

impl OddFile {
    fn new(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { name: name.into(), bytes }
    }
}

/// All odd files, sorted by name.
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
