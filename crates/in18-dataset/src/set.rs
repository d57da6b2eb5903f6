//! A set of images, wherever their bytes lie.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::folders::Folders;
use crate::packed::{self, Packed};
use crate::place::Place;
use crate::tables::Tables;

/// Images with their labels. An image is a number from 0 to `len() - 1`; its label is the number of its class.
///
/// The order is the source's: torchvision's for class folders, and for shards that were prepared from them. So the same
/// numbers, and with them the same batches of a run, come of both, if no image had to be left out.
#[derive(Debug)]
pub struct ImageSet {
    root: PathBuf,
    classes: Vec<String>,
    exif: bool,
    pub(crate) source: Source,
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

/// Where the bytes of a set's images lie.
#[derive(Debug)]
pub(crate) enum Source {
    Folders(Folders),
    Packed(Packed),
    Tables(Tables),
}

impl Source {
    /// What lies in a place, and its classes.
    fn open(place: &Place, options: &OpenOptions) -> Result<(Self, Vec<String>), Error> {
        let folder = &place.folder;
        if let Some(index) = packed::index(place, options)? {
            let (packed, classes) = Packed::open(folder, index)?;
            return Ok((Self::Packed(packed), classes));
        }
        let tables = packed::archives(place, ".parquet")?;
        if !tables.is_empty() {
            if !options.sequential {
                return Err(Error::Sequential { path: folder.clone() });
            }
            let (tables, classes) = Tables::open(folder, &tables)?;
            return Ok((Self::Tables(tables), classes));
        }
        let folders = Folders::list(folder)?;
        let classes = folders.classes();
        Ok((Self::Folders(folders), classes))
    }
}

impl ImageSet {
    /// Opens what lies in a place: prepared shards, where there is an index; other tar archives; tables; or
    /// else class folders.
    /// Reads no image.
    ///
    /// # Errors
    /// [`Error`], for folders, archives or an index that cannot be used.
    pub fn open(place: impl Into<Place>) -> Result<Self, Error> {
        Self::open_with(place, &OpenOptions::default())
    }

    /// As [`open`](Self::open), with options.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(place: impl Into<Place>, options: &OpenOptions) -> Result<Self, Error> {
        let place = place.into();
        let (source, classes) = Source::open(&place, options)?;
        Ok(Self { root: place.folder, classes, exif: options.exif, source })
    }

    /// The folder that holds the class folders or the shards.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// How many images there are; at least one.
    pub fn len(&self) -> usize {
        match &self.source {
            Source::Folders(folders) => folders.len(),
            Source::Packed(packed) => packed.index().images.len(),
            Source::Tables(tables) => tables.len(),
        }
    }

    /// Never true: a set without images is not opened.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Names of the classes; a label is an index into them.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// How many images a class has.
    pub fn class_len(&self, label: usize) -> usize {
        match &self.source {
            Source::Folders(folders) => folders.class_len(label),
            Source::Packed(packed) => packed.class_len(label),
            Source::Tables(tables) => tables.class_len(label),
        }
    }

    /// The label of an image, `image < len()`.
    pub fn label(&self, image: usize) -> usize {
        match &self.source {
            Source::Folders(folders) => folders.label(image),
            Source::Packed(packed) => packed.index().images[image].label as usize,
            Source::Tables(tables) => tables.label(image),
        }
    }

    /// The file of an image, `image < len()`; in shards the shard's path with the name in it appended.
    pub fn path(&self, image: usize) -> PathBuf {
        let mut path = PathBuf::new();
        self.path_into(image, &mut path);
        path
    }

    /// [`path`](Self::path) into a buffer that is reused.
    pub fn path_into(&self, image: usize, path: &mut PathBuf) {
        path.clear();
        path.push(&self.root);
        match &self.source {
            Source::Folders(folders) => folders.push_path(image, path),
            Source::Packed(packed) => packed.push_path(image, path),
            Source::Tables(tables) => tables.push_name(image, path),
        }
    }

    /// Whether images are turned as their EXIF orientation says.
    pub fn exif(&self) -> bool {
        self.exif
    }

    /// All images in the order in which they lie on the disk, as far as the set knows it.
    pub fn stored_order(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.len() as u32).collect();
        if let Source::Packed(packed) = &self.source {
            let images = &packed.index().images;
            order.sort_by_key(|&image| (images[image as usize].shard, images[image as usize].offset));
        }
        order
    }

    /// Asks the system to read images that will be wanted soon, which lie one behind the other, and does not wait for it.
    pub fn fetch(&self, images: &[u32]) {
        if let Source::Packed(packed) = &self.source {
            packed.fetch(images);
        }
    }

    /// Whether images are files in class folders.
    pub(crate) fn is_in_folders(&self) -> bool {
        matches!(self.source, Source::Folders(_))
    }

    /// Whether images are read much faster in their order than in any other.
    pub(crate) fn is_sequential(&self) -> bool {
        match &self.source {
            Source::Folders(_) | Source::Packed(_) => false,
            Source::Tables(_) => true,
        }
    }

    /// An image's name: its path below the root, or in its shard.
    pub(crate) fn name(&self, image: usize) -> PathBuf {
        let mut name = PathBuf::new();
        match &self.source {
            Source::Folders(folders) => folders.push_path(image, &mut name),
            Source::Packed(packed) => name.push(packed.index().name(image)),
            Source::Tables(tables) => tables.push_name(image, &mut name),
        }
        name
    }
}
