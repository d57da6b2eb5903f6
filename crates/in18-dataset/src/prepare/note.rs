//! What a folder was prepared with, noted in it.

use std::fs;
use std::io;
use std::path::Path;

use in18_system::WholeFile;

use super::error::PrepareError;
use crate::sources::shards::NOTE;

/// Compares the note in a folder with what is asked for, or leaves one.
pub(super) fn check(folder: &Path, expected: String) -> Result<(), PrepareError> {
    let note = folder.join(NOTE);
    match fs::read_to_string(&note) {
        Ok(got) if got == expected => Ok(()),
        Ok(got) => Err(PrepareError::Other { path: folder.to_owned(), expected, got }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // What is hidden may be this note, half written by a program that was stopped.
            let is_shown = |entry: fs::DirEntry| !entry.file_name().as_encoded_bytes().starts_with(b".");
            let entries = fs::read_dir(folder).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
            let entries = entries.map_err(|source| PrepareError::writing(folder, source))?;
            if entries.into_iter().any(is_shown) {
                let got = "files of another program".to_owned();
                return Err(PrepareError::Other { path: folder.to_owned(), expected, got });
            }
            let file = WholeFile::resumable(&note);
            file.and_then(|file| file.write(expected.as_bytes())).map_err(|source| PrepareError::writing(&note, source))
        }
        Err(source) => Err(PrepareError::writing(&note, source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_that_was_cut_short_does_not_stop_the_next_run() {
        let folder = tempfile::tempdir().unwrap();
        let check = |quality: u8| check(folder.path(), format!("short side 160, quality {quality}"));
        fs::write(folder.path().join(format!(".{NOTE}.part")), "short").unwrap();
        check(90).unwrap();
        check(90).unwrap();
        assert!(matches!(check(80), Err(PrepareError::Other { .. })));
        fs::remove_file(folder.path().join(NOTE)).unwrap();
        fs::write(folder.path().join("a.jpg"), "").unwrap();
        assert!(matches!(check(90), Err(PrepareError::Other { .. })));
    }
}
