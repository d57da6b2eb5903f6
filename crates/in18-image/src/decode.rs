//! Decodes the bytes of either format to pixels.

use crate::error::Error;
use crate::format::{Format, sniff};
use crate::geometry::{Crop, Size};
use crate::image::{Rgb8Image, chosen};
use crate::orientation::Orientation;
use crate::{jpeg, png};

/// The size that `bytes` announce. Reads only the header, so the start of a file is enough.
///
/// # Errors
/// [`Error::Format`] for other formats. [`Error::Truncated`] if the header does not end inside
/// `bytes` (more of the file may help). [`Error::Damaged`], [`Error::Unsupported`].
pub fn header(bytes: &[u8]) -> Result<Size, Error> {
    match sniff(bytes)? {
        Format::Jpeg => jpeg::header(bytes),
        Format::Png => png::header(bytes),
    }
}

/// Decodes one image after the other, and keeps scratch memory between them. Use one decoder per
/// thread.
#[derive(Debug, Default)]
pub struct Decoder {
    jpeg: jpeg::Decoder,
    /// The channels of a PNG as the file has them, if they are not RGB: (H, W, 1, 2 or 4).
    scratch: Vec<u8>,
}

impl Decoder {
    /// A decoder that holds no memory yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes `bytes` into `image`, whose buffer is reused. As in Pillow, grey is replicated,
    /// alpha dropped, CMYK and YCCK converted. EXIF orientation and colour profiles are ignored.
    ///
    /// # Errors
    /// Any [`Error`] about the image; `image` then holds unspecified pixels.
    pub fn decode(&mut self, bytes: &[u8], image: &mut Rgb8Image) -> Result<(), Error> {
        self.decode_region(bytes, image, Crop::whole).map(|_| ())
    }

    /// Like [`decode`](Self::decode), but turns the image as the file's EXIF orientation says, and
    /// returns that orientation. `scratch` is overwritten.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_upright(
        &mut self,
        bytes: &[u8],
        image: &mut Rgb8Image,
        scratch: &mut Rgb8Image,
    ) -> Result<Orientation, Error> {
        self.decode(bytes, image)?;
        let orientation = Orientation::of(bytes);
        if !orientation.is_upright() {
            orientation.turn(image, Crop::whole(image.size()), scratch);
            std::mem::swap(image, scratch);
        }
        Ok(orientation)
    }

    /// Writes another file with the coefficients of a JPEG, whose regions can be decoded fast:
    /// baseline, in one scan, with a restart every [`RESTART_INTERVAL`](crate::RESTART_INTERVAL)
    /// MCUs, without metadata. `None` for a PNG, and if the pixels of the new file are not those of
    /// `expected`, which [`decode`](Self::decode) made from `bytes`. (Some damaged files cannot be
    /// rewritten.) `scratch` is overwritten.
    pub fn rewrite(&mut self, bytes: &[u8], expected: &Rgb8Image, scratch: &mut Rgb8Image) -> Option<Vec<u8>> {
        if sniff(bytes) != Ok(Format::Jpeg) {
            return None;
        }
        let rewritten = self.jpeg.rewrite(bytes)?;
        self.decode(&rewritten, scratch).ok()?;
        (scratch == expected).then_some(rewritten)
    }

    /// Decodes at least a region, and returns the region. `choose` picks the region once the
    /// image's size is known. Pixels inside are those that [`decode`](Self::decode) gives; pixels
    /// outside are unspecified.
    ///
    /// In a JPEG that is whole (its last bytes say that it ends there), data after the region is
    /// not read, so damage there goes unnoticed. Truncated files are refused as by
    /// [`decode`](Self::decode).
    ///
    /// # Errors
    /// As [`decode`](Self::decode); [`Error::Crop`] if the region is empty or not inside the image.
    pub fn decode_region(
        &mut self,
        bytes: &[u8],
        image: &mut Rgb8Image,
        choose: impl FnOnce(Size) -> Crop,
    ) -> Result<Crop, Error> {
        match sniff(bytes)? {
            Format::Jpeg => self.jpeg.decode(bytes, image, choose),
            Format::Png => {
                png::decode(bytes, &mut self.scratch, image)?;
                chosen(image.size(), choose)
            }
        }
    }
}
