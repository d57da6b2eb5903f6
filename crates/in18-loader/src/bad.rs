//! Images that cannot be loaded, and what takes their place.
//!
//! In training, another image of the set takes its place, so batches stay full. Which one is a
//! function of (seed, epoch, image) and of which images are bad. A run therefore does not depend on
//! its threads, and a continued run makes the same batches. In validation, nothing takes its place,
//! because no image may count twice: the batch gets smaller.

use in18_random::{Draws, Purpose};

use crate::error::LoadError;
use crate::plan::Transform;

/// What happens at an image that cannot be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnBadImage {
    /// In training, another image takes its place; in validation, none does. The batch names the
    /// bad image.
    #[default]
    Skip,
    /// The epoch ends with the image's error.
    Fail,
}

/// An image that could not be loaded.
#[derive(Debug)]
pub struct BadImage {
    /// Its number in the set.
    pub image: u32,
    /// Why it could not be loaded.
    pub error: LoadError,
}

/// The result for one place in a batch.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The label of the image in this place; `None` if the place is left out.
    pub label: Option<i32>,
    /// Images that could not be loaded on the way.
    pub bad: Vec<BadImage>,
}

/// The most images that are tried in a bad one's place. If that many in a row are bad, nearly all
/// are.
const TRIES: usize = 16;

/// Loads `image`, or a replacement from a set of `images` images. `load` loads an image and gives
/// its label.
pub(crate) fn load_or_replace(
    image: u32,
    images: usize,
    transform: Transform,
    mut load: impl FnMut(u32) -> Result<i32, LoadError>,
) -> Result<Loaded, LoadError> {
    let mut bad = Vec::new();
    let mut attempt = |image: u32, bad: &mut Vec<BadImage>| match load(image) {
        Ok(label) => Ok(Some(label)),
        Err(error) if error.is_about_an_image() => {
            bad.push(BadImage { image, error });
            Ok(None)
        }
        Err(error) => Err(error),
    };
    if let Some(label) = attempt(image, &mut bad)? {
        return Ok(Loaded { label: Some(label), bad });
    }
    let Transform::Train(augmentation) = transform else { return Ok(Loaded { label: None, bad }) };
    let mut draws = Draws::new(augmentation.seed, Purpose::Replacement, (augmentation.epoch, image));
    for _ in 0..TRIES {
        let other = draws.below(images as u64) as u32;
        if let Some(label) = attempt(other, &mut bad)? {
            return Ok(Loaded { label: Some(label), bad });
        }
    }
    // Of all the errors, that of the planned image says most.
    Err(bad.swap_remove(0).error)
}
