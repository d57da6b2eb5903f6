//! An image in several sizes, as files.

use in18_image::{Crop, Decoder, Format, Orientation, RESTART_INTERVAL, Resizer, Rgb8Image, Size, sniff};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use super::PreparedSize;
use crate::read::ImageReader;
use crate::set::ImageSet;

/// An image as a file.
#[derive(Debug)]
pub(super) struct Encoded {
    pub bytes: Vec<u8>,
    pub size: Size,
    /// Whether it has the source's pixels.
    pub is_copy: bool,
    pub format: Format,
}

/// Buffers of a thread that prepares.
#[derive(Default)]
pub(super) struct Worker {
    reader: ImageReader,
    decoder: Decoder,
    decoded: Rgb8Image,
    rewriter: Decoder,
    scratch: Rgb8Image,
    resizer: Resizer,
    resized: Rgb8Image,
}

impl Worker {
    /// Makes an image's files of the given sizes; or says what is wrong with it, with its path.
    pub(super) fn encode(
        &mut self,
        set: &ImageSet,
        image: usize,
        sizes: impl Iterator<Item = PreparedSize>,
        quality: u8,
    ) -> Result<Vec<Encoded>, String> {
        let Worker { reader, decoder, decoded, rewriter, scratch, resizer, resized } = self;
        let file = reader.read(set, image).map_err(|error| error.to_string())?;
        let named = |said: String| format!("{}: {said}", set.path(image).display());
        let orientation = match set.exif() {
            true => decoder.decode_upright(file, decoded, scratch),
            false => decoder.decode(file, decoded).map(|()| Orientation::UPRIGHT),
        };
        let is_turned = !orientation.map_err(|error| named(error.to_string()))?.is_upright();
        // An orientation that is not applied must stay in the file.
        let keeps_file = !is_turned && !Orientation::of(file).is_upright();
        let format = sniff(file).map_err(|error| named(error.to_string()))?;
        let from = decoded.size();
        let mut rewritten = None;
        let mut rewrite = |decoded: &Rgb8Image| match keeps_file {
            true => file.to_owned(),
            false => rewriter.rewrite(file, decoded, scratch).unwrap_or_else(|| file.to_owned()),
        };
        let of_size = |size| {
            let to = match reduced(from, size) {
                Some(to) => to,
                None if !is_turned => {
                    let bytes = rewritten.get_or_insert_with(|| rewrite(decoded)).clone();
                    return Ok(Encoded { bytes, size: from, is_copy: true, format });
                }
                None => from,
            };
            let resizing = resizer.resize(decoded, Crop::whole(from), to, resized.reset(to));
            resizing.map_err(|error| named(error.to_string()))?;
            let bytes = encode(resized.pixels(), to, quality).map_err(named)?;
            Ok(Encoded { bytes, size: to, is_copy: false, format: Format::Jpeg })
        };
        sizes.map(of_size).collect()
    }
}

/// The size that an image of size `from` is reduced to; none if it stays.
fn reduced(from: Size, to: PreparedSize) -> Option<Size> {
    let PreparedSize::ShortSide(short) = to else { return None };
    let (short, least) = (short.get(), from.width.min(from.height));
    // To the nearest, as an exact fraction.
    let scaled =
        |side: u32| ((u64::from(side) * u64::from(short) * 2 + u64::from(least)) / (2 * u64::from(least))) as u32;
    (least > short).then(|| Size::new(scaled(from.width), scaled(from.height)))
}

/// A baseline JPEG of RGB pixels with chroma at half the resolution and frequent restarts; or why
/// there is none.
fn encode(pixels: &[u8], size: Size, quality: u8) -> Result<Vec<u8>, String> {
    // A PNG may be larger than any JPEG.
    let side = |pixels: u32| {
        u16::try_from(pixels).map_err(|_| format!("expected at most {} pixels a side, got {pixels}", u16::MAX))
    };
    let (width, height) = (side(size.width)?, side(size.height)?);
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, quality);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    // With optimised tables this encoder would write a scan for each component; such files decode
    // more slowly, and only whole.
    encoder.set_optimized_huffman_tables(false);
    encoder.set_restart_interval(RESTART_INTERVAL);
    encoder.encode(pixels, width, height, ColorType::Rgb).map_err(|error| error.to_string())?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_side_is_reduced_and_never_enlarged() {
        let to = |width, height| reduced(Size::new(width, height), "160".parse().unwrap());
        assert_eq!(to(500, 375), Some(Size::new(213, 160)));
        assert_eq!(to(320, 1000), Some(Size::new(160, 500)));
        assert_eq!((to(160, 700), to(90, 100)), (None, None));
        assert_eq!(reduced(Size::new(500, 375), PreparedSize::Full), None);
    }
}
