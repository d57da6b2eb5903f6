//! Shards that `data prepare` made: tar files and `index.tsv`, which is written when all of them
//! are whole.

use std::fs::File;
use std::io::{BufReader, ErrorKind};

use crate::error::Error;
use crate::packed::{Index, Packed};
use crate::source::{Candidate, Kind, OpenOptions, Recognised};

pub(super) const KIND: Kind = Kind { archives: Some(ENDING), recognise };

/// The index, beside the shards.
pub(crate) const INDEX: &str = "index.tsv";

/// Notes in a prepared folder what it was prepared with. Hidden, so that it is no image.
pub(crate) const NOTE: &str = ".prepared-by-imagenet18";

const ENDING: &str = ".tar";

/// Takes folders with an index, and refuses those of an unfinished preparation.
fn recognise(candidate: &Candidate<'_>, _options: &OpenOptions) -> Recognised {
    let folder = candidate.folder();
    let path = folder.join(INDEX);
    match File::open(&path).and_then(|file| Index::read(BufReader::new(file))) {
        Ok(index) => {
            let index = index.map_err(|source| Error::Index { path, source })?;
            Ok(Some(Box::new(Packed::open(folder, index)?)))
        }
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            if !candidate.archives(ENDING)?.is_empty() && folder.join(NOTE).exists() {
                return Err(Error::Unfinished { path: folder.to_owned() });
            }
            Ok(None)
        }
        Err(source) => Err(Error::Unreadable { path, source }),
    }
}
