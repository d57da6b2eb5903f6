//! Bilinear resizing with antialiasing, as Pillow's `Image.crop(…).resize(…, BILINEAR)`.
//!
//! Equal within one grey level, but not bit for bit: the engine keeps weights in 16 bits where Pillow keeps them in 32.
//! Where exact ties of rounding abound (stripes of 0 and 255 at a scale such as 5/4), single values differ by 2.

use fast_image_resize::images::{TypedCroppedImage, TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions};

use crate::error::Error;
use crate::image::{Crop, Rgb8Image, Size};

/// Resizes images one after the other, keeping its intermediate buffer. One for each thread.
#[derive(Debug, Default)]
pub struct Resizer {
    engine: fast_image_resize::Resizer,
    /// After the horizontal pass: (crop height, out width, 3).
    narrowed: Vec<u8>,
}

impl Resizer {
    /// A resizer that holds no memory yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cuts `crop` out of `image` and resizes it to `out`, straight into `destination`, `(out.height, out.width, 3)`.
    /// The filter is a triangle whose support grows with the scale of reduction; pixels outside of the crop do
    /// not contribute, as in torchvision's `resized_crop`, which crops first.
    ///
    /// # Errors
    /// [`Error::Crop`] if the crop is empty or not inside the image; [`Error::Destination`].
    pub fn resize(&mut self, image: &Rgb8Image, crop: Crop, out: Size, destination: &mut [u8]) -> Result<(), Error> {
        out.check_destination(destination)?;
        let outside = || Error::Crop { image: image.size(), crop };
        if !crop.fits(image.size()) {
            return Err(outside());
        }
        let source = pixels(image.size(), image.pixels())?;
        let source =
            TypedCroppedImage::new(source, crop.left, crop.top, crop.width, crop.height).map_err(|_| outside())?;
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
        let mut out_view = pixels_mut(out, destination)?;
        if crop.width == out.width || crop.height == out.height {
            return self.engine.resize_typed(&source, &mut out_view, &options).map_err(|_| outside());
        }
        // Pillow rounds to 8 bits between its passes and takes the horizontal one first; the engine would take
        // the vertical one first. In two calls of one pass each, the order is Pillow's.
        let narrow = Size::new(out.width, crop.height);
        self.narrowed.resize(narrow.bytes(), 0);
        let mut narrowed = pixels_mut(narrow, &mut self.narrowed)?;
        self.engine.resize_typed(&source, &mut narrowed, &options).map_err(|_| outside())?;
        self.engine.resize_typed(&narrowed, &mut out_view, &options).map_err(|_| outside())
    }
}

fn pixels(size: Size, bytes: &[u8]) -> Result<TypedImageRef<'_, U8x3>, Error> {
    TypedImageRef::from_buffer(size.width, size.height, bytes).map_err(|_| wrong_length(size, bytes.len()))
}

fn pixels_mut(size: Size, bytes: &mut [u8]) -> Result<TypedImage<'_, U8x3>, Error> {
    let got = bytes.len();
    TypedImage::from_buffer(size.width, size.height, bytes).map_err(|_| wrong_length(size, got))
}

fn wrong_length(size: Size, got: usize) -> Error {
    Error::Pixels { size, expected: size.bytes(), got }
}
