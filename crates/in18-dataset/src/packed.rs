//! Images in tar shards: a folder of them with their index.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind};
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::Advice;

use crate::error::{Error, some_of};
use crate::folders::list;
use crate::index::{Index, PackedImage, Shard};
use crate::open::open_image;
use crate::place::Place;
use crate::prepare::NOTE;
use crate::set::OpenOptions;
use crate::tars;

/// The index of prepared shards, beside them.
pub(crate) const INDEX: &str = "index.tsv";

/// Shards of a set that stay open. More are opened for each image, which takes microseconds: systems let a process have 1,024
/// files, and a run may have several sets.
const OPEN_SHARDS: usize = 96;

/// Shards and their index.
#[derive(Debug)]
pub(crate) struct Packed {
    folder: PathBuf,
    index: Index,
    /// Images of each class.
    class_lens: Vec<usize>,
    /// The first shards, opened when they are first read.
    files: Vec<OnceLock<File>>,
}

/// The index of the shards that lie in a place, if any do: that of prepared ones, or one that is made.
pub(crate) fn index(place: &Place, options: &OpenOptions) -> Result<Option<Index>, Error> {
    let path = place.folder.join(INDEX);
    match File::open(&path).and_then(|file| Index::read(BufReader::new(file))) {
        Ok(index) => return index.map(Some).map_err(|source| Error::Index { path, source }),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
        Err(source) => return Err(Error::Unreadable { path, source }),
    }
    let files = archives(place, ".tar")?;
    if files.is_empty() {
        return Ok(None);
    }
    if place.folder.join(NOTE).exists() {
        return Err(Error::Unfinished { path: place.folder.clone() });
    }
    tars::index(place, &files, options).map(Some)
}

/// The files of a place with this ending. None where there are folders: archives may lie beside what they were unpacked to.
pub(crate) fn archives(place: &Place, ending: &str) -> Result<Vec<OsString>, Error> {
    let (folders, mut files) = list(&place.folder)?;
    files.retain(|file| file.to_str().is_some_and(|name| name.ends_with(ending) && place.has(name)));
    Ok(if folders.is_empty() || place.part.is_some() { files } else { Vec::new() })
}

impl Packed {
    /// Opens the shards of an index and gives their classes.
    ///
    /// # Errors
    /// [`Error::Shards`] for those that are not as the index says.
    pub(crate) fn open(folder: &Path, mut index: Index) -> Result<(Self, Vec<String>), Error> {
        check_shards(folder, &index.shards)?;
        if index.images.is_empty() {
            return Err(Error::Shards { path: folder.to_owned(), got: "none with an image".to_owned() });
        }
        let classes = std::mem::take(&mut index.classes);
        let mut class_lens = vec![0; classes.len()];
        index.images.iter().for_each(|image| class_lens[image.label as usize] += 1);
        let files = (0..index.shards.len().min(OPEN_SHARDS)).map(|_| OnceLock::new()).collect();
        Ok((Self { folder: folder.to_owned(), index, class_lens, files }, classes))
    }

    /// Without the names of the classes, which are the set's.
    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    pub(crate) fn class_len(&self, label: usize) -> usize {
        self.class_lens[label]
    }

    /// Appends the shard's file and an image's name in it to `path`.
    pub(crate) fn push_path(&self, image: usize, path: &mut PathBuf) {
        let shard = self.index.images[image].shard as usize;
        path.push(&self.index.shards[shard].name);
        path.push(self.index.name(image));
    }

    /// An image's bytes, in the place of what `bytes` held.
    ///
    /// # Errors
    /// [`Error::Vanished`], [`Error::Unreadable`], [`Error::Changed`].
    pub(crate) fn read(&self, image: usize, bytes: &mut Vec<u8>) -> Result<(), Error> {
        let PackedImage { shard, offset, length, checksums, .. } = self.index.images[image];
        let path = || {
            let mut path = self.folder.clone();
            self.push_path(image, &mut path);
            path
        };
        self.read_at(shard as usize, offset, length as usize, bytes).map_err(|error| Error::reading(&path(), error))?;
        let Some(checksums) = checksums else { return Ok(()) };
        let got = crc32c::crc32c(bytes);
        if got != checksums.image {
            return Err(Error::Changed { path: path(), expected: checksums.image, got });
        }
        Ok(())
    }

    /// A stretch of a shard, in the place of what `bytes` held.
    pub(crate) fn read_at(&self, shard: usize, offset: u64, length: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
        bytes.resize(length, 0);
        let done = match self.kept_open(shard) {
            Some(file) => file.and_then(|file| file.read_exact_at(bytes, offset)),
            None => self.open_shard(shard).and_then(|file| file.read_exact_at(bytes, offset)),
        };
        done.map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => {
                io::Error::other(format!("the shard's end before byte {}", offset + length as u64))
            }
            _ => error,
        })
    }

    /// Asks the system to read stretches of shards ahead.
    pub(crate) fn fetch(&self, images: &[u32]) {
        let images = images.iter().map(|&image| &self.index.images[image as usize]);
        let mut images = images.peekable();
        while let Some(first) = images.next() {
            let mut last = first;
            while let Some(next) = images.next_if(|next| next.shard == first.shard && next.offset > last.offset) {
                last = next;
            }
            let length = last.offset + u64::from(last.length) - first.offset;
            let shard = first.shard as usize;
            let fetch =
                |file: &File| rustix::fs::fadvise(file, first.offset, NonZeroU64::new(length), Advice::WillNeed);
            // A system that will not is as good as one that has.
            let _ = match self.kept_open(shard) {
                Some(file) => file.map(fetch),
                None => self.open_shard(shard).map(|file| fetch(&file)),
            };
        }
    }

    /// A shard that stays open, if it is one of those.
    fn kept_open(&self, shard: usize) -> Option<io::Result<&File>> {
        let slot = self.files.get(shard)?;
        if let Some(file) = slot.get() {
            return Some(Ok(file));
        }
        // Two threads may both open it; one of their handles stays.
        Some(self.open_shard(shard).map(|file| slot.get_or_init(|| file)))
    }

    fn open_shard(&self, shard: usize) -> io::Result<File> {
        open_image(&self.folder.join(&self.index.shards[shard].name))
    }
}

/// Whether a file is one that images may be packed in, by its name.
pub(crate) fn is_archive(file: &str) -> bool {
    file.ends_with(".tar") || file.ends_with(".parquet")
}

/// Compares lengths, and times where they are known.
pub(crate) fn check_shards(folder: &Path, shards: &[Shard]) -> Result<(), Error> {
    let mut wrong = Vec::new();
    for Shard { name, bytes, modified, .. } in shards {
        match fs::metadata(folder.join(name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => wrong.push(format!("no {name}")),
            Err(source) => return Err(Error::Unreadable { path: folder.join(name), source }),
            Ok(found) if found.len() != *bytes => {
                wrong.push(format!("{name} of {} bytes in place of {bytes}", found.len()));
            }
            Ok(found) if modified.is_some_and(|time| time != modified_nanoseconds(&found)) => {
                wrong.push(format!("{name} changed"));
            }
            Ok(_) => {}
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Error::Shards { path: folder.to_owned(), got: some_of(&wrong) }) }
}

/// A file's time of modification since 1970.
pub(crate) fn modified_nanoseconds(found: &fs::Metadata) -> i64 {
    found.mtime().saturating_mul(1_000_000_000).saturating_add(found.mtime_nsec())
}
