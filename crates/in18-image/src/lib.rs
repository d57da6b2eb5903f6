#![deny(unsafe_code)]
//! Turns the bytes of images into pixels: recognises, decodes, crops, resizes, flips.
//!
//! This crate owns the meaning of an image file (JPEG or PNG, recognised by its first bytes, never
//! by its name) and the geometry of pixels. It knows no files, no threads, no randomness and no
//! classes. Callers bring the bytes and the destination, so that everything here is a pure
//! function, and buffers can live as long as a thread.
//!
//! Every pixel buffer is RGB, 8 bits per channel, row-major `(H, W, 3)`. A decoded file has the
//! pixels of Pillow's `Image.open(f).convert("RGB")`, without EXIF orientation. A resized image has
//! the pixels of Pillow's `resize(…, BILINEAR)` within one grey level. The golden tests measure
//! both.

mod decode;
mod error;
mod format;
mod geometry;
mod image;
mod jpeg;
mod metadata;
mod orientation;
mod png;
mod resize;

pub use decode::{Decoder, header};
pub use error::Error;
pub use format::{Format, sniff};
pub use geometry::{Crop, MAX_PIXELS, Size};
pub use image::{Rgb8Image, center_crop, flip_horizontal};
pub use jpeg::RESTART_INTERVAL;
pub use orientation::Orientation;
pub use resize::Resizer;
