//! Copies of a set whose images are small: the short side is at most as long as asked for, the
//! aspect is kept, and nothing is enlarged.
//!
//! An image that is small enough already, and every image of the full size, keeps its pixels, to
//! the bit. Copies are JPEGs with a restart every few blocks, so that a decoder can begin near any
//! region; only PNGs and some damaged files are copied as they are. The same images give the same
//! bytes. What is there is left alone: a preparation that was interrupted continues.

mod encode;
mod error;
mod folders;
mod in_order;
mod list;
mod names;
mod note;
mod shards;

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use in18_random::permutation;

pub use error::PrepareError;

use crate::location::Half;
use crate::root::DataRoot;
use crate::set::ImageSet;
use shards::Shards;

/// How large prepared images are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreparedSize {
    /// The short side has at most this many pixels.
    ShortSide(NonZeroU32),
    /// As they are.
    Full,
}

impl PreparedSize {
    /// What is appended to the data path, as published schedules expect it: `-sz/160`, or nothing.
    pub fn suffix(&self) -> String {
        match self {
            PreparedSize::ShortSide(side) => format!("-sz/{side}"),
            PreparedSize::Full => String::new(),
        }
    }
}

impl FromStr for PreparedSize {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        if written == "full" {
            return Ok(PreparedSize::Full);
        }
        let side = written.parse().map_err(|_| format!("expected pixels of the short side, or full, got {written}"))?;
        Ok(PreparedSize::ShortSide(side))
    }
}

/// How prepared images lie on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreparedFormat {
    /// Tar archives of this many images each, with an index.
    Shards(NonZeroUsize),
    /// A file each, in class folders.
    Folders,
}

/// What is to be prepared.
#[derive(Debug, Clone)]
pub struct PrepareOptions {
    /// All sizes, which are made in one pass.
    pub sizes: Vec<PreparedSize>,
    /// Of the JPEGs, from 1 to 100.
    pub quality: u8,
    /// How they lie on the disk.
    pub format: PreparedFormat,
}

/// What became of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prepared {
    /// Written, in at least one size.
    Written,
    /// There already.
    Kept,
    /// Not read or not encoded, with its path and why.
    Bad(String),
}

/// A preparation of one half in several sizes.
#[derive(Debug)]
pub struct Preparation<'a> {
    set: &'a ImageSet,
    half: Half,
    options: PrepareOptions,
    targets: Vec<Target>,
}

/// Where the images of one size go.
#[derive(Debug)]
struct Target {
    size: PreparedSize,
    /// Of class folders or shards.
    folder: PathBuf,
}

impl<'a> Preparation<'a> {
    /// Makes the folders `to + suffix/half`.
    ///
    /// # Errors
    /// [`PrepareError`], also where a folder holds images that were prepared otherwise.
    pub fn new(set: &'a ImageSet, to: &DataRoot, half: Half, options: PrepareOptions) -> Result<Self, PrepareError> {
        let mut targets = Vec::new();
        let source = match options.format {
            PreparedFormat::Shards(images) => Some((images, set.fingerprint())),
            PreparedFormat::Folders => None,
        };
        for &size in &options.sizes {
            let folder = to.with_suffix(&size.suffix()).join(half.to_string());
            if targets.iter().any(|target: &Target| target.size == size) {
                continue;
            }
            if is_inside(&folder, set.root()) {
                return Err(PrepareError::Inside { path: folder });
            }
            std::fs::create_dir_all(&folder).map_err(|source| PrepareError::writing(&folder, source))?;
            let mut expected = match size {
                PreparedSize::ShortSide(side) => format!("short side {side}, quality {}", options.quality),
                // Only images that are turned are encoded anew.
                PreparedSize::Full if set.exif() => format!("full size, quality {}", options.quality),
                PreparedSize::Full => "full size".to_owned(),
            };
            if set.exif() {
                expected.push_str(", upright");
            }
            if let Some((images, fingerprint)) = &source {
                expected.push_str(&format!(", {images} images a shard, from the set {fingerprint}"));
            }
            note::check(&folder, expected)?;
            targets.push(Target { size, folder });
        }
        Ok(Preparation { set, half, options, targets })
    }

    /// Prepares all images on `threads` threads. Tells `report` in a fixed order what became of
    /// each image; `report` answers whether to go on.
    ///
    /// # Errors
    /// [`PrepareError::Write`].
    pub fn run(&self, threads: NonZeroUsize, report: &mut dyn FnMut(Prepared) -> bool) -> Result<(), PrepareError> {
        let order = self.order();
        match self.options.format {
            PreparedFormat::Folders => folders::run(self, &order, threads, report),
            PreparedFormat::Shards(images) => Shards { preparation: self, images }.run(&order, threads, report),
        }
    }

    /// Images to train on lie in an order of chance, so that any stretch of a shard holds all kinds
    /// of them. Sources that are read in their order keep it.
    fn order(&self) -> Vec<u32> {
        let images = self.set.len() as u32;
        match self.half {
            Half::Train if !self.set.source().is_sequential() => permutation(0, 0, images),
            Half::Train | Half::Validation => (0..images).collect(),
        }
    }
}

/// Whether a folder, which need not be there yet, is another one or lies in it.
fn is_inside(folder: &Path, other: &Path) -> bool {
    let Ok(other) = other.canonicalize() else { return false };
    // The part of the path that is there may lead anywhere by links.
    folder.ancestors().find_map(|there| there.canonicalize().ok()).is_some_and(|there| there.starts_with(&other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_pixels_or_full() {
        assert_eq!("full".parse(), Ok(PreparedSize::Full));
        assert_eq!("352".parse::<PreparedSize>().map(|size| size.suffix()), Ok("-sz/352".to_owned()));
        assert!("0".parse::<PreparedSize>().is_err() && "large".parse::<PreparedSize>().is_err());
    }
}
