//! One image's bytes, or as much of them as tells its size.

use std::io::Read;
use std::path::{Path, PathBuf};

use in18_jpeg::{Orientation, Size};

use crate::error::Error;
use crate::open::open_image;
use crate::set::{ImageSet, Source};

/// Most headers end within so many bytes; where one does not, twice as much is read, until it does.
const FIRST_READ: u64 = 4096;

/// Reads images into memory that is kept from one to the next.
#[derive(Debug, Default)]
pub struct ImageReader {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl ImageReader {
    /// All bytes of an image, `image < set.len()`.
    ///
    /// # Errors
    /// [`Error::Vanished`], [`Error::Unreadable`], [`Error::Changed`].
    pub fn read(&mut self, set: &ImageSet, image: usize) -> Result<&[u8], Error> {
        set.path_into(image, &mut self.path);
        match &set.source {
            Source::Packed(packed) => packed.read(image, &mut self.bytes)?,
            Source::Tables(tables) => {
                let read = tables.read(image, &mut self.bytes);
                read.map_err(|got| Error::reading(&self.path, std::io::Error::other(got)))?;
            }
            Source::Folders(_) => {
                self.bytes.clear();
                open_image(&self.path)
                    .and_then(|mut file| file.read_to_end(&mut self.bytes))
                    .map_err(|error| Error::reading(&self.path, error))?;
            }
        }
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

    /// An image's size, upright if that is asked of the set; from an index that has it or from the start of the image.
    ///
    /// # Errors
    /// As [`read`](Self::read); [`Error::Image`].
    pub fn size(&mut self, set: &ImageSet, image: usize) -> Result<Size, Error> {
        if set.exif() {
            let file = self.read(set, image)?;
            let (size, orientation) = (in18_jpeg::header(file), Orientation::of(file));
            let size = size.map_err(|source| Error::Image { path: self.path.clone(), source })?;
            return Ok(orientation.turned(size));
        }
        let header = match &set.source {
            Source::Packed(packed) => match packed.index().images[image].size {
                Some(size) => Ok(size),
                None => in18_jpeg::header(self.read(set, image)?),
            },
            Source::Tables(_) => in18_jpeg::header(self.read(set, image)?),
            Source::Folders(_) => {
                set.path_into(image, &mut self.path);
                self.header_of_file().map_err(|error| Error::reading(&self.path, error))?
            }
        };
        header.map_err(|source| Error::Image { path: self.path.clone(), source })
    }

    fn header_of_file(&mut self) -> std::io::Result<Result<Size, in18_jpeg::Error>> {
        let mut file = open_image(&self.path)?;
        self.bytes.clear();
        let mut more = FIRST_READ;
        loop {
            let read = (&mut file).take(more).read_to_end(&mut self.bytes)?;
            match in18_jpeg::header(&self.bytes) {
                Err(in18_jpeg::Error::Truncated { .. }) if read as u64 == more => {
                    more = self.bytes.len() as u64;
                }
                other => return Ok(other),
            }
        }
    }
}
