//! Sizes and regions of images.

use std::fmt;

/// Images with more pixels are refused before memory is allocated. At this number, Pillow's guard
/// against decompression bombs raises its error (twice `Image.MAX_IMAGE_PIXELS`). Such an image
/// takes 512 MiB when decoded.
pub const MAX_PIXELS: u64 = 178_956_970;

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Size {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Size {
    /// A size of `width` columns and `height` rows.
    pub const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    /// `width * height`.
    pub const fn pixels(self) -> u64 {
        self.width as u64 * self.height as u64
    }

    /// Bytes of an `(H, W, 3)` image of this size.
    pub const fn bytes(self) -> usize {
        self.width as usize * self.height as usize * 3
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {}", self.width, self.height)
    }
}

/// A rectangle inside an image, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crop {
    /// Columns to the left of the crop.
    pub left: u32,
    /// Rows above the crop.
    pub top: u32,
    /// Columns of the crop.
    pub width: u32,
    /// Rows of the crop.
    pub height: u32,
}

impl Crop {
    /// The whole of an image of `size`.
    pub const fn whole(size: Size) -> Self {
        Self { left: 0, top: 0, width: size.width, height: size.height }
    }

    /// Width and height of the crop.
    pub const fn size(self) -> Size {
        Size::new(self.width, self.height)
    }

    /// Whether the crop is not empty and lies inside an image of `size`.
    pub const fn fits(self, size: Size) -> bool {
        self.width > 0
            && self.height > 0
            && self.left as u64 + self.width as u64 <= size.width as u64
            && self.top as u64 + self.height as u64 <= size.height as u64
    }
}

impl fmt::Display for Crop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { left, top, .. } = self;
        write!(f, "{} at column {left}, row {top}", self.size())
    }
}
