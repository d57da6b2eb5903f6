//! One image from its file to its place in a batch.

use std::path::Path;

use in18_dataset::{Error, ImageReader, ImageSet};
use in18_jpeg::{Crop, Decoder, Resizer, Rgb8Image, Size, center_crop, flip_horizontal};

use crate::crop::FlipAndCrop;
use crate::error::LoadError;
use crate::plan::Transform;
use crate::rect::resized_for_validation;

/// All the memory that a worker needs, kept from image to image.
#[derive(Default)]
pub(crate) struct Pipeline {
    reader: ImageReader,
    decoder: Decoder,
    decoded: Rgb8Image,
    resizer: Resizer,
    /// Validation's image before its centre crop.
    resized: Rgb8Image,
}

impl Pipeline {
    /// The file that was last begun.
    pub(crate) fn path(&self) -> &Path {
        self.reader.path()
    }

    /// Reads, decodes and transforms image number `image` of `set` into `slot`, `(size.height, size.width, 3)`.
    pub(crate) fn load(
        &mut self,
        set: &ImageSet,
        image: u32,
        transform: Transform,
        size: Size,
        slot: &mut [u8],
    ) -> Result<(), LoadError> {
        self.reader.read(set, image as usize)?;
        let pixels = self.pixels(image, transform, size, slot);
        pixels.map_err(|source| Error::Image { path: self.reader.path().to_owned(), source }.into())
    }

    fn pixels(
        &mut self,
        image: u32,
        transform: Transform,
        size: Size,
        slot: &mut [u8],
    ) -> Result<(), in18_jpeg::Error> {
        let file = self.reader.bytes();
        match transform {
            Transform::Train(a) => {
                let draw = |from| FlipAndCrop::draw(a.seed, a.epoch, image, from, a.min_scale);
                let crop = self.decoder.decode_region(file, &mut self.decoded, |from| draw(from).crop)?;
                let FlipAndCrop { flip, .. } = draw(self.decoded.size());
                self.resizer.resize(&self.decoded, crop, size, slot)?;
                if flip {
                    flip_horizontal(slot, size.width);
                }
            }
            Transform::Validate { sz } => {
                self.decoder.decode(file, &mut self.decoded)?;
                let from = self.decoded.size();
                // A strip one pixel high would become millions of pixels long.
                let to = resized_for_validation(from, sz).checked()?;
                self.resizer.resize(&self.decoded, Crop::whole(from), to, self.resized.reset(to))?;
                center_crop(&self.resized, size, slot)?;
            }
        }
        Ok(())
    }
}
