//! Which photos a set consists of.

use crate::{Class, DemoError};

/// Bump it whenever the drawing changes, so that a set made by an older version is not taken for
/// the current one.
const DRAWING_VERSION: u32 = 1;

/// Which photos a generated set consists of. Everything else about them (sizes, clutter, JPEG
/// quality) follows from the seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DemoSpec {
    /// Seed of every photo.
    pub seed: u64,
    /// Photos under `train/`, spread evenly over the classes; at least one a class.
    pub train_images: usize,
    /// Photos under `validation/`, likewise.
    pub val_images: usize,
}

impl Default for DemoSpec {
    /// The demo's own set: 1,600 training and 400 validation photos.
    fn default() -> Self {
        Self { seed: 0, train_images: 1600, val_images: 400 }
    }
}

impl DemoSpec {
    /// One line that tells two sets apart; the marker file holds it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        format!(
            "imagenet18 demo photos, version {DRAWING_VERSION}, seed {}, {} training, {} validation",
            self.seed, self.train_images, self.val_images
        )
    }

    /// Photos of one split.
    #[must_use]
    pub fn images(&self, split: Split) -> usize {
        match split {
            Split::Train => self.train_images,
            Split::Validation => self.val_images,
        }
    }

    pub(crate) fn check(&self) -> Result<(), DemoError> {
        for (what, got) in [("training photos", self.train_images), ("validation photos", self.val_images)] {
            if !(Class::ALL.len()..=1_000_000).contains(&got) {
                return Err(DemoError::Spec { what, got, expected: "10 (one a class) to 1000000" });
            }
        }
        Ok(())
    }
}

/// The part of a set that a photo belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Photos to learn from.
    Train,
    /// Photos to be judged on.
    Validation,
}

impl Split {
    /// Both, in the order in which they are written.
    pub const ALL: [Self; 2] = [Self::Train, Self::Validation];

    /// The folder's name.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
        }
    }
}
