//! What can be wrong with a data set.

use std::io;
use std::path::{Path, PathBuf};

/// Why a data set cannot be used: what was expected where, what is there, what to change. Each is
/// one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data folder itself is not there.
    #[error(
        "{path}: expected a folder with train/CLASS/* and validation/CLASS/* or val/CLASS/*, got nothing there: check \
         the data path and the phase's trndir and valdir, which are appended to it"
    )]
    NoData {
        /// `DATA + suffix`.
        path: PathBuf,
    },
    /// The data folder lacks its half for training or for validation.
    #[error("{path}: expected {expected} in it, got {got}: move the images there, or change the data path")]
    NoSplit {
        /// `DATA + suffix`.
        path: PathBuf,
        /// Such as "validation/CLASS/* or val/CLASS/*".
        expected: &'static str,
        /// What the folder holds.
        got: String,
    },
    /// Something that is no folder stands where one was expected.
    #[error("{path}: expected a folder, got a file: give the folder that holds it")]
    NotAFolder {
        /// Where.
        path: PathBuf,
    },
    /// A folder or file that the system does not let us read.
    #[error("{path}: expected to read it, got: {source}")]
    Unreadable {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An image that was listed and is gone.
    #[error("{path}: expected to read an image, got nothing there: it has vanished since the images were listed")]
    Vanished {
        /// The file.
        path: PathBuf,
    },
    /// A folder without class folders.
    #[error(
        "{path}: expected a folder for each class, got {got}: put the images of each class into a folder of its own"
    )]
    NoClasses {
        /// The training or validation folder.
        path: PathBuf,
        /// "an empty folder" or how many files lie there.
        got: String,
    },
    /// Class folders without images.
    #[error("{path}: expected images in every class folder, got none in {classes}: add images or remove the folders")]
    EmptyClasses {
        /// The training or validation folder.
        path: PathBuf,
        /// The first of their names, and how many more.
        classes: String,
    },
    /// Training and validation do not have the same classes, so equal labels would not mean the
    /// same.
    #[error(
        "expected the same class folders in {train} and {validation}, got {only_train} only in the first and \
         {only_validation} only in the second: rename, add or remove folders until they agree"
    )]
    DifferentClasses {
        /// The training folder.
        train: PathBuf,
        /// The validation folder.
        validation: PathBuf,
        /// The first names, or "none".
        only_train: String,
        /// The first names, or "none".
        only_validation: String,
    },
    /// Folders inside a class folder that go on and on: a link that leads back into itself.
    #[error(
        "{path}: expected at most {limit} folders inside each other in a class, got more: remove the link that leads back"
    )]
    TooDeep {
        /// The first folder that is too deep.
        path: PathBuf,
        /// The limit.
        limit: usize,
    },
    /// More images than an index of 32 bits can tell apart.
    #[error("{path}: expected at most {} images, got more", u32::MAX)]
    TooMany {
        /// The training or validation folder.
        path: PathBuf,
    },
    /// A file that is no image that is read here.
    #[error("{path}: {source}")]
    Image {
        /// The file.
        path: PathBuf,
        /// What was expected and what came.
        source: in18_image::Error,
    },
    /// Bytes in a shard that are not those that were written.
    #[error(
        "{path}: expected checksum {expected:08x}, got {got:08x}: the shard has changed; copy it anew, or remove the set and prepare it again"
    )]
    Changed {
        /// The shard, and the image in it.
        path: PathBuf,
        /// CRC-32C as the index has it.
        expected: u32,
        /// CRC-32C of what was read.
        got: u32,
    },
    /// Shards whose preparation was stopped.
    #[error(
        "{path}: expected index.tsv beside the shards, got an unfinished preparation: run `imagenet18 data prepare` again"
    )]
    Unfinished {
        /// The folder of the shards.
        path: PathBuf,
    },
    /// What lies around an image in a shard is not what was written.
    #[error(
        "{path}: expected the shard around it as it was written, got {got}: copy it anew, or remove the set and prepare it again"
    )]
    Around {
        /// The shard, and the image in it.
        path: PathBuf,
        /// What differs.
        got: String,
    },
    /// An index that says nothing that can be used.
    #[error("{path}, {source}: copy it anew, or remove the set and prepare it again")]
    Index {
        /// The index.
        path: PathBuf,
        /// Where and what.
        source: IndexError,
    },
    /// A set for training whose images can only be read in their order.
    #[error(
        "{path}: expected images that can be read in any order, got Parquet tables: make shards of them with `imagenet18 data \
         prepare`"
    )]
    Sequential {
        /// The folder.
        path: PathBuf,
    },
    /// Shards that are not as their index says.
    #[error(
        "{path}: expected the shards of its index, got {got}: copy them anew, or remove the set and prepare it again"
    )]
    Shards {
        /// The folder of the shards.
        path: PathBuf,
        /// The first of those that do not fit, and what is wrong with each.
        got: String,
    },
    /// A file that is no archive or table of images and labels.
    #[error("{path}: expected {expected}, got {got}: mend or remove it")]
    Archive {
        /// The file, or its folder.
        path: PathBuf,
        /// What such a file has.
        expected: &'static str,
        /// What came.
        got: String,
    },
}

/// Why a text is no index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: expected {expected}, got {got}")]
pub struct IndexError {
    /// From 1.
    pub line: usize,
    /// What an index has there.
    pub expected: &'static str,
    /// What came.
    pub got: String,
}

impl Error {
    /// For a file that could not be read.
    pub(crate) fn reading(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::Vanished { path },
            _ => Self::Unreadable { path, source },
        }
    }
}

/// The first few of `names` for a message, and how many more there are.
pub(crate) fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 5;
    match names.len() {
        0 => "none".to_owned(),
        n if n <= SHOWN => names.join(", "),
        n => format!("{} and {} more", names[..SHOWN].join(", "), n - SHOWN),
    }
}
