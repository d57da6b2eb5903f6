//! Widths and heights of a set's images: what rectangular validation sorts by.

use std::num::NonZeroUsize;

use in18_jpeg::Size;

use crate::error::Error;
use crate::read::ImageReader;
use crate::set::ImageSet;

impl ImageSet {
    /// The size of every image, by number, from the index, or the start of each file, on `threads` threads (images of tables and
    /// those to be turned are read whole); an
    /// [`Error::Vanished`], [`Error::Unreadable`] or [`Error::Image`] where it cannot be told.
    pub fn sizes(&self, threads: NonZeroUsize) -> Vec<Result<Size, Error>> {
        self.each(threads, ImageReader::default, |reader, image| reader.size(self, image))
    }
}
