//! What lies in a shard around its images: headers and labels before them, padding and the
//! archive's end behind them.

use std::io;

use super::BLOCK;
use super::index::{PackedImage, Shard};

/// What is in a shard before an image and in no image.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Gap {
    /// Where the image's block begins: behind the padding of the image before.
    start: u64,
    /// Whether no image comes after this one in its shard.
    is_last: bool,
}

/// What lies before every image.
pub(super) fn gaps(images: &[PackedImage]) -> Vec<Gap> {
    let mut order: Vec<usize> = (0..images.len()).collect();
    order.sort_by_key(|&image| (images[image].shard, images[image].offset));
    let mut gaps = vec![Gap::default(); images.len()];
    for (position, &image) in order.iter().enumerate() {
        let is_in_shard = |other: &&usize| images[**other].shard == images[image].shard;
        let before = position.checked_sub(1).map(|before| &order[before]).filter(is_in_shard);
        gaps[image] = Gap {
            start: before.map_or(0, |&before| padded_end(&images[before])),
            is_last: order.get(position + 1).filter(is_in_shard).is_none(),
        };
    }
    gaps
}

/// Compares what lies around an image with the checksums that are known; says what does not fit.
/// `checksum` gives that of a shard's bytes, from an offset on and of a length.
pub(super) fn check(
    image: &PackedImage,
    gap: &Gap,
    shard: &Shard,
    mut checksum: impl FnMut(u64, u64) -> io::Result<u32>,
) -> Result<(), String> {
    let mut read = |start: u64, end: u64| match end.checked_sub(start) {
        Some(length) => checksum(start, length).map_err(|error| error.to_string()),
        None => Err("an image that begins before the one before it ends".to_owned()),
    };
    let differ = |what: &str| Err(format!("another {what} than was written"));
    if let Some(checksums) = image.checksums {
        if read(gap.start, image.offset)? != checksums.before {
            return differ("header or label");
        }
        let (end, padded) = (image.end().unwrap_or(u64::MAX), padded_end(image));
        let zeros = [0; BLOCK as usize];
        if read(end, padded)? != crc32c::crc32c(&zeros[..(padded - end) as usize]) {
            return differ("padding");
        }
    }
    if let (true, Some(expected)) = (gap.is_last, shard.end)
        && read(padded_end(image), shard.bytes)? != expected
    {
        return differ("end of the shard behind it");
    }
    Ok(())
}

fn padded_end(image: &PackedImage) -> u64 {
    image.end().map_or(u64::MAX, |end| end.next_multiple_of(BLOCK))
}
