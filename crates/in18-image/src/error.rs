//! The errors of an image.

use crate::geometry::{Crop, MAX_PIXELS, Size};

/// Why bytes did not become pixels. Messages have one line, and do not name the file: the caller
/// knows its name, this crate does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The first bytes belong to no format that this crate reads.
    #[error("expected a JPEG or PNG image, got {got}")]
    Format {
        /// What the bytes are, such as "a GIF".
        got: String,
    },
    /// The bytes end before the image does. For [`header`](crate::header): before its size is
    /// known.
    #[error("expected a whole {format} image, got one cut short after {bytes} bytes")]
    Truncated {
        /// "JPEG" or "PNG".
        format: &'static str,
        /// The number of bytes.
        bytes: usize,
    },
    /// The format is right, but its content is not.
    #[error("expected a readable {format} image, got a damaged one: {reason}")]
    Damaged {
        /// "JPEG" or "PNG".
        format: &'static str,
        /// What the decoder says.
        reason: String,
    },
    /// A correct image of a kind that this crate does not read.
    #[error("expected a {format} image with 8-bit Huffman-coded colours, got {got}")]
    Unsupported {
        /// "JPEG" or "PNG".
        format: &'static str,
        /// The kind of image.
        got: String,
    },
    /// More pixels than [`MAX_PIXELS`]. Refused before anything is allocated.
    #[error("expected at most {MAX_PIXELS} pixels, got an image of {0}")]
    TooLarge(Size),
    /// A crop that is empty or reaches outside of its image.
    #[error("expected a crop inside an image of {image}, got {crop}")]
    Crop {
        /// The image's size.
        image: Size,
        /// The crop.
        crop: Crop,
    },
    /// A destination of the wrong length.
    #[error("expected a destination of {expected} bytes for {size} RGB pixels, got {got}")]
    Destination {
        /// The size of the pixels to be written.
        size: Size,
        /// `3 * width * height`.
        expected: usize,
        /// The destination's length.
        got: usize,
    },
    /// Pixels that do not fill their image.
    #[error("expected {expected} bytes for {size} RGB pixels, got {got}")]
    Pixels {
        /// The image's size.
        size: Size,
        /// `3 * width * height`.
        expected: usize,
        /// The number of bytes that came.
        got: usize,
    },
}
