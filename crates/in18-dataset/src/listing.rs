//! What lies in a folder.

use std::ffi::OsString;
use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::Error;

/// Names in a folder, each list sorted by bytes. Hidden names (that start with a dot) are left out,
/// and links are followed.
pub(crate) struct Listing {
    pub folders: Vec<OsString>,
    pub files: Vec<OsString>,
}

impl Listing {
    /// What a folder without folders holds, for messages.
    pub(crate) fn without_folders(&self) -> String {
        match self.files.len() {
            0 => "an empty folder".to_owned(),
            n => format!("{n} files and no folder"),
        }
    }
}

/// Lists a folder.
///
/// # Errors
/// [`Error::NoData`], [`Error::NotAFolder`], [`Error::Unreadable`].
pub(crate) fn list(path: &Path) -> Result<Listing, Error> {
    let unreadable = |path: &Path, source| Error::Unreadable { path: path.to_owned(), source };
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => {
            let path = path.to_owned();
            return Err(match error.kind() {
                io::ErrorKind::NotFound => Error::NoData { path },
                io::ErrorKind::NotADirectory => Error::NotAFolder { path },
                _ => unreadable(&path, error),
            });
        }
    };
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    for entry in entries {
        let entry = entry.map_err(|error| unreadable(path, error))?;
        let name = entry.file_name();
        if name.as_bytes().starts_with(b".") {
            continue;
        }
        if is_folder(&entry).map_err(|error| unreadable(&entry.path(), error))? {
            folders.push(name);
        } else {
            files.push(name);
        }
    }
    folders.sort();
    files.sort();
    Ok(Listing { folders, files })
}

fn is_folder(entry: &DirEntry) -> io::Result<bool> {
    let kind = entry.file_type()?;
    if !kind.is_symlink() {
        return Ok(kind.is_dir());
    }
    match fs::metadata(entry.path()) {
        Ok(target) => Ok(target.is_dir()),
        // A link to nothing is listed as a file, so that reading it names it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
