//! The image sets that a plan's folders name, listed once each.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use in18_dataset::{DataRoot, ImageSet, check_same_classes};
use in18_loader::Size;
use in18_recipe::Phases;

use crate::error::TrainError;

/// Training and validation sets by the suffix that a phase appends to the data path. All have the same classes.
pub struct Data {
    train: BTreeMap<String, Arc<ImageSet>>,
    validation: BTreeMap<String, Arc<ImageSet>>,
    /// Sizes of validation images, read when rectangular validation first needs them.
    sizes: BTreeMap<String, Vec<Size>>,
}

impl Data {
    /// Lists the folders that phases name. Opens no image.
    ///
    /// # Errors
    /// What is missing, empty or unreadable, and folders whose classes differ.
    pub fn open(data: &Path, phases: &Phases) -> Result<Self, TrainError> {
        let root = DataRoot::new(data);
        let mut train = BTreeMap::new();
        for suffix in phases.train_dirs() {
            train.insert(suffix.to_owned(), Arc::new(ImageSet::open(root.train(suffix)?)?));
        }
        let mut validation = BTreeMap::new();
        for suffix in phases.val_dirs() {
            validation.insert(suffix.to_owned(), Arc::new(ImageSet::open(root.validation(suffix)?)?));
        }
        let mut sets = train.values().chain(validation.values());
        if let Some(first) = sets.next() {
            for set in sets {
                check_same_classes(first, set)?;
            }
        }
        Ok(Data { train, validation, sizes: BTreeMap::new() })
    }

    /// Names of the classes, by label.
    pub fn classes(&self) -> &[String] {
        self.train.values().next().map_or(&[], |set| set.classes())
    }

    /// How many training images there are, by suffix.
    pub fn train_images(&self) -> BTreeMap<String, usize> {
        self.train.iter().map(|(suffix, set)| (suffix.clone(), set.len())).collect()
    }

    /// Suffixes of the training sets.
    pub fn train_suffixes(&self) -> Vec<&str> {
        self.train.keys().map(String::as_str).collect()
    }

    /// Suffixes of the validation sets.
    pub fn validation_suffixes(&self) -> Vec<&str> {
        self.validation.keys().map(String::as_str).collect()
    }

    /// A training set, by a suffix that the phases name.
    pub fn train(&self, suffix: &str) -> &Arc<ImageSet> {
        &self.train[suffix]
    }

    /// A validation set, by a suffix that the phases name.
    pub fn validation(&self, suffix: &str) -> &Arc<ImageSet> {
        &self.validation[suffix]
    }

    /// Widths and heights of a validation set's images, from their headers.
    ///
    /// # Errors
    /// The first file that is no image.
    pub fn validation_sizes(&mut self, suffix: &str, threads: NonZeroUsize) -> Result<&[Size], TrainError> {
        if !self.sizes.contains_key(suffix) {
            let sizes = self.validation[suffix].sizes(threads)?;
            self.sizes.insert(suffix.to_owned(), sizes);
        }
        Ok(&self.sizes[suffix])
    }
}
