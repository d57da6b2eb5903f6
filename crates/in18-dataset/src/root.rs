//! Where training and validation images lie: the data path, and what a phase appends to it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::error::{Error, some_of};
use crate::listing::{Listing, list};
use crate::location::{Half, Location};
use crate::set::ImageSet;
use crate::sources::is_archive;

/// The data path as the user gave it. A phase appends its suffix to the text, not as a folder:
/// `/data/imagenet` + `-sz/160` is `/data/imagenet-sz/160`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataRoot {
    data: PathBuf,
}

impl DataRoot {
    /// Takes the data path. Slashes at its end are dropped, so that suffixes append as they do
    /// without them.
    pub fn new(data: impl AsRef<Path>) -> Self {
        let data = data.as_ref();
        // `components` drops slashes at the end and keeps a lone root.
        Self { data: data.components().collect() }
    }

    /// The data path with a phase's suffix appended.
    pub fn with_suffix(&self, suffix: &str) -> PathBuf {
        if suffix.is_empty() {
            return self.data.clone();
        }
        let mut path = OsString::from(&self.data);
        path.push(suffix);
        PathBuf::from(path)
    }

    /// Where the training images lie: `DATA + suffix/train`, or archives in `DATA + suffix` with
    /// "train" in their names.
    ///
    /// # Errors
    /// [`Error::NoData`], [`Error::NotAFolder`], [`Error::Unreadable`], [`Error::NoSplit`].
    pub fn train(&self, suffix: &str) -> Result<Location, Error> {
        half(self.with_suffix(suffix), Half::Train, &["train"], "train/CLASS/* or archives with `train` in their names")
    }

    /// Where the validation images lie: `DATA + suffix/validation`, or else `DATA + suffix/val`, or
    /// archives with "val" in their names.
    ///
    /// # Errors
    /// As [`train`](Self::train).
    pub fn validation(&self, suffix: &str) -> Result<Location, Error> {
        half(
            self.with_suffix(suffix),
            Half::Validation,
            &["validation", "val"],
            "validation/CLASS/*, val/CLASS/* or archives with `val` in their names",
        )
    }
}

/// Refuses sets whose classes differ: equal labels would mean different things.
///
/// # Errors
/// [`Error::DifferentClasses`], naming the classes that only one of them has.
pub fn check_same_classes(train: &ImageSet, validation: &ImageSet) -> Result<(), Error> {
    if train.classes() == validation.classes() {
        return Ok(());
    }
    let only_in = |one: &ImageSet, other: &ImageSet| {
        let names: Vec<String> =
            one.classes().iter().filter(|class| !other.classes().contains(class)).cloned().collect();
        some_of(&names)
    };
    Err(Error::DifferentClasses {
        train: train.root().to_owned(),
        validation: validation.root().to_owned(),
        only_train: only_in(train, validation),
        only_validation: only_in(validation, train),
    })
}

fn half(path: PathBuf, half: Half, names: &[&str], expected: &'static str) -> Result<Location, Error> {
    let listing = list(&path)?;
    let Listing { folders, files } = &listing;
    if let Some(name) = names.iter().find(|name| folders.iter().any(|f| f == OsStr::new(name))) {
        return Ok(path.join(name).into());
    }
    if files.iter().filter_map(|file| file.to_str()).any(|file| is_archive(file) && half.has(file)) {
        return Ok(Location { folder: path, half: Some(half) });
    }
    let got = if folders.is_empty() {
        listing.without_folders()
    } else {
        let folders: Vec<String> = folders.iter().map(|f| f.to_string_lossy().into_owned()).collect();
        format!("the folders {}", some_of(&folders))
    };
    Err(Error::NoSplit { path, expected, got })
}
