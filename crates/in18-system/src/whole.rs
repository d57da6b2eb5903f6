//! Files that appear whole or not at all: each is written under a temporary name, then renamed.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;

/// Ends the temporary names of [`WholeFile::new`].
pub const TEMPORARY: &str = ".tmp";

/// A file on its way to a path. Until it is whole it lies beside that path under a temporary name,
/// which is hidden, so that nothing takes it for an image or a log.
///
/// A program that is killed leaves at `path` the file of before, or none. With the functions whose
/// names say `durably` that is also true after a power cut, and the new file is on the disk when
/// the function returns. All functions replace an earlier file, and need the folder to be there.
#[derive(Debug)]
pub struct WholeFile<'a> {
    path: &'a Path,
    temporary: PathBuf,
}

impl<'a> WholeFile<'a> {
    /// Under the temporary name `.NAME.PID.tmp`: two processes that write the same file do not
    /// disturb each other.
    ///
    /// # Errors
    /// Where `path` does not end with a name.
    pub fn new(path: &'a Path) -> io::Result<Self> {
        Self::under(path, &format!(".{}{TEMPORARY}", process::id()))
    }

    /// Under the temporary name `.NAME.part`: a program that goes on after it was killed overwrites
    /// what it left, instead of leaving one more file.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn resumable(path: &'a Path) -> io::Result<Self> {
        Self::under(path, ".part")
    }

    fn under(path: &'a Path, ending: &str) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(ending);
        Ok(Self { path, temporary: path.with_file_name(hidden) })
    }

    /// Writes `bytes`.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(self, bytes: &[u8]) -> io::Result<()> {
        self.make(|temporary| fs::write(temporary, bytes))
    }

    /// Writes `bytes`, durably.
    ///
    /// # Errors
    /// What the system says.
    pub fn write_durably(self, bytes: &[u8]) -> io::Result<()> {
        self.make_durably(|temporary| {
            let mut file = File::create(temporary)?;
            file.write_all(bytes)?;
            file.sync_all()
        })
    }

    /// Has `make` write the file at the temporary path and sync it; syncs its folder afterwards.
    ///
    /// # Errors
    /// What `make` or the system says. The temporary file is removed then.
    pub fn make_durably(self, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
        let path = self.path;
        self.make(make)?;
        sync_folder_of(path)
    }

    /// Creates the temporary file, for a caller who writes it piece by piece and then calls
    /// [`finish_durably`](Self::finish_durably).
    ///
    /// # Errors
    /// What the system says.
    pub fn create(&self) -> io::Result<File> {
        File::create(&self.temporary)
    }

    /// Gives the `file` that [`create`](Self::create) made its own name, durably.
    ///
    /// # Errors
    /// What the system says. The temporary file stays.
    pub fn finish_durably(self, file: &File) -> io::Result<()> {
        file.sync_all()?;
        fs::rename(&self.temporary, self.path)?;
        sync_folder_of(self.path)
    }

    fn make(self, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
        make(&self.temporary).and_then(|()| fs::rename(&self.temporary, self.path)).inspect_err(|_| {
            // The first error is the one to report; a file that stays changes nothing.
            let _ = fs::remove_file(&self.temporary);
        })
    }
}

/// Without this a power cut may undo a renaming.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        WholeFile::new(&path).unwrap().write_durably(b"one").unwrap();
        WholeFile::new(&path).unwrap().write(b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        WholeFile::resumable(&path).unwrap().write(b"three").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"three");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a folder");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), b"x").unwrap();
        assert!(WholeFile::new(&path).unwrap().write_durably(b"one").is_err());
        assert!(WholeFile::resumable(&path).unwrap().write(b"one").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_killed_program_left_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let killed = WholeFile::resumable(&path).unwrap().create().unwrap();
        (&killed).write_all(b"a long beginning").unwrap();
        assert!(!path.exists());
        let file = WholeFile::resumable(&path).unwrap();
        let whole = file.create().unwrap();
        (&whole).write_all(b"all").unwrap();
        file.finish_durably(&whole).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"all");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
