//! Every byte that is known and every pixel that can be decoded.

use std::num::NonZeroUsize;
use std::path::Path;

use in18_jpeg::{Decoder, Rgb8Image};

use crate::error::Error;
use crate::packed::Packed;
use crate::read::ImageReader;
use crate::set::{ImageSet, Source};
use crate::tars::BLOCK;

impl ImageSet {
    /// What is wrong with the images that something is wrong with, in their order: decodes each of them whole, and compares
    /// what lies in prepared shards with its checksums, to the last bit.
    pub fn verify(&self, threads: NonZeroUsize) -> Vec<Error> {
        let gaps = match &self.source {
            Source::Packed(packed) => Some((packed, gaps(packed))),
            Source::Folders(_) | Source::Tables(_) => None,
        };
        let found = self.each(threads, Buffers::default, |buffers, image| {
            let decoded = buffers.decode(self, image);
            let whole = decoded.and_then(|()| match &gaps {
                Some((packed, gaps)) => buffers
                    .around(packed, &gaps[image], image)
                    .map_err(|got| Error::Around { path: self.path(image), got }),
                None => Ok(()),
            });
            whole.err()
        });
        let mut found: Vec<Error> = found.into_iter().flatten().collect();
        if let Source::Packed(packed) = &self.source {
            found.extend(empty_shards(packed, self.root()));
        }
        found
    }
}

/// What is wrong with shards that hold no image, since none could be read when they were prepared.
fn empty_shards(packed: &Packed, root: &Path) -> Vec<Error> {
    let index = packed.index();
    let mut has_images = vec![false; index.shards.len()];
    index.images.iter().for_each(|image| has_images[image.shard as usize] = true);
    let mut bytes = Vec::new();
    let mut found = Vec::new();
    for (number, shard) in index.shards.iter().enumerate().filter(|(number, _)| !has_images[*number]) {
        let path = root.join(&shard.name);
        match (packed.read_at(number, 0, shard.bytes as usize, &mut bytes), shard.end) {
            (Err(source), _) => found.push(Error::Unreadable { path, source }),
            (Ok(()), Some(end)) if crc32c::crc32c(&bytes) != end => {
                found.push(Error::Around { path, got: "another shard than was written".to_owned() });
            }
            (Ok(()), _) => {}
        }
    }
    found
}

/// What is in a shard and in no image.
#[derive(Debug, Clone, Copy, Default)]
struct Gap {
    /// Where the image's block begins: behind the padding of the one before.
    start: u64,
    is_last: bool,
}

/// What lies before every image, and whether none comes after it in its shard.
fn gaps(packed: &Packed) -> Vec<Gap> {
    let images = &packed.index().images;
    let mut order: Vec<usize> = (0..images.len()).collect();
    order.sort_by_key(|&image| (images[image].shard, images[image].offset));
    let mut gaps = vec![Gap::default(); images.len()];
    for (position, &image) in order.iter().enumerate() {
        let is_in_shard = |other: &&usize| images[**other].shard == images[image].shard;
        let before = position.checked_sub(1).map(|before| &order[before]).filter(is_in_shard);
        gaps[image] = Gap {
            start: before.map_or(0, |&before| padded_end(packed, before)),
            is_last: order.get(position + 1).filter(is_in_shard).is_none(),
        };
    }
    gaps
}

fn padded_end(packed: &Packed, image: usize) -> u64 {
    packed.index().images[image].end().map_or(u64::MAX, |end| end.next_multiple_of(BLOCK))
}

#[derive(Default)]
struct Buffers {
    reader: ImageReader,
    decoder: Decoder,
    decoded: Rgb8Image,
    bytes: Vec<u8>,
}

impl Buffers {
    fn decode(&mut self, set: &ImageSet, image: usize) -> Result<(), Error> {
        let file = self.reader.read(set, image)?;
        let decoded = self.decoder.decode(file, &mut self.decoded);
        decoded.map_err(|source| Error::Image { path: self.reader.path().to_owned(), source })
    }

    /// Compares what lies around an image; says what does not fit.
    fn around(&mut self, packed: &Packed, gap: &Gap, image: usize) -> Result<(), String> {
        let packed_image = packed.index().images[image];
        let shard = &packed.index().shards[packed_image.shard as usize];
        let mut read = |start: u64, end: u64| match end.checked_sub(start) {
            Some(length) => packed
                .read_at(packed_image.shard as usize, start, length as usize, &mut self.bytes)
                .map(|()| crc32c::crc32c(&self.bytes))
                .map_err(|error| error.to_string()),
            None => Err("an image that begins before the one before it ends".to_owned()),
        };
        let differ = |what: &str| Err(format!("another {what} than was written"));
        if let Some(checksums) = packed_image.checksums {
            if read(gap.start, packed_image.offset)? != checksums.before {
                return differ("header or label");
            }
            let (end, padded) = (packed_image.end().unwrap_or(u64::MAX), padded_end(packed, image));
            let zeros = [0; BLOCK as usize];
            if read(end, padded)? != crc32c::crc32c(&zeros[..(padded - end) as usize]) {
                return differ("padding");
            }
        }
        if let (true, Some(expected)) = (gap.is_last, shard.end)
            && read(padded_end(packed, image), shard.bytes)? != expected
        {
            return differ("end of the shard behind it");
        }
        Ok(())
    }
}
