//! Class folders: `CLASS/**`, in torchvision's order. Every file that is not hidden counts as an
//! image, whatever its name; whether it is one shows when it is decoded.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use in18_image::Size;

use crate::error::{Error, some_of};
use crate::image_file::{read_file, size_of_file};
use crate::listing::{Listing, list};
use crate::source::{Candidate, Kind, OpenOptions, Recognised, Source};

pub(super) const KIND: Kind = Kind { archives: None, recognise };

/// Folders inside each other within a class. More than any real set has; a link that leads back
/// ends here.
const MAX_DEPTH: usize = 16;

/// The files below `root/CLASS/`: classes by name, images by folder and name within.
///
/// Names are kept in one buffer (about 25 bytes an image), so that sets of millions stay small.
#[derive(Debug)]
struct Folders {
    /// The class folders' names as the system has them, by label.
    folders: Vec<OsString>,
    /// The same as text.
    classes: Vec<String>,
    /// Class `c` has the images `first[c]..first[c + 1]`.
    first: Vec<u32>,
    /// Paths of all images relative to their class folder, one after the other.
    names: Vec<u8>,
    /// Where each image's name ends in `names`.
    ends: Vec<u64>,
}

/// Takes folders that hold folders. [`Error::Unreadable`], [`Error::EmptyClasses`],
/// [`Error::TooDeep`], [`Error::TooMany`] for what lies in them.
fn recognise(candidate: &Candidate<'_>, _options: &OpenOptions) -> Recognised {
    let Listing { folders, .. } = candidate.listing()?;
    if folders.is_empty() {
        return Ok(None);
    }
    Ok(Some(Box::new(Folders::of(candidate.folder(), folders.clone())?)))
}

impl Folders {
    /// Lists the files of class folders. Folders inside a class and links are followed. Opens no
    /// image.
    fn of(root: &Path, folders: Vec<OsString>) -> Result<Self, Error> {
        let classes = folders.iter().map(|folder| folder.to_string_lossy().into_owned()).collect();
        let mut listed = Self { folders, classes, first: vec![0], names: Vec::new(), ends: Vec::new() };
        let mut empty = Vec::new();
        for class in 0..listed.folders.len() {
            let before = listed.ends.len();
            listed.add_class(root, class)?;
            if listed.ends.len() == before {
                empty.push(listed.classes[class].clone());
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

    /// Appends the images of a class: `sorted(os.walk(folder, followlinks=True))`, files sorted
    /// within each folder.
    fn add_class(&mut self, root: &Path, class: usize) -> Result<(), Error> {
        let top = root.join(&self.folders[class]);
        // Folders relative to the class's, as bytes with a leading slash: sorting these sorts as
        // torchvision does.
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
            let Listing { folders, files } = list(&folder)?;
            for name in folders {
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

impl Source for Folders {
    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn label(&self, image: usize) -> usize {
        self.first.partition_point(|&first| first as usize <= image).saturating_sub(1)
    }

    fn push_path(&self, image: usize, path: &mut PathBuf) {
        let start = if image == 0 { 0 } else { self.ends[image - 1] };
        let name = &self.names[start as usize..self.ends[image] as usize];
        path.push(&self.folders[self.label(image)]);
        path.push(OsStr::from_bytes(name));
    }

    fn has_class_folders(&self) -> bool {
        true
    }

    fn read(&self, _image: usize, path: &Path, bytes: &mut Vec<u8>) -> Result<(), Error> {
        read_file(path, bytes)
    }

    fn size(&self, _image: usize, path: &Path) -> Option<Result<Size, Error>> {
        Some(size_of_file(path))
    }
}
