//! Reading event files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use prost::Message;

use super::message::{Event, SESSION_START, What};
use super::record::{self, Next};

/// One value of one tag.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar {
    /// Such as `losses/xent`.
    pub tag: String,
    /// Of the training.
    pub step: i64,
    /// Seconds since 1970.
    pub wall_time: f64,
    /// The value.
    pub value: f64,
}

/// Why a file gave no scalars. One line each.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// The system does not let it be read.
    #[error("{path}: expected to read TensorBoard events, got: {cause}; check --events")]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A folder without event files.
    #[error("{path}: expected files events.out.tfevents.* in it, got none; give --events a run's folder")]
    NoFiles {
        /// The folder.
        path: PathBuf,
    },
    /// A record that is not as it was written.
    #[error(
        "{path}: expected a whole record at byte {offset}, got a damaged one: {reason}; take the file out of the folder, or give --events another"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the record begins.
        offset: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Read {
    /// In the file's order; what a later start of a session replaces is left out.
    pub scalars: Vec<Scalar>,
    /// The first step of each session that starts in it.
    pub starts: Vec<i64>,
    /// Whether it ends within a record, as that of a run under way may.
    pub is_partial: bool,
}

/// The scalars of a file or folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scalars {
    /// In order.
    pub all: Vec<Scalar>,
    /// Files that end within a record.
    pub partial: Vec<PathBuf>,
}

/// Reads the scalars of a file, or of all event files of a folder, in the order of their names, which begin with the time.
/// A last record that is cut short is no mistake: a run under way is writing it.
///
/// # Errors
/// [`EventError`].
pub fn read_scalars(path: &Path) -> Result<Scalars, EventError> {
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        files = list(path).map_err(|cause| EventError::Unreadable { path: path.to_owned(), cause })?;
        if files.is_empty() {
            return Err(EventError::NoFiles { path: path.to_owned() });
        }
    }
    let mut read = Scalars::default();
    for file in files {
        let Read { scalars, starts, is_partial } = read_file(&file)?;
        for start in starts {
            read.all.retain(|scalar| scalar.step < start);
        }
        read.all.extend(scalars);
        if is_partial {
            read.partial.push(file);
        }
    }
    Ok(read)
}

/// The event files of a folder, by name.
///
/// # Errors
/// The system's.
pub fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("events.out.tfevents.") {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// Reads one file.
///
/// # Errors
/// [`EventError::Unreadable`], [`EventError::Damaged`].
pub fn read_file(path: &Path) -> Result<Read, EventError> {
    let bytes = fs::read(path).map_err(|cause| EventError::Unreadable { path: path.to_owned(), cause })?;
    parse(&bytes).map_err(|(offset, reason)| EventError::Damaged { path: path.to_owned(), offset, reason })
}

/// The scalars in a file's bytes.
///
/// # Errors
/// The byte at which a damaged record begins, and what is wrong with it.
pub fn parse(bytes: &[u8]) -> Result<Read, (usize, String)> {
    let mut read = Read::default();
    let mut offset = 0;
    loop {
        match record::next(&bytes[offset..]) {
            Next::End => return Ok(read),
            Next::Partial => {
                read.is_partial = true;
                return Ok(read);
            }
            Next::Damaged(reason) => return Err((offset, reason.to_owned())),
            Next::Record { content, length } => {
                let event = Event::decode(content).map_err(|error| (offset, error.to_string().replace('\n', " ")))?;
                read.take_in(event);
                offset += length;
            }
        }
    }
}

impl Read {
    fn take_in(&mut self, event: Event) {
        let Event { wall_time, step, what } = event;
        match what {
            Some(What::Summary(summary)) => {
                let scalars = summary.value.into_iter().filter_map(|value| {
                    let scalar = value.scalar()?;
                    Some(Scalar { tag: value.tag, step, wall_time, value: scalar })
                });
                self.scalars.extend(scalars);
            }
            Some(What::SessionLog(log)) if log.status == SESSION_START => {
                self.scalars.retain(|scalar| scalar.step < step);
                self.starts.push(step);
            }
            _ => {}
        }
    }
}
