//! One image from its file to its place in a batch.

use std::path::Path;

use in18_dataset::{Error, ImageReader, ImageSet};
use in18_image::{Crop, Decoder, Orientation, Resizer, Rgb8Image, Size, center_crop, flip_horizontal};

use crate::crop::FlipAndCrop;
use crate::error::LoadError;
use crate::plan::{Augmentation, Transform};
use crate::rect::resized_for_validation;
use crate::stages::{StageTimes, Stopwatch};
use crate::{erase, jitter};

/// All the memory that a worker needs. It is used again for each image.
#[derive(Default)]
pub(crate) struct Pipeline {
    reader: ImageReader,
    decoder: Decoder,
    decoded: Rgb8Image,
    /// The decoded image, turned as its EXIF orientation says.
    upright: Rgb8Image,
    resizer: Resizer,
    /// The resized image of a validation, before its centre crop.
    resized: Rgb8Image,
    times: StageTimes,
}

impl Pipeline {
    /// The file of the latest image.
    pub(crate) fn path(&self) -> &Path {
        self.reader.path()
    }

    /// Where the time went since the last call.
    pub(crate) fn take_times(&mut self) -> StageTimes {
        std::mem::take(&mut self.times)
    }

    /// Reads, decodes and transforms image number `image` of `set` into `slot`,
    /// `(size.height, size.width, 3)`.
    pub(crate) fn load(
        &mut self,
        set: &ImageSet,
        image: u32,
        transform: Transform,
        size: Size,
        slot: &mut [u8],
    ) -> Result<(), LoadError> {
        let mut watch = Stopwatch::start();
        let read = self.reader.read(set, image as usize).map(|_| ());
        self.times.read += watch.lap();
        read?;
        let pixels = self.pixels(image, transform, size, slot, set.exif(), watch);
        pixels.map_err(|source| Error::Image { path: self.reader.path().to_owned(), source }.into())
    }

    fn pixels(
        &mut self,
        image: u32,
        transform: Transform,
        size: Size,
        slot: &mut [u8],
        exif: bool,
        mut watch: Stopwatch,
    ) -> Result<(), in18_image::Error> {
        let file = self.reader.bytes();
        let orientation = if exif { Orientation::of(file) } else { Orientation::UPRIGHT };
        match transform {
            Transform::Train(augmentation) => {
                let draw = |from| FlipAndCrop::draw(&augmentation, image, orientation.turned(from));
                let region = |from| orientation.stored_region(draw(from).crop, from);
                let crop = self.decoder.decode_region(file, &mut self.decoded, region)?;
                self.times.decode += watch.lap();
                let FlipAndCrop { flip, .. } = draw(self.decoded.size());
                if orientation.is_upright() {
                    self.resizer.resize(&self.decoded, crop, size, slot)?;
                } else {
                    orientation.turn(&self.decoded, crop, &mut self.upright);
                    self.resizer.resize(&self.upright, Crop::whole(self.upright.size()), size, slot)?;
                }
                if flip {
                    flip_horizontal(slot, size.width);
                }
                let Augmentation { seed, epoch, jitter, .. } = augmentation;
                for (change, factor) in jitter::draw(jitter, seed, epoch, image).into_iter().flatten() {
                    change.apply(factor, slot);
                }
                if let Some(area) = erase::draw(&augmentation, image, size) {
                    erase::erase(area, size.width, slot);
                }
            }
            Transform::Validate { short } => {
                self.decoder.decode(file, &mut self.decoded)?;
                self.times.decode += watch.lap();
                let whole = Crop::whole(self.decoded.size());
                let upright = if orientation.is_upright() {
                    &self.decoded
                } else {
                    orientation.turn(&self.decoded, whole, &mut self.upright);
                    &self.upright
                };
                let from = upright.size();
                // Without this check, a strip one pixel high would become millions of pixels long.
                let to = resized_for_validation(from, short).checked()?;
                self.resizer.resize(upright, Crop::whole(from), to, self.resized.reset(to))?;
                center_crop(&self.resized, size, slot)?;
            }
        }
        self.times.resize += watch.lap();
        self.times.images += 1;
        self.times.pixels += self.decoded.size().pixels();
        Ok(())
    }
}
