//! Every byte that is known and every pixel that can be decoded.

use std::num::NonZeroUsize;

use in18_image::{Decoder, Rgb8Image};

use crate::error::Error;
use crate::read::ImageReader;
use crate::set::ImageSet;

impl ImageSet {
    /// What is wrong with the images that something is wrong with, in their order. Decodes each
    /// image whole, and compares what lies in prepared shards with its checksums, to the last bit.
    pub fn verify(&self, threads: NonZeroUsize) -> Vec<Error> {
        let found = self.each(threads, Buffers::default, |buffers, image| buffers.check(self, image).err());
        found.into_iter().flatten().chain(self.source().check_without_images()).collect()
    }
}

#[derive(Default)]
struct Buffers {
    reader: ImageReader,
    decoder: Decoder,
    decoded: Rgb8Image,
    bytes: Vec<u8>,
}

impl Buffers {
    fn check(&mut self, set: &ImageSet, image: usize) -> Result<(), Error> {
        let Self { reader, decoder, decoded, bytes } = self;
        let path = || set.path(image);
        let file = reader.read(set, image)?;
        decoder.decode(file, decoded).map_err(|source| Error::Image { path: path(), source })?;
        set.source().check_around(image, bytes).map_err(|got| Error::Around { path: path(), got })
    }
}
