//! One image's bytes, or as much of them as tells its size.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use in18_jpeg::{Orientation, Size};

use crate::error::Error;
use crate::open::open_image;
use crate::set::{ImageSet, Source};
use crate::tables::Unfit;

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
                read.map_err(|Unfit { expected, got }| Error::Archive { path: self.path.clone(), expected, got })?;
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
                let opened = open_image(&self.path).and_then(|file| Ok((file.metadata()?.len(), file)));
                let read = opened.and_then(|(length, file)| size_in_header(&file, 0, length));
                read.map_err(|error| Error::reading(&self.path, error))?
            }
        };
        header.map_err(|source| Error::Image { path: self.path.clone(), source })
    }
}

/// The size of the image at an offset of a file, of which only the start is read; or what is wrong with its header.
pub(crate) fn size_in_header(file: &File, offset: u64, length: u64) -> io::Result<Result<Size, in18_jpeg::Error>> {
    let mut start = vec![0; length.min(FIRST_READ) as usize];
    loop {
        file.read_exact_at(&mut start, offset)?;
        match in18_jpeg::header(&start) {
            Err(in18_jpeg::Error::Truncated { .. }) if (start.len() as u64) < length => {
                start.resize((start.len() as u64 * 2).min(length) as usize, 0);
            }
            result => return Ok(result),
        }
    }
}
