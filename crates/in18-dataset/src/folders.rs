//! Class folders: which images, which labels, in which order.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, some_of};

/// Folders inside each other within a class. More than any real set has; a link that leads back ends here.
const MAX_DEPTH: usize = 16;

/// The files below `root/CLASS/`, in torchvision's order: classes by name, images by folder and name within.
///
/// Names are kept in one buffer (about 25 bytes an image), so that sets of millions stay small.
#[derive(Debug)]
pub(crate) struct Folders {
    /// The class folders' names as the system has them, by label.
    folders: Vec<OsString>,
    /// Class `c` has the images `first[c]..first[c + 1]`.
    first: Vec<u32>,
    /// Paths of all images relative to their class folder, one after the other.
    names: Vec<u8>,
    /// Where each image's name ends in `names`.
    ends: Vec<u64>,
}

impl Folders {
    /// Lists `root/CLASS/**`. Hidden files and folders (a name that starts with a dot) are left out, folders inside a
    /// class and links are followed. Opens no image.
    ///
    /// # Errors
    /// [`Error::NoData`], [`Error::NotAFolder`], [`Error::Unreadable`], [`Error::NoClasses`], [`Error::EmptyClasses`],
    /// [`Error::TooDeep`], [`Error::TooMany`].
    pub(crate) fn list(root: &Path) -> Result<Self, Error> {
        let (folders, files) = list(root)?;
        if folders.is_empty() {
            let got = match files.len() {
                0 => "an empty folder".to_owned(),
                n => format!("{n} files and no folder"),
            };
            return Err(Error::NoClasses { path: root.to_owned(), got });
        }
        let mut listed = Self { folders, first: vec![0], names: Vec::new(), ends: Vec::new() };
        let mut empty = Vec::new();
        for class in 0..listed.folders.len() {
            let before = listed.ends.len();
            listed.add_class(root, class)?;
            if listed.ends.len() == before {
                empty.push(listed.folders[class].to_string_lossy().into_owned());
            }
            let end = u32::try_from(listed.ends.len()).map_err(|_| Error::TooMany { path: root.to_owned() })?;
            listed.first.push(end);
        }
        if !empty.is_empty() {
            return Err(Error::EmptyClasses { path: root.to_owned(), classes: some_of(&empty) });
        }
        listed.names.shrink_to_fit();
        listed.ends.shrink_to_fit();
        Ok(listed)
    }

    /// Names of the classes as text, by label.
    pub(crate) fn classes(&self) -> Vec<String> {
        self.folders.iter().map(|folder| folder.to_string_lossy().into_owned()).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn class_len(&self, label: usize) -> usize {
        (self.first[label + 1] - self.first[label]) as usize
    }

    pub(crate) fn label(&self, image: usize) -> usize {
        self.first.partition_point(|&first| first as usize <= image).saturating_sub(1)
    }

    /// Appends an image's path below the root to `path`.
    pub(crate) fn push_path(&self, image: usize, path: &mut PathBuf) {
        let start = if image == 0 { 0 } else { self.ends[image - 1] };
        let name = &self.names[start as usize..self.ends[image] as usize];
        path.push(&self.folders[self.label(image)]);
        path.push(OsStr::from_bytes(name));
    }

    /// Appends the images of a class: `sorted(os.walk(folder, followlinks=True))`, files sorted within each folder.
    fn add_class(&mut self, root: &Path, class: usize) -> Result<(), Error> {
        let top = root.join(&self.folders[class]);
        // Folders relative to the class's, as bytes with a leading slash: sorting them sorts as torchvision does.
        let mut pending: Vec<(Vec<u8>, usize)> = vec![(Vec::new(), 0)];
        let mut found: Vec<(Vec<u8>, Vec<OsString>)> = Vec::new();
        while let Some((relative, depth)) = pending.pop() {
            let folder = match relative.split_first() {
                Some((_slash, inner)) => top.join(OsStr::from_bytes(inner)),
                None => top.clone(),
            };
            if depth > MAX_DEPTH {
                return Err(Error::TooDeep { path: folder, limit: MAX_DEPTH });
            }
            let (inner, files) = list(&folder)?;
            for name in inner {
                let mut relative = relative.clone();
                relative.push(b'/');
                relative.extend(name.into_vec());
                pending.push((relative, depth + 1));
            }
            found.push((relative, files));
        }
        found.sort();
        for (relative, files) in found {
            let prefix = relative.strip_prefix(b"/").unwrap_or(&relative);
            for file in files {
                if !prefix.is_empty() {
                    self.names.extend_from_slice(prefix);
                    self.names.push(b'/');
                }
                self.names.extend_from_slice(file.as_bytes());
                self.ends.push(self.names.len() as u64);
            }
        }
        Ok(())
    }
}

/// Names of the folders and of the files in `path`, hidden ones left out, links followed, each sorted by bytes.
pub(crate) fn list(path: &Path) -> Result<(Vec<OsString>, Vec<OsString>), Error> {
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
    Ok((folders, files))
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
