//! One image's bytes or its size, and the sizes of all images.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use in18_image::{Orientation, Size};

use crate::error::Error;
use crate::set::ImageSet;

/// Reads images into memory that is kept from one image to the next. Each thread has its own.
#[derive(Debug, Default)]
pub struct ImageReader {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl ImageReader {
    /// All bytes of an image, `image < set.len()`.
    ///
    /// # Errors
    /// [`Error::Vanished`], [`Error::Unreadable`], [`Error::Changed`], [`Error::Archive`].
    pub fn read(&mut self, set: &ImageSet, image: usize) -> Result<&[u8], Error> {
        set.path_into(image, &mut self.path);
        set.source().read(image, &self.path, &mut self.bytes)?;
        Ok(&self.bytes)
    }

    /// What [`read`](Self::read) gave last.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where the image that was last begun lies, as [`ImageSet::path`] says it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// An image's size, upright if that is asked of the set; from an index that has it or from the
    /// start of the image.
    ///
    /// # Errors
    /// As [`read`](Self::read); [`Error::Image`].
    pub fn size(&mut self, set: &ImageSet, image: usize) -> Result<Size, Error> {
        set.path_into(image, &mut self.path);
        if !set.exif()
            && let Some(size) = set.source().size(image, &self.path)
        {
            return size;
        }
        let file = self.read(set, image)?;
        let orientation = if set.exif() { Orientation::of(file) } else { Orientation::UPRIGHT };
        let size = in18_image::header(file).map_err(|source| Error::Image { path: self.path.clone(), source })?;
        Ok(orientation.turned(size))
    }
}

impl ImageSet {
    /// The size of every image, by number, on `threads` threads: from the index, or from the start
    /// of each file. Images of tables, and those to be turned, are read whole. An
    /// [`Error::Vanished`], [`Error::Unreadable`] or [`Error::Image`] where a size cannot be told.
    pub fn sizes(&self, threads: NonZeroUsize) -> Vec<Result<Size, Error>> {
        self.each(threads, ImageReader::default, |reader, image| reader.size(self, image))
    }
}
