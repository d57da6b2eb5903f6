//! Pixels in memory: the checks before there are any, and operations that move pixels without
//! changing them (centre crop and flip).

use crate::error::Error;
use crate::geometry::{Crop, MAX_PIXELS, Size};

impl Size {
    /// Returns the size itself if it is allowed. Call this before allocating memory for the pixels.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond [`MAX_PIXELS`].
    pub fn checked(self) -> Result<Self, Error> {
        if self.pixels() > MAX_PIXELS {
            return Err(Error::TooLarge(self));
        }
        Ok(self)
    }

    pub(crate) fn check_destination(self, destination: &[u8]) -> Result<(), Error> {
        if destination.len() != self.bytes() {
            return Err(Error::Destination { size: self, expected: self.bytes(), got: destination.len() });
        }
        Ok(())
    }
}

/// A decoded image, `(H, W, 3)` RGB. Its buffer only grows, so a thread should decode all its
/// images into the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rgb8Image {
    size: Size,
    pixels: Vec<u8>, // (H, W, 3)
}

impl Default for Rgb8Image {
    fn default() -> Self {
        Self::new()
    }
}

impl Rgb8Image {
    /// An image of no pixels.
    pub const fn new() -> Self {
        Self { size: Size::new(0, 0), pixels: Vec::new() }
    }

    /// An image with the given `pixels`, `(H, W, 3)`.
    ///
    /// # Errors
    /// [`Error::Pixels`] if their number does not fit the size.
    pub fn from_pixels(size: Size, pixels: Vec<u8>) -> Result<Self, Error> {
        if pixels.len() != size.bytes() {
            return Err(Error::Pixels { size, expected: size.bytes(), got: pixels.len() });
        }
        Ok(Self { size, pixels })
    }

    /// Width and height.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The pixels, `(H, W, 3)`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The pixels, `(H, W, 3)`, mutable.
    pub fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }

    /// Changes the size and returns the pixels, `(H, W, 3)`, with unspecified content.
    pub fn reset(&mut self, size: Size) -> &mut [u8] {
        self.size = size;
        self.pixels.resize(size.bytes(), 0);
        &mut self.pixels
    }
}

/// The region that `choose` picks, checked.
pub(crate) fn chosen(size: Size, choose: impl FnOnce(Size) -> Crop) -> Result<Crop, Error> {
    let crop = choose(size);
    if crop.fits(size) { Ok(crop) } else { Err(Error::Crop { image: size, crop }) }
}

/// Writes the centre of `image` into `destination`, `(out.height, out.width, 3)`, like
/// torchvision's `center_crop`. If the crop is larger than the image, the image is first padded
/// with zeros; an odd row goes below, an odd column to the right. If the crop is smaller by an odd
/// number, the corner is rounded half to even, as Python rounds.
///
/// # Errors
/// [`Error::Destination`] if the destination's length is not that of `out`.
pub fn center_crop(image: &Rgb8Image, out: Size, destination: &mut [u8]) -> Result<(), Error> {
    out.check_destination(destination)?;
    if out.bytes() == 0 {
        return Ok(());
    }
    let horizontal = Span::centered(image.size.width, out.width);
    let vertical = Span::centered(image.size.height, out.height);
    let padded = horizontal.length < out.width as usize || vertical.length < out.height as usize;
    if padded {
        destination.fill(0);
    }
    let stride = image.size.width as usize * 3;
    let row_bytes = horizontal.length * 3;
    let rows = destination.chunks_exact_mut(out.width as usize * 3).skip(vertical.to).take(vertical.length);
    for (y, row) in rows.enumerate() {
        let from = (vertical.from + y) * stride + horizontal.from * 3;
        row[horizontal.to * 3..][..row_bytes].copy_from_slice(&image.pixels[from..from + row_bytes]);
    }
    Ok(())
}

/// Mirrors `pixels`, `(H, width, 3)`, left to right, in place.
pub fn flip_horizontal(pixels: &mut [u8], width: u32) {
    if width == 0 {
        return;
    }
    for row in pixels.chunks_exact_mut(width as usize * 3) {
        let (pixels, _) = row.as_chunks_mut::<3>();
        pixels.reverse();
    }
}

/// One axis of a centre crop: `length` elements are copied from index `from` to index `to`.
struct Span {
    from: usize,
    to: usize,
    length: usize,
}

impl Span {
    fn centered(image: u32, crop: u32) -> Self {
        if crop > image {
            return Self { from: 0, to: (crop - image) as usize / 2, length: image as usize };
        }
        Self { from: (f64::from(image - crop) / 2.0).round_ties_even() as usize, to: 0, length: crop as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image whose red channel counts columns and whose green channel counts rows, from 1.
    fn counting(width: u32, height: u32) -> Rgb8Image {
        let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| [x as u8 + 1, y as u8 + 1, 7])).collect();
        Rgb8Image::from_pixels(Size::new(width, height), pixels).unwrap()
    }

    #[test]
    fn center_crop_rounds_and_pads_as_torchvision_does() {
        // (image, crop) of one axis, and the expected columns, 0 for padding. From torchvision
        // 0.28: `center_crop(image, [1, crop])`.
        let cases: [(u32, u32, &[u8]); 8] = [
            (4, 4, &[1, 2, 3, 4]),
            (6, 4, &[2, 3, 4, 5]),
            (5, 4, &[1, 2, 3, 4]), // round(0.5) is 0
            (7, 4, &[3, 4, 5, 6]), // round(1.5) is 2
            (9, 4, &[3, 4, 5, 6]), // round(2.5) is 2
            (2, 4, &[0, 1, 2, 0]),
            (1, 4, &[0, 1, 0, 0]),
            (3, 4, &[1, 2, 3, 0]),
        ];
        for (image, crop, expected) in cases {
            let mut out = vec![9; crop as usize * 3];
            center_crop(&counting(image, 1), Size::new(crop, 1), &mut out).unwrap();
            let columns: Vec<u8> = out.chunks(3).map(|p| p[0]).collect();
            assert_eq!(columns, expected, "columns {image} -> {crop}");

            let mut out = vec![9; crop as usize * 3];
            center_crop(&counting(1, image), Size::new(1, crop), &mut out).unwrap();
            let rows: Vec<u8> = out.chunks(3).map(|p| p[1]).collect();
            assert_eq!(rows, expected, "rows {image} -> {crop}");
        }
    }

    #[test]
    fn center_crop_may_pad_one_axis_and_cut_the_other() {
        let mut out = vec![9; 2 * 4 * 3];
        center_crop(&counting(4, 2), Size::new(2, 4), &mut out).unwrap();
        let got: Vec<(u8, u8)> = out.chunks(3).map(|p| (p[0], p[1])).collect();
        assert_eq!(got, [(0, 0), (0, 0), (2, 1), (3, 1), (2, 2), (3, 2), (0, 0), (0, 0)]);
    }

    #[test]
    fn flip_mirrors_rows_and_keeps_channels() {
        let mut pixels = vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19];
        flip_horizontal(&mut pixels, 3);
        assert_eq!(pixels, [7, 8, 9, 4, 5, 6, 1, 2, 3, 17, 18, 19, 14, 15, 16, 11, 12, 13]);
    }

    #[test]
    fn a_destination_of_the_wrong_length_is_refused() {
        let error = center_crop(&counting(4, 4), Size::new(2, 2), &mut [0; 11]).unwrap_err();
        assert_eq!(error.to_string(), "expected a destination of 12 bytes for 2 x 2 RGB pixels, got 11");
    }
}
