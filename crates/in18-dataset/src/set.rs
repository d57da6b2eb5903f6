//! A set of images, wherever their bytes lie.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::each::each;
use crate::error::Error;
use crate::fingerprint::fingerprint;
use crate::location::Location;
use crate::source::{OpenOptions, Source};
use crate::sources;

/// Images that a thread of [`ImageSet::each`] takes at a time.
const CHUNK: usize = 64;

/// Images with their labels. An image is a number from 0 to `len() - 1`; its label is the number of
/// its class.
///
/// The order is the source's: torchvision's for class folders, and for shards that were prepared
/// from them. So folders and shards give the same numbers, and with them the same batches of a run,
/// if no image had to be left out.
#[derive(Debug)]
pub struct ImageSet {
    root: PathBuf,
    exif: bool,
    source: Box<dyn Source>,
    /// Images of each class, counted when first asked for.
    class_lens: OnceLock<Vec<usize>>,
}

impl ImageSet {
    /// Opens what lies in a location: prepared shards, where there is an index; other tar archives;
    /// tables; or else class folders. Reads no image.
    ///
    /// # Errors
    /// [`Error`], for folders, archives or an index that cannot be used.
    pub fn open(location: impl Into<Location>) -> Result<Self, Error> {
        Self::open_with(location, &OpenOptions::default())
    }

    /// As [`open`](Self::open), with options.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(location: impl Into<Location>, options: &OpenOptions) -> Result<Self, Error> {
        let location = location.into();
        let source = sources::open(&location, options)?;
        Ok(Self { root: location.folder, exif: options.exif, source, class_lens: OnceLock::new() })
    }

    /// The folder that holds the class folders or the shards.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// How many images there are; at least one.
    pub fn len(&self) -> usize {
        self.source.len()
    }

    /// Never true: a set without images is not opened.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Names of the classes; a label is an index into them.
    pub fn classes(&self) -> &[String] {
        self.source.classes()
    }

    /// How many images a class has.
    pub fn class_len(&self, label: usize) -> usize {
        let count = || {
            let mut lens = vec![0; self.classes().len()];
            (0..self.len()).for_each(|image| lens[self.label(image)] += 1);
            lens
        };
        self.class_lens.get_or_init(count)[label]
    }

    /// The label of an image, `image < len()`.
    pub fn label(&self, image: usize) -> usize {
        self.source.label(image)
    }

    /// The file of an image, `image < len()`; in shards the shard's path with the image's name in
    /// the shard appended.
    pub fn path(&self, image: usize) -> PathBuf {
        let mut path = PathBuf::new();
        self.path_into(image, &mut path);
        path
    }

    /// [`path`](Self::path) into a buffer that is reused.
    pub fn path_into(&self, image: usize, path: &mut PathBuf) {
        path.clear();
        path.push(&self.root);
        self.source.push_path(image, path);
    }

    /// Whether images are turned as their EXIF orientation says.
    pub fn exif(&self) -> bool {
        self.exif
    }

    /// All images in the order in which they lie on the disk, as far as the set knows it.
    pub fn stored_order(&self) -> Vec<u32> {
        self.source.stored_order()
    }

    /// Asks the system to read images ahead that lie one behind the other, without waiting for it.
    pub fn fetch(&self, images: &[u32]) {
        self.source.fetch(images);
    }

    /// 16 hex digits, the start of a SHA-256 of every image's name and class, in order. A name is
    /// the path below the set's root, or the name in an archive. The fingerprint of a set that was
    /// moved or copied stays the same; what the files hold does not change it.
    pub fn fingerprint(&self) -> String {
        fingerprint(&*self.source)
    }

    /// What `of` makes of every image, by number, on `threads` threads, each with a state that
    /// `state` makes.
    pub fn each<S, T: Send>(
        &self,
        threads: NonZeroUsize,
        state: impl Fn() -> S + Sync,
        of: impl Fn(&mut S, usize) -> T + Sync,
    ) -> Vec<T> {
        each(self.len(), CHUNK, threads, state, of)
    }

    pub(crate) fn source(&self) -> &dyn Source {
        &*self.source
    }

    /// An image's name: its path below the root, or in its shard.
    pub(crate) fn name(&self, image: usize) -> PathBuf {
        let mut name = PathBuf::new();
        self.source.push_name(image, &mut name);
        name
    }
}
