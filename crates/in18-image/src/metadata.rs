//! The metadata of a file that tell how to turn the image.

use std::borrow::Cow;

/// What a file says about itself.
#[derive(Debug, Default)]
pub(crate) struct Metadata<'a> {
    /// A TIFF structure, with or without EXIF's name before it.
    pub exif: Cow<'a, [u8]>,
    pub xmp: Option<&'a [u8]>,
}
