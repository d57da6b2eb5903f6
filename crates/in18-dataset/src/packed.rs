//! Images in tar files, found by an index: what prepared shards and archives of others share.
//!
//! Shards are read at positions, never mapped: a shard that is cut under a running process gives
//! errors for its images instead of a signal for the process.

mod around;
mod fields;
mod index;

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use in18_image::Size;
use rustix::fs::Advice;

use crate::error::{Error, some_of};
use crate::image_file::open_image;
use crate::source::Source;
use around::Gap;

pub use index::{Checksums, Index, PackedImage, Shard};

/// Tar archives consist of blocks of this many bytes.
pub(crate) const BLOCK: u64 = 512;

/// Shards of a set that stay open. Further ones are opened for each image, which takes
/// microseconds: systems let a process have 1,024 files, and a run may have several sets.
const OPEN_SHARDS: usize = 96;

/// Shards and their index.
#[derive(Debug)]
pub(crate) struct Packed {
    folder: PathBuf,
    index: Index,
    /// The first shards, opened when they are first read.
    files: Vec<OnceLock<File>>,
    /// What lies before each image, worked out when first checked.
    gaps: OnceLock<Vec<Gap>>,
}

impl Packed {
    /// Opens the shards of an index.
    ///
    /// # Errors
    /// [`Error::Shards`] for those that are not as the index says, [`Error::Unreadable`].
    pub(crate) fn open(folder: &Path, index: Index) -> Result<Self, Error> {
        check_shards(folder, &index.shards)?;
        if index.images.is_empty() {
            return Err(Error::Shards { path: folder.to_owned(), got: "none with an image".to_owned() });
        }
        let files = (0..index.shards.len().min(OPEN_SHARDS)).map(|_| OnceLock::new()).collect();
        Ok(Self { folder: folder.to_owned(), index, files, gaps: OnceLock::new() })
    }

    /// A stretch of a shard, in the place of what `bytes` held.
    fn read_at(&self, shard: usize, offset: u64, length: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
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

impl Source for Packed {
    fn classes(&self) -> &[String] {
        &self.index.classes
    }

    fn len(&self) -> usize {
        self.index.images.len()
    }

    fn label(&self, image: usize) -> usize {
        self.index.images[image].label as usize
    }

    /// The shard's file and the image's name in it.
    fn push_path(&self, image: usize, path: &mut PathBuf) {
        let shard = self.index.images[image].shard as usize;
        path.push(&self.index.shards[shard].name);
        path.push(self.index.name(image));
    }

    fn push_name(&self, image: usize, name: &mut PathBuf) {
        name.push(self.index.name(image));
    }

    /// Checksums that the index has are compared at every read.
    fn read(&self, image: usize, path: &Path, bytes: &mut Vec<u8>) -> Result<(), Error> {
        let PackedImage { shard, offset, length, checksums, .. } = self.index.images[image];
        let read = self.read_at(shard as usize, offset, length as usize, bytes);
        read.map_err(|error| Error::reading(path, error))?;
        let Some(checksums) = checksums else { return Ok(()) };
        let got = crc32c::crc32c(bytes);
        if got != checksums.image {
            return Err(Error::Changed { path: path.to_owned(), expected: checksums.image, got });
        }
        Ok(())
    }

    fn size(&self, image: usize, _path: &Path) -> Option<Result<Size, Error>> {
        self.index.images[image].size.map(Ok)
    }

    fn stored_order(&self) -> Vec<u32> {
        let images = &self.index.images;
        let mut order: Vec<u32> = (0..images.len() as u32).collect();
        order.sort_by_key(|&image| (images[image as usize].shard, images[image as usize].offset));
        order
    }

    fn fetch(&self, images: &[u32]) {
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

    fn check_around(&self, image: usize, bytes: &mut Vec<u8>) -> Result<(), String> {
        let gap = &self.gaps.get_or_init(|| around::gaps(&self.index.images))[image];
        let image = &self.index.images[image];
        let shard = image.shard as usize;
        around::check(image, gap, &self.index.shards[shard], |start, length| {
            self.read_at(shard, start, length as usize, bytes)?;
            Ok(crc32c::crc32c(bytes))
        })
    }

    /// Shards hold no image where none could be read when they were prepared.
    fn check_without_images(&self) -> Vec<Error> {
        let mut has_images = vec![false; self.index.shards.len()];
        self.index.images.iter().for_each(|image| has_images[image.shard as usize] = true);
        let mut bytes = Vec::new();
        let mut found = Vec::new();
        for (number, shard) in self.index.shards.iter().enumerate().filter(|(number, _)| !has_images[*number]) {
            let path = self.folder.join(&shard.name);
            match (self.read_at(number, 0, shard.bytes as usize, &mut bytes), shard.end) {
                (Err(source), _) => found.push(Error::Unreadable { path, source }),
                (Ok(()), Some(end)) if crc32c::crc32c(&bytes) != end => {
                    found.push(Error::Around { path, got: "another shard than was written".to_owned() });
                }
                (Ok(()), _) => {}
            }
        }
        found
    }
}

/// Compares lengths, and times where they are known.
///
/// # Errors
/// [`Error::Shards`], [`Error::Unreadable`].
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
