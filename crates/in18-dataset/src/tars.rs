//! Tar archives that came without an index of ours: WebDataset's shards, an archive a class, an archive of such archives.
//!
//! A label is what a sample's `.cls` says, a number or a class's name. Where an archive has none, its images are of the class
//! that the archive is named after; unless a list of labels is there ([`truth`]).

mod gather;
mod labels;
mod mat;
mod members;
mod truth;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use in18_system::WholeFile;

use crate::error::Error;
use crate::index::{Index, Shard};
use crate::packed::modified_nanoseconds;
use crate::place::Place;
use crate::set::OpenOptions;

pub(crate) use labels::MAX_CLASSES;
pub use members::{Member, members};

/// The index of the archives `files` in a folder: from the last time, if they have not changed since, or made now.
pub(crate) fn index(place: &Place, files: &[OsString], options: &OpenOptions) -> Result<Index, Error> {
    let shards = files.iter().map(|file| shard(&place.folder, file)).collect::<Result<Vec<_>, _>>()?;
    let kept = kept_index(place, options.cache.as_deref());
    // A list of labels may have come since.
    if options.ground_truth.is_none()
        && !truth::Truth::is_beside(&place.folder)
        && let Some(index) =
            kept.as_ref().and_then(|path| fs::read(path).ok()).and_then(|text| Index::parse(&text).ok())
        && index.shards == shards
    {
        return Ok(index);
    }
    let (index, is_whole) = gather::gather(place, shards, options.ground_truth.as_deref())?;
    if is_whole && let Some(path) = kept {
        // Where nothing can be written, the next run lists again.
        let _ = path.parent().map_or(Ok(()), fs::create_dir_all);
        let _ = WholeFile::resumable(&path).and_then(|kept| kept.write(index.text().as_bytes()));
    }
    Ok(index)
}

/// Where the index of such archives is kept.
fn kept_index(place: &Place, cache: Option<&Path>) -> Option<PathBuf> {
    let ending = place.part.map_or_else(String::new, |half| format!("{half}."));
    let Some(cache) = cache else {
        return Some(place.folder.join(format!(".{ending}index.tsv")));
    };
    let folder = fs::canonicalize(&place.folder).ok()?;
    let hash = crate::fingerprint::hex_digest(folder.as_os_str().as_encoded_bytes());
    Some(cache.join(format!("{hash}.{ending}index.tsv")))
}

fn shard(folder: &Path, file: &OsString) -> Result<Shard, Error> {
    let path = folder.join(file);
    let found = fs::metadata(&path).map_err(|source| Error::Unreadable { path: path.clone(), source })?;
    match file.to_str() {
        Some(name) if !name.contains(char::is_control) => Ok(Shard {
            name: name.to_owned(),
            bytes: found.len(),
            modified: Some(modified_nanoseconds(&found)),
            end: None,
        }),
        _ => Err(Error::Archive { path, expected: "a file name that is text", got: "other bytes".to_owned() }),
    }
}

/// Archives consist of blocks of so many bytes.
pub(crate) const BLOCK: u64 = 512;

/// A stretch of a file that is read as if it were all of it.
struct Window<'a> {
    file: &'a File,
    start: u64,
    length: u64,
    at: u64,
}

impl<'a> Window<'a> {
    fn new(file: &'a File, start: u64, length: u64) -> Self {
        Self { file, start, length, at: 0 }
    }
}

impl io::Read for Window<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(self.at);
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = std::os::unix::fs::FileExt::read_at(self.file, &mut buffer[..most], self.start + self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl io::Seek for Window<'_> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let at = match to {
            io::SeekFrom::Start(at) => Some(at),
            io::SeekFrom::Current(by) => self.at.checked_add_signed(by),
            io::SeekFrom::End(by) => self.length.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
