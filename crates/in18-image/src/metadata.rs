//! The metadata of a file that say how to turn its image.

use std::borrow::Cow;

/// The metadata of a file.
#[derive(Debug, Default)]
pub(crate) struct Metadata<'a> {
    /// A TIFF structure, with or without the name "Exif" before it.
    pub exif: Cow<'a, [u8]>,
    pub xmp: Option<&'a [u8]>,
}
