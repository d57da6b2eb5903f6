//! The source files of a library, embedded when the program is compiled. Their digest tells whether
//! a library found at run time was built from the same files.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// A file of a library's source code.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Its path below its crate's folder.
    pub name: &'static str,
    /// Its path when the program was compiled.
    pub path: &'static str,
    /// Its content when the program was compiled.
    pub content: &'static [u8],
}

/// A `&'static [Source]` of files, given by their paths below the calling crate's folder.
#[macro_export]
macro_rules! sources {
    ($($name:literal),+ $(,)?) => {
        &[$($crate::Source {
            name: $name,
            path: concat!(env!("CARGO_MANIFEST_DIR"), "/", $name),
            content: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $name)),
        }),+]
    };
}

/// A number that depends on the version of the library underneath and on these files' names and
/// contents. As 64-bit FNV-1a it tells builds apart, but does not protect against forgery.
pub const fn digest(version: &str, parts: &[&[Source]]) -> u64 {
    let mut hash = add(0xcbf2_9ce4_8422_2325, version.as_bytes());
    let mut part = 0;
    while part < parts.len() {
        let mut file = 0;
        while file < parts[part].len() {
            hash = add(hash, parts[part][file].name.as_bytes());
            hash = add(hash, parts[part][file].content);
            file += 1;
        }
        part += 1;
    }
    hash
}

/// Adds bytes and a mark for their end.
const fn add(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    // The mark is larger than any byte, so that names and contents cannot be confused.
    (hash ^ 0x100).wrapping_mul(0x0000_0100_0000_01b3)
}

/// For tests: the files in folders of a crate that are in none of the lists. Such a file could
/// change without the library being rebuilt. Files ending in `.md` do not count.
///
/// # Errors
/// If a folder cannot be read.
pub fn unlisted(home: &Path, folders: &[&str], lists: &[&[Source]]) -> io::Result<Vec<PathBuf>> {
    let mut left: Vec<PathBuf> = folders.iter().map(|folder| home.join(folder)).collect();
    let mut unlisted = Vec::new();
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let is_listed = |source: &Source| Path::new(source.path) == path;
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_none_or(|kind| kind != "md") && !lists.concat().iter().any(is_listed) {
                unlisted.push(path);
            }
        }
    }
    Ok(unlisted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_contents_and_versions_count() {
        let file = |name, content| Source { name, path: "", content };
        let one = digest("1", &[&[file("a", b"xy"), file("b", b"")]]);
        assert_eq!(digest("1", &[&[file("a", b"xy")], &[file("b", b"")]]), one);
        for other in [
            digest("2", &[&[file("a", b"xy"), file("b", b"")]]),
            digest("1", &[&[file("a", b"x"), file("b", b"y")]]),
            digest("1", &[&[file("ax", b"y"), file("b", b"")]]),
            digest("1", &[&[file("a", b"xy")]]),
        ] {
            assert_ne!(other, one);
        }
        const THIS: &[Source] = sources!["src/sources.rs"];
        assert!(THIS[0].path.ends_with("in18-native/src/sources.rs"), "{}", THIS[0].path);
        assert_eq!(THIS[0].content, std::fs::read(THIS[0].path).unwrap());
    }

    #[test]
    fn a_file_that_no_list_names_is_found() {
        const LISTED: &[Source] = sources!["src/lib.rs", "src/library.rs", "src/sources.rs"];
        let home = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(unlisted(home, &["src"], &[LISTED]).unwrap(), [home.join("src/location.rs")]);
    }
}
