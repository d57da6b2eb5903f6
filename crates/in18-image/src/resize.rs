//! Bilinear resizing with antialiasing, like Pillow's `Image.crop(…).resize(…, BILINEAR)`.
//!
//! Results equal Pillow's within one grey level, but not bit for bit: fast_image_resize (the
//! engine) keeps weights in 16 bits, Pillow in 32. Where exact ties of rounding are frequent
//! (stripes of 0 and 255 at a scale such as 5/4), single values differ by 2.
//!
//! The horizontal pass takes most of the time. With AVX2 our own code computes it. Its results are
//! the engine's to the bit, in a half to a third of the engine's time.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod weights;

use fast_image_resize::images::{TypedCroppedImage, TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions};

use crate::error::Error;
use crate::geometry::{Crop, Size};
use crate::image::Rgb8Image;

use weights::Weights;

/// Resizes one image after the other, and keeps its intermediate buffer. Use one resizer per
/// thread.
#[derive(Debug, Default)]
pub struct Resizer {
    engine: fast_image_resize::Resizer,
    weights: Weights,
    /// The result of the horizontal pass: (crop height, out width, 3).
    narrowed: Vec<u8>,
    /// Scratch memory of the horizontal pass.
    spare: Vec<u8>,
}

impl Resizer {
    /// A resizer that holds no memory yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cuts `crop` out of `image` and resizes it to `out`, straight into `destination`,
    /// `(out.height, out.width, 3)`. The filter is a triangle whose support grows with the scale of
    /// reduction. Pixels outside of the crop do not contribute, as in torchvision's `resized_crop`,
    /// which crops first.
    ///
    /// # Errors
    /// [`Error::Crop`] if the crop is empty or not inside the image; [`Error::Destination`].
    pub fn resize(&mut self, image: &Rgb8Image, crop: Crop, out: Size, destination: &mut [u8]) -> Result<(), Error> {
        out.check_destination(destination)?;
        let outside = || Error::Crop { image: image.size(), crop };
        if !crop.fits(image.size()) {
            return Err(outside());
        }
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
        let mut out_view = pixels_mut(out, destination)?;
        if crop.width == out.width || crop.height == out.height {
            let source = cropped(image, crop)?;
            return self.engine.resize_typed(&source, &mut out_view, &options).map_err(|_| outside());
        }
        // Pillow runs the horizontal pass first, and rounds to 8 bits between its passes. The
        // engine would run the vertical pass first. Two calls of one pass each give Pillow's order.
        let narrow = Size::new(out.width, crop.height);
        self.narrowed.resize(narrow.bytes(), 0);
        let is_done = self.narrow(image, crop, out.width);
        let mut narrowed = pixels_mut(narrow, &mut self.narrowed)?;
        if !is_done {
            let source = cropped(image, crop)?;
            self.engine.resize_typed(&source, &mut narrowed, &options).map_err(|_| outside())?;
        }
        self.engine.resize_typed(&narrowed, &mut out_view, &options).map_err(|_| outside())
    }
}

impl Resizer {
    /// The horizontal pass by our own code. False if that code does not fit this processor or
    /// scale.
    #[cfg(target_arch = "x86_64")]
    fn narrow(&mut self, image: &Rgb8Image, crop: Crop, width: u32) -> bool {
        self.weights.compute(crop.width, width);
        let stride = image.size().width as usize * 3;
        let rows = avx2::Rows {
            pixels: &image.pixels()[crop.top as usize * stride + crop.left as usize * 3..],
            stride,
            count: crop.height as usize,
        };
        avx2::narrow(rows, &self.weights, &mut self.narrowed, &mut self.spare)
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn narrow(&mut self, _: &Rgb8Image, _: Crop, _: u32) -> bool {
        false
    }
}

fn cropped(image: &Rgb8Image, crop: Crop) -> Result<TypedCroppedImage<'_, TypedImageRef<'_, U8x3>>, Error> {
    let source = pixels(image.size(), image.pixels())?;
    let cropped = TypedCroppedImage::new(source, crop.left, crop.top, crop.width, crop.height);
    cropped.map_err(|_| Error::Crop { image: image.size(), crop })
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn the_horizontal_pass_is_the_engines_to_the_bit(
            (width, height) in (1..400_u32, 1..40_u32),
            (left, top, right, bottom) in (0.0..1.0, 0.0..1.0, 0.0..1.0, 0.0..1.0),
            out in 1..300_u32,
            seed in any::<u32>(),
        ) {
            let size = Size::new(width, height);
            let bytes = (0..size.bytes() as u32).map(|n| (n ^ seed).wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
            let image = Rgb8Image::from_pixels(size, bytes).unwrap();
            let within = |start: f64, length: f64, whole: u32| {
                let start = (start * f64::from(whole)) as u32;
                (start, 1 + (length * f64::from(whole - start - 1)) as u32)
            };
            let ((left, width), (top, height)) = (within(left, right, width), within(top, bottom, height));
            let crop = Crop { left, top, width, height };
            prop_assume!(width != out);
            let narrow = Size::new(out, height);
            let mut resizer = Resizer::new();
            resizer.narrowed.resize(narrow.bytes(), 0);
            let mut expected = vec![0; narrow.bytes()];
            if resizer.narrow(&image, crop, out) {
                let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
                let mut view = pixels_mut(narrow, &mut expected).unwrap();
                resizer.engine.resize_typed(&cropped(&image, crop).unwrap(), &mut view, &options).unwrap();
                prop_assert_eq!(&resizer.narrowed, &expected);
            }
        }
    }
}
