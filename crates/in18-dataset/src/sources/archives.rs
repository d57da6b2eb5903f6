//! Tar archives that came without an index of ours: WebDataset's shards, an archive a class, an
//! archive of such archives.
//!
//! A label is what a sample's `.cls` says, a number or a class's name. Where an archive has none,
//! its images are of the class that the archive is named after, unless there is a list of labels
//! (`truth.rs`). The archives are listed once; the list is kept as an index.

mod gather;
mod labels;
mod mat;
mod members;
mod samples;
mod truth;
mod window;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use in18_system::WholeFile;

use crate::error::Error;
use crate::fingerprint::hex_digest;
use crate::location::Location;
use crate::packed::{Index, Packed, Shard, modified_nanoseconds};
use crate::source::{Candidate, Kind, OpenOptions, Recognised};

pub use members::{Member, members};

pub(super) const KIND: Kind = Kind { archives: Some(ENDING), recognise };

const ENDING: &str = ".tar";

fn recognise(candidate: &Candidate<'_>, options: &OpenOptions) -> Recognised {
    let files = candidate.archives(ENDING)?;
    if files.is_empty() {
        return Ok(None);
    }
    let index = index(candidate.location, &files, options)?;
    Ok(Some(Box::new(Packed::open(candidate.folder(), index)?)))
}

/// The index of the archives `files`: from the last time, if they have not changed since, or made
/// now.
fn index(location: &Location, files: &[OsString], options: &OpenOptions) -> Result<Index, Error> {
    let shards = files.iter().map(|file| shard(&location.folder, file)).collect::<Result<Vec<_>, _>>()?;
    let kept = kept_index(location, options.cache.as_deref());
    // A list of labels may have come since.
    if options.ground_truth.is_none()
        && !truth::Truth::is_beside(&location.folder)
        && let Some(index) =
            kept.as_ref().and_then(|path| fs::read(path).ok()).and_then(|text| Index::parse(&text).ok())
        && index.shards == shards
    {
        return Ok(index);
    }
    let (index, is_whole) = gather::gather(location, shards, options.ground_truth.as_deref())?;
    if is_whole && let Some(path) = kept {
        // Where nothing can be written, the next run lists again.
        let _ = path.parent().map_or(Ok(()), fs::create_dir_all);
        let _ = WholeFile::resumable(&path).and_then(|kept| kept.write(index.text().as_bytes()));
    }
    Ok(index)
}

/// Where the index of such archives is kept.
fn kept_index(location: &Location, cache: Option<&Path>) -> Option<PathBuf> {
    let ending = location.half.map_or_else(String::new, |half| format!("{half}."));
    let Some(cache) = cache else {
        return Some(location.folder.join(format!(".{ending}index.tsv")));
    };
    let folder = fs::canonicalize(&location.folder).ok()?;
    let hash = hex_digest(folder.as_os_str().as_encoded_bytes());
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
