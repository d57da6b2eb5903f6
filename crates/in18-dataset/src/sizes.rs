//! Widths and heights of a set's images, from their headers: what rectangular validation sorts by.

use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use in18_jpeg::Size;

use crate::error::Error;
use crate::folders::ImageSet;
use crate::open::open_image;

/// Most headers end within so many bytes; where one does not, twice as much is read, until it does.
const FIRST_READ: u64 = 4096;

impl ImageSet {
    /// The size of every image, by number, reading only the start of each file on `threads` threads; an
    /// [`Error::Vanished`], [`Error::Unreadable`] or [`Error::Image`] where it cannot be told.
    pub fn sizes(&self, threads: NonZeroUsize) -> Vec<Result<Size, Error>> {
        self.each(threads, HeaderReader::default, |reader, image| reader.size(self, image))
    }
}

/// Buffers of one thread.
#[derive(Default)]
struct HeaderReader {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl HeaderReader {
    fn size(&mut self, set: &ImageSet, image: usize) -> Result<Size, Error> {
        set.path_into(image, &mut self.path);
        let unreadable = |path: &PathBuf, source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => Error::Vanished { path: path.clone() },
            _ => Error::Unreadable { path: path.clone(), source },
        };
        let mut file = open_image(&self.path).map_err(|e| unreadable(&self.path, e))?;
        self.bytes.clear();
        let mut more = FIRST_READ;
        loop {
            let read = (&mut file).take(more).read_to_end(&mut self.bytes).map_err(|e| unreadable(&self.path, e))?;
            match in18_jpeg::header(&self.bytes) {
                Err(in18_jpeg::Error::Truncated { .. }) if read as u64 == more => {
                    more = self.bytes.len() as u64;
                }
                other => {
                    return other.map_err(|source| Error::Image { path: self.path.clone(), source });
                }
            }
        }
    }
}
