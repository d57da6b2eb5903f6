//! Images that a run could not load and goes on without.

use std::collections::{BTreeMap, BTreeSet};

use in18_dataset::ImageSet;
use serde::{Deserialize, Serialize};

use crate::error::TrainError;

/// One image in this many may be bad. If more are, something else is wrong than a few files.
const LIMIT: usize = 100;

/// The most bad images that an error names. Of the others, only the number is said.
const NAMED: usize = 5;

/// For each set: the images that could not be loaded so far. They are part of a checkpoint, so that
/// a continued run names none twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Skipped(BTreeMap<String, BTreeSet<u32>>);

impl Skipped {
    /// Notes an image of the set called `name`. Returns whether the image is new.
    pub fn add(&mut self, name: &str, image: u32) -> bool {
        self.0.entry(name.to_owned()).or_default().insert(image)
    }

    /// How many there are in all sets.
    pub fn count(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }

    /// Checks that a set can still be used.
    ///
    /// # Errors
    /// [`TrainError::TooManyBad`] if more than one image in a hundred is bad.
    pub fn check(&self, name: &str, set: &ImageSet) -> Result<(), TrainError> {
        let Some(bad) = self.0.get(name) else { return Ok(()) };
        if bad.len() * LIMIT <= set.len() {
            return Ok(());
        }
        let mut names: Vec<String> =
            bad.iter().take(NAMED).map(|&image| set.path(image as usize).display().to_string()).collect();
        if bad.len() > NAMED {
            names.push(format!("{} more", bad.len() - NAMED));
        }
        let (images, count, names) = (set.len(), bad.len(), names.join(", "));
        Err(TrainError::TooManyBad { set: set.root().to_owned(), images, count, names })
    }
}
