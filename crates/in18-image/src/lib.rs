#![deny(unsafe_code)]
//! Image bytes to pixels: recognise, decode, crop, resize, flip.
//!
//! Owns what an image file means (JPEG and PNG, told apart by their first bytes, never by a name) and the
//! geometry of pixels. Knows no files, no threads, no randomness and no classes: its callers bring the bytes
//! and the destination, so that everything here is a pure function and buffers can live as long as a thread.
//!
//! Every pixel buffer is RGB, 8 bits a channel, row-major `(H, W, 3)`. What a file turns into is what Pillow's
//! `Image.open(f).convert("RGB")` makes of it, EXIF orientation ignored; what a resize gives is what Pillow's
//! `resize(…, BILINEAR)` gives, within one grey level (the golden tests measure both).

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
