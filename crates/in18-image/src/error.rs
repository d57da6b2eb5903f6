//! What can be wrong with an image.

use crate::geometry::{Crop, MAX_PIXELS, Size};

/// Why bytes did not become pixels. One line each, without the file's name: callers know it, this crate does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The first bytes belong to no format that is read here.
    #[error("expected a JPEG or PNG image, got {got}")]
    Format {
        /// What the bytes are instead, such as "a GIF".
        got: String,
    },
    /// The bytes end before the image does; for [`header`](crate::header), before its size is known.
    #[error("expected a whole {format} image, got one cut short after {bytes} bytes")]
    Truncated {
        /// "JPEG" or "PNG".
        format: &'static str,
        /// How many bytes there were.
        bytes: usize,
    },
    /// The format is right, its content is not.
    #[error("expected a readable {format} image, got a damaged one: {reason}")]
    Damaged {
        /// "JPEG" or "PNG".
        format: &'static str,
        /// What the decoder says.
        reason: String,
    },
    /// A correct image of a kind that is not read here.
    #[error("expected a {format} image with 8-bit Huffman-coded colours, got {got}")]
    Unsupported {
        /// "JPEG" or "PNG".
        format: &'static str,
        /// What kind it is.
        got: String,
    },
    /// More pixels than [`MAX_PIXELS`]; refused before anything is allocated.
    #[error("expected at most {MAX_PIXELS} pixels, got an image of {0}")]
    TooLarge(Size),
    /// A crop that is empty or reaches outside of its image.
    #[error("expected a crop inside an image of {image}, got {crop}")]
    Crop {
        /// The image's size.
        image: Size,
        /// What was to be cut out.
        crop: Crop,
    },
    /// A destination of the wrong length.
    #[error("expected a destination of {expected} bytes for {size} RGB pixels, got {got}")]
    Destination {
        /// The size that was to be written.
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
        /// How many bytes came.
        got: usize,
    },
}
