//! What a source of images is: the trait that each file of `sources/` implements, and how one
//! recognises its folders.
//!
//! Lies below those who use sources (`set.rs`, `verify.rs`, `prepare.rs`) and below those who
//! implement them, and knows neither.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

use in18_image::Size;

use crate::error::Error;
use crate::listing::{Listing, list};
use crate::location::Location;

/// Labels are below this number, since classes are counted up to the largest label.
pub(crate) const MAX_CLASSES: u32 = 1 << 20;

/// Images with labels, wherever their bytes lie. An image is a number below [`len`](Self::len), in
/// an order that never changes; its label is the index of its class. Threads share a source.
pub(crate) trait Source: Debug + Send + Sync {
    /// Names of the classes, by label.
    fn classes(&self) -> &[String];

    /// How many images there are; at least one.
    fn len(&self) -> usize;

    /// The label of an image.
    fn label(&self, image: usize) -> usize;

    /// Appends where an image lies, seen from the set's folder. Messages name it so.
    fn push_path(&self, image: usize, path: &mut PathBuf);

    /// Appends an image's name, which the set's fingerprint and prepared copies are made of.
    fn push_name(&self, image: usize, name: &mut PathBuf) {
        self.push_path(image, name);
    }

    /// Whether names are paths of files in class folders. Such names are all different and begin
    /// with the class, so copies keep them, and a fingerprint needs no class beside them.
    fn has_class_folders(&self) -> bool {
        false
    }

    /// Puts an image's bytes in the place of what `bytes` held. `path` is the image's whole path.
    ///
    /// # Errors
    /// [`Error::Vanished`], [`Error::Unreadable`], [`Error::Changed`], [`Error::Archive`].
    fn read(&self, image: usize, path: &Path, bytes: &mut Vec<u8>) -> Result<(), Error>;

    /// An image's width and height as its header has them, for sources that need not read all of
    /// the image to tell; none means that [`read`](Self::read) is the way. `path` is as in `read`.
    fn size(&self, _image: usize, _path: &Path) -> Option<Result<Size, Error>> {
        None
    }

    /// All images in the order in which they lie on the disk.
    fn stored_order(&self) -> Vec<u32> {
        (0..self.len() as u32).collect()
    }

    /// Asks the system to read images ahead that lie one behind the other, without waiting for it.
    fn fetch(&self, _images: &[u32]) {}

    /// Whether images are read much faster in their order than in any other.
    fn is_sequential(&self) -> bool {
        false
    }

    /// Compares what lies around an image with what was written there; says what differs. Uses
    /// `bytes` as memory.
    ///
    /// # Errors
    /// What is there instead, for [`Error::Around`].
    fn check_around(&self, _image: usize, _bytes: &mut Vec<u8>) -> Result<(), String> {
        Ok(())
    }

    /// What is wrong with parts of the source that hold no image.
    fn check_without_images(&self) -> Vec<Error> {
        Vec::new()
    }
}

/// How a set is opened.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// Where lists of what lies in archives without an index are kept; none for beside them.
    pub cache: Option<PathBuf>,
    /// A list of labels for images that have none.
    pub ground_truth: Option<PathBuf>,
    /// Whether sets are welcome that are read much faster in their order than in any other.
    pub sequential: bool,
    /// Whether images are turned as their EXIF orientation says.
    pub exif: bool,
}

/// A kind of source.
pub(crate) struct Kind {
    /// How the names of its files end, if each of its files holds many images. Only then may the
    /// files of training and validation lie in one folder.
    pub archives: Option<&'static str>,
    /// Opens what lies in a folder. Reads no image.
    pub recognise: fn(&Candidate<'_>, &OpenOptions) -> Recognised,
}

/// The source in a folder, none if the folder is of another kind, or what is wrong with it.
pub(crate) type Recognised = Result<Option<Box<dyn Source>>, Error>;

/// A folder of which it is not known yet what kind of source it holds.
pub(crate) struct Candidate<'a> {
    pub location: &'a Location,
    listing: OnceCell<Listing>,
}

impl<'a> Candidate<'a> {
    pub(crate) fn new(location: &'a Location) -> Self {
        Self { location, listing: OnceCell::new() }
    }

    pub(crate) fn folder(&self) -> &'a Path {
        &self.location.folder
    }

    /// What lies in the folder, read when the first kind asks.
    ///
    /// # Errors
    /// As [`list`].
    pub(crate) fn listing(&self) -> Result<&Listing, Error> {
        if let Some(listing) = self.listing.get() {
            return Ok(listing);
        }
        let listing = list(self.folder())?;
        Ok(self.listing.get_or_init(|| listing))
    }

    /// The set's files with this ending. None where there are folders beside them, for these may be
    /// what the archives were unpacked to.
    ///
    /// # Errors
    /// As [`list`].
    pub(crate) fn archives(&self, ending: &str) -> Result<Vec<OsString>, Error> {
        let Listing { folders, files } = self.listing()?;
        if !folders.is_empty() && self.location.half.is_none() {
            return Ok(Vec::new());
        }
        let is_ours =
            |file: &&OsString| file.to_str().is_some_and(|name| name.ends_with(ending) && self.location.has(name));
        Ok(files.iter().filter(is_ours).cloned().collect())
    }
}
