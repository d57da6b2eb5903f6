//! Class folders: which images, which labels, in which order.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, some_of};

/// Folders inside each other within a class. More than any real set has; a link that leads back ends here.
const MAX_DEPTH: usize = 16;

/// The images below `root/CLASS/`, in torchvision's order: classes by name, images by folder and name within.
///
/// An image is a number from 0 to `len() - 1`; its label is the number of its class. Names are kept in one buffer
/// (about 25 bytes an image), so that sets of millions stay small.
#[derive(Debug, Clone)]
pub struct ImageSet {
    root: PathBuf,
    classes: Vec<String>,
    /// The class folders' names as the system has them, by label: `classes` holds them as text.
    folders: Vec<OsString>,
    /// Class `c` has the images `first[c]..first[c + 1]`.
    first: Vec<u32>,
    /// Paths of all images relative to their class folder, one after the other.
    names: Vec<u8>,
    /// Where each image's name ends in `names`.
    ends: Vec<u64>,
}

impl ImageSet {
    /// Lists `root/CLASS/**`. Hidden files and folders (a name that starts with a dot) are left out, folders inside a
    /// class and links are followed. Opens no image.
    ///
    /// # Errors
    /// [`Error::NoData`], [`Error::NotAFolder`], [`Error::Unreadable`], [`Error::NoClasses`], [`Error::EmptyClasses`],
    /// [`Error::TooDeep`], [`Error::TooMany`].
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        let (folders, files) = list(&root)?;
        if folders.is_empty() {
            let got = match files.len() {
                0 => "an empty folder".to_owned(),
                n => format!("{n} files and no folder"),
            };
            return Err(Error::NoClasses { path: root, got });
        }
        let mut set = Self {
            classes: folders.iter().map(|f| f.to_string_lossy().into_owned()).collect(),
            root,
            folders,
            first: vec![0],
            names: Vec::new(),
            ends: Vec::new(),
        };
        let mut empty = Vec::new();
        for class in 0..set.folders.len() {
            let before = set.ends.len();
            set.add_class(class)?;
            if set.ends.len() == before {
                empty.push(set.classes[class].clone());
            }
            let end = u32::try_from(set.ends.len()).map_err(|_| Error::TooMany { path: set.root.clone() })?;
            set.first.push(end);
        }
        if !empty.is_empty() {
            return Err(Error::EmptyClasses { path: set.root, classes: some_of(&empty) });
        }
        set.names.shrink_to_fit();
        set.ends.shrink_to_fit();
        Ok(set)
    }

    /// The folder that holds the class folders.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// How many images there are; at least one for each class.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Never true: a set without images is not opened.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Names of the classes; a label is an index into them.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// How many images a class has.
    pub fn class_len(&self, label: usize) -> usize {
        (self.first[label + 1] - self.first[label]) as usize
    }

    /// The label of an image, `image < len()`.
    pub fn label(&self, image: usize) -> usize {
        self.first.partition_point(|&first| first as usize <= image).saturating_sub(1)
    }

    /// The file of an image, `image < len()`.
    pub fn path(&self, image: usize) -> PathBuf {
        let mut path = PathBuf::new();
        self.path_into(image, &mut path);
        path
    }

    /// [`path`](Self::path) into a buffer that is reused.
    pub fn path_into(&self, image: usize, path: &mut PathBuf) {
        let start = if image == 0 { 0 } else { self.ends[image - 1] };
        let name = &self.names[start as usize..self.ends[image] as usize];
        path.clear();
        path.push(&self.root);
        path.push(&self.folders[self.label(image)]);
        path.push(OsStr::from_bytes(name));
    }

    /// Appends the images of a class: `sorted(os.walk(folder, followlinks=True))`, files sorted within each folder.
    fn add_class(&mut self, class: usize) -> Result<(), Error> {
        let top = self.root.join(&self.folders[class]);
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
