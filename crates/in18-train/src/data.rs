//! The image sets that a plan's folders name. Each set is listed once.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use in18_dataset::{DataRoot, ImageSet, OpenOptions, check_same_classes};
use in18_loader::{self as loader, Augmentation, Mixing, Size};
use in18_recipe::{Augment, EpochPlan, EvaluationSize, Flip, Jitter, Recipe, Shuffle, Tta};
use in18_record::DataChange;

use crate::error::TrainError;

/// Training and validation sets by the suffix that a phase appends to the data path. All have the
/// same classes.
pub struct Data {
    path: PathBuf,
    train: BTreeMap<String, Arc<ImageSet>>,
    validation: BTreeMap<String, Arc<ImageSet>>,
    /// Sizes of validation images, read when rectangular validation first needs them. `None` for an
    /// image whose size cannot be read.
    sizes: BTreeMap<String, Vec<Option<Size>>>,
}

impl Data {
    /// Opens the sets that a recipe's phases name. Opens no image. Whether images are turned as their
    /// EXIF orientation says, the recipe decides.
    ///
    /// # Errors
    /// Folders that are missing, empty or unreadable, and folders whose classes differ.
    pub fn open(data: &Path, recipe: &Recipe, options: &OpenOptions) -> Result<Self, TrainError> {
        let options = OpenOptions { exif: recipe.data.exif, ..options.clone() };
        let open = |place| ImageSet::open_with(place, &options).map(Arc::new);
        let root = DataRoot::new(data);
        let mut train = BTreeMap::new();
        for suffix in recipe.phases.train_dirs() {
            train.insert(suffix.to_owned(), open(root.train(suffix)?)?);
        }
        let mut validation = BTreeMap::new();
        for suffix in recipe.phases.val_dirs() {
            validation.insert(suffix.to_owned(), open(root.validation(suffix)?)?);
        }
        let mut sets = train.values().chain(validation.values());
        if let Some(first) = sets.next() {
            for set in sets {
                check_same_classes(first, set)?;
            }
        }
        Ok(Data { path: data.to_owned(), train, validation, sizes: BTreeMap::new() })
    }

    /// The data path. Phases append their suffixes to it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether images are turned as their EXIF orientation says.
    pub fn exif(&self) -> bool {
        self.train.values().any(|set| set.exif())
    }

    /// Names of the classes, by label.
    pub fn classes(&self) -> &[String] {
        self.train.values().next().map_or(&[], |set| set.classes())
    }

    /// How many training images each class has, by label: those of the first set, if a size has
    /// images of its own.
    pub fn class_images(&self) -> Vec<usize> {
        let first = self.train.values().next();
        first.map_or_else(Vec::new, |set| (0..set.classes().len()).map(|label| set.class_len(label)).collect())
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

    /// The images that `epoch` of a recipe's plan and later epochs read, for the logs.
    pub fn change(&self, recipe: &Recipe, epoch: &EpochPlan) -> DataChange {
        let evaluate = &recipe.evaluate;
        DataChange {
            epoch: epoch.epoch,
            size: epoch.size,
            batch: epoch.batch,
            val_batch: epoch.val_batch,
            train_dir: self.train(&epoch.train_dir).root().display().to_string(),
            val_dir: self.validation(&epoch.val_dir).root().display().to_string(),
            min_scale: epoch.min_scale,
            rect_val: epoch.rect_val,
            val_size: (evaluate.size != EvaluationSize::Training).then_some(epoch.val_size),
            val_crop: evaluate.crop.share(),
            tta: (evaluate.tta != Tta::None).then(|| evaluate.tta.to_string()),
        }
    }

    /// Widths and heights of a validation set's images, from their headers. Images without a
    /// readable size come with their errors, but only the first time that the sizes are read.
    pub fn validation_sizes(
        &mut self,
        suffix: &str,
        threads: NonZeroUsize,
    ) -> (&[Option<Size>], Vec<(u32, in18_dataset::Error)>) {
        let mut bad = Vec::new();
        if !self.sizes.contains_key(suffix) {
            let read = self.validation[suffix].sizes(threads).into_iter().enumerate();
            let sizes = read.map(|(image, size)| size.map_err(|error| bad.push((image as u32, error))).ok()).collect();
            self.sizes.insert(suffix.to_owned(), sizes);
        }
        (&self.sizes[suffix], bad)
    }
}

/// How training images of an epoch are changed at random.
pub fn augmentation(recipe: &Recipe, epoch: u32, min_scale: f64) -> Augmentation {
    let &Augment { max_scale, ratio, flip, mixup, cutmix, erase, jitter, .. } = &recipe.augment;
    let flip = match flip {
        Flip::None => loader::Flip::None,
        Flip::Random => loader::Flip::Random,
        Flip::Alternating => loader::Flip::Alternating,
    };
    let Jitter { brightness, contrast, saturation } = jitter;
    let (jitter, mixing) = (loader::Jitter { brightness, contrast, saturation }, Mixing { mixup, cutmix });
    Augmentation { seed: recipe.seed, epoch, min_scale, max_scale, ratio, flip, jitter, erase, mixing }
}

/// A recipe's order of images, as the loader names it.
pub fn order_of(shuffle: Shuffle) -> loader::Shuffle {
    match shuffle {
        Shuffle::Full => loader::Shuffle::Full,
        Shuffle::Window => loader::Shuffle::Window,
    }
}
