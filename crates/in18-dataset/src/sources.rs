//! All kinds of sources, and which of them a folder holds.
//!
//! A new kind is a file in `sources/` that implements [`Source`], and a line in [`KINDS`]. A source
//! knows the trait and shared helpers, never another source or who uses it.

mod archives;
mod folders;
pub(crate) mod shards;
mod tables;

use crate::error::Error;
use crate::location::Location;
use crate::source::{Candidate, Kind, OpenOptions, Source};

pub use archives::{Member, members};

/// In the order in which they are asked whether a folder is theirs.
const KINDS: [Kind; 4] = [shards::KIND, archives::KIND, tables::KIND, folders::KIND];

/// Opens what lies in a location.
///
/// # Errors
/// What is wrong with it, by the first kind that takes it for its own; [`Error::NoClasses`] where
/// none does.
pub(crate) fn open(location: &Location, options: &OpenOptions) -> Result<Box<dyn Source>, Error> {
    let candidate = Candidate::new(location);
    for kind in KINDS {
        if let Some(source) = (kind.recognise)(&candidate, options)? {
            return Ok(source);
        }
    }
    let got = candidate.listing()?.without_folders();
    Err(Error::NoClasses { path: location.folder.clone(), got })
}

/// Whether a file is one that many images may lie in, by its name.
pub(crate) fn is_archive(file: &str) -> bool {
    KINDS.iter().any(|kind| kind.archives.is_some_and(|ending| file.ends_with(ending)))
}
