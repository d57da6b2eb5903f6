//! Bits of entropy-coded data (T.81 F.2.2.5; libjpeg-turbo's jdhuff.c, `jpeg_fill_bit_buffer` and
//! `FILL_BIT_BUFFER_FAST`).
//!
//! Pillow refuses some files that end without a marker. Which ones depends on how far libjpeg reads
//! ahead: it gives up when it wants more bytes than there are, needed or not. So this file fetches
//! bytes at the same moments and in the same numbers as libjpeg.

use super::huffman::{LOOK, Table};

/// The data ended, but more was needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Starved;

/// The number of bytes that Pillow hands to libjpeg at a time.
pub(super) const CHUNK: usize = 1 << 16;

/// The fewest bits that libjpeg's careful reading fetches.
const CAREFUL: u32 = 57;

/// Bits that were fetched but not used yet.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bits {
    /// The next bits, from the top; below them zeros.
    pub ahead: u64,
    /// The number of bits in `ahead` that were read from the file.
    pub left: u32,
    /// Offset of the next byte.
    pub at: usize,
    /// The number of zero bits that fast reading made up after a marker or the end. `left` counts
    /// them too.
    pub made_up: u32,
}

impl Bits {
    /// Takes the next `count` bits, 1 to 16, which must have been fetched.
    #[inline(always)]
    pub fn take(&mut self, count: u32) -> u32 {
        let bits = self.ahead >> (64 - count);
        self.skip(count);
        bits as u32
    }

    /// Skips `count` bits, which must have been fetched.
    #[inline(always)]
    pub fn skip(&mut self, count: u32) {
        self.ahead <<= count;
        self.left -= count;
    }

    /// Ensures that there are at least 17 bits. Fetches six bytes if there are fewer.
    #[inline(always)]
    pub fn refill(&mut self, data: &[u8]) {
        if self.left > 16 {
            return;
        }
        if let Some(bytes) = data.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
            let six = u64::from_be_bytes(*bytes) >> 16;
            if !holds_ff(six) {
                self.ahead |= six << (16 - self.left);
                self.left += 48;
                self.at += 6;
                return;
            }
        }
        *self = self.refill_bytewise(data);
    }

    /// Like [`refill`](Self::refill), if a byte is 0xff or the end is near.
    #[cold]
    #[inline(never)]
    fn refill_bytewise(mut self, data: &[u8]) -> Self {
        for _ in 0..6 {
            let byte = match data.get(self.at..) {
                Some(&[0xff, 0, ..]) => {
                    self.at += 2;
                    0xff
                }
                None | Some(&[] | &[0xff, ..]) => {
                    self.made_up += 8;
                    0
                }
                Some(&[byte, ..]) => {
                    self.at += 1;
                    byte
                }
            };
            self.ahead |= u64::from(byte) << (56 - self.left);
            self.left += 8;
        }
        self
    }
}

/// Whether any byte of `word` is 0xff.
#[inline(always)]
fn holds_ff(word: u64) -> bool {
    // A byte of the inverse is zero (found with the trick of T. Mycroft).
    let inverse = !word;
    inverse.wrapping_sub(0x0101_0101_0101_0101) & word & 0x8080_8080_8080_8080 != 0
}

/// A file being read.
#[derive(Debug, Clone)]
pub(super) struct Stream<'a> {
    pub data: &'a [u8],
    /// How much of `data` may be read so far.
    pub limit: usize,
    pub bits: Bits,
    /// A marker that was found but not handled yet, or 0.
    pub marker: u8,
    /// Whether bits were made up since the last restart, because a marker came too soon.
    pub made_up: bool,
    /// Whether the file ends with the marker that ends an image.
    ends_well: bool,
}

impl<'a> Stream<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        let ends_well = data.ends_with(&[0xff, 0xd9]);
        Self { data, limit: data.len(), bits: Bits::default(), marker: 0, made_up: false, ends_well }
    }

    /// Prepares for a scan. `in_chunks`: it matters how much of the file Pillow has read when the
    /// scan ends.
    pub fn begin_scan(&mut self, in_chunks: bool) {
        self.drop_bits();
        self.made_up = false;
        if in_chunks && !self.ends_well {
            self.limit = self.bits.at.next_multiple_of(CHUNK).min(self.data.len());
        }
    }

    /// Allows another chunk of the file to be read. Returns whether there was one.
    pub fn read_on(&mut self) -> bool {
        let more = self.limit < self.data.len();
        self.limit = self.data.len().min(self.limit + CHUNK);
        more
    }

    /// Whether no marker ahead is known, and `enough` bytes may be read.
    #[inline(always)]
    pub fn has_ahead(&self, enough: usize) -> bool {
        self.marker == 0 && self.limit - self.bits.at >= enough
    }

    /// Whether no marker ahead is known, and the file ends correctly, so that its end does not
    /// matter.
    #[inline(always)]
    pub fn ends_well(&self) -> bool {
        self.marker == 0 && self.ends_well
    }

    /// Drops the fetched bits. Their bytes are not read again.
    pub fn drop_bits(&mut self) {
        self.bits = Bits { at: self.bits.at, ..Bits::default() };
    }

    /// Fetches as many bytes as fit. There are none after a marker: if fewer than `needed` bits are
    /// left then, zeros are made up.
    pub fn fill(&mut self, needed: u32) -> Result<(), Starved> {
        if self.marker == 0 && (self.fill_wordwise() || self.fill_bytewise()?) {
            return Ok(());
        }
        if needed > self.bits.left {
            self.made_up = true;
            self.bits.left = CAREFUL;
        }
        Ok(())
    }

    /// Fills from the next eight bytes, unless one of them is 0xff.
    fn fill_wordwise(&mut self) -> bool {
        let Bits { left, at, .. } = self.bits;
        let Some(bytes) = self.data[..self.limit].get(at..).and_then(<[u8]>::first_chunk::<8>) else {
            return false;
        };
        let word = u64::from_be_bytes(*bytes);
        if left >= CAREFUL || holds_ff(word) {
            return false;
        }
        let fetched = (64 - left) / 8 * 8;
        self.bits.ahead |= (word >> (64 - fetched) << (64 - fetched)) >> left;
        self.bits.left += fetched;
        self.bits.at += fetched as usize / 8;
        true
    }

    /// Fills byte by byte. False if a marker came before enough bytes.
    fn fill_bytewise(&mut self) -> Result<bool, Starved> {
        while self.bits.left < CAREFUL {
            let mut byte = self.byte()?;
            if byte == 0xff {
                // Any number of 0xff may precede a marker and also, against the standard, a stuffed
                // zero.
                while byte == 0xff {
                    byte = self.byte()?;
                }
                if byte != 0 {
                    self.marker = byte;
                    return Ok(false);
                }
                byte = 0xff;
            }
            self.bits.ahead |= u64::from(byte) << (56 - self.bits.left);
            self.bits.left += 8;
        }
        Ok(true)
    }

    /// The offset of the first marker at or after `from`, within the part of the file that may be
    /// read so far. The byte after this offset is the marker's number.
    pub fn marker_at(&self, from: usize) -> Option<usize> {
        let data = &self.data[..self.limit];
        // 0xff before a zero is stuffing. 0xff before another 0xff belongs to a later marker.
        let is_marker = |at: &usize| !matches!(data.get(at + 1), Some(0 | 0xff));
        let found = memchr::memchr_iter(0xff, data.get(from..)?).map(|at| from + at).find(is_marker);
        found.filter(|at| at + 1 < data.len())
    }

    /// The next byte of the file.
    pub fn byte(&mut self) -> Result<u8, Starved> {
        if self.bits.at >= self.limit {
            return Err(Starved);
        }
        self.bits.at += 1;
        Ok(self.data[self.bits.at - 1])
    }

    /// The next `count` bits, 1 to 16.
    #[inline]
    pub fn take(&mut self, count: u32) -> Result<u32, Starved> {
        if self.bits.left < count {
            self.fill(count)?;
        }
        Ok(self.bits.take(count))
    }

    /// The next symbol.
    #[inline]
    pub fn symbol(&mut self, table: &Table) -> Result<u8, Starved> {
        let mut least = 1;
        if self.bits.left < 8 {
            self.fill(0)?;
        }
        if self.bits.left >= 8 {
            // libjpeg looks at eight bits here; more may not have been fetched.
            let entry = table.lookup[(self.bits.ahead >> 56 << (LOOK - 8)) as usize];
            if let Some((symbol, length)) = Table::short_symbol(entry) {
                self.bits.skip(length);
                return Ok(symbol);
            }
            least = 9;
        }
        self.search(table, least)
    }

    /// The next symbol, whose code has at least `least` bits.
    #[cold]
    fn search(&mut self, table: &Table, least: u32) -> Result<u8, Starved> {
        let mut length = least;
        let mut code = self.take(length)?;
        while table.precedes(code, length) {
            code = code << 1 | self.take(1)?;
            length += 1;
        }
        Ok(table.symbol_of(code, length))
    }
}

#[cfg(test)]
mod tests {
    use super::super::huffman::{Class, typical};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stuffed_zeros_are_dropped_and_markers_kept() {
        let mut stream = Stream::new(&[0xff, 0, 0x12, 0xff, 0xff, 0, 0x34, 0xff, 0xff, 0xd9, 0x56]);
        assert_eq!([(); 4].map(|()| stream.take(8)), [Ok(0xff), Ok(0x12), Ok(0xff), Ok(0x34)]);
        assert!(!stream.made_up);
        assert_eq!((stream.marker, stream.bits.at), (0xd9, 10));
        assert_eq!(stream.take(5), Ok(0));
        assert!(stream.made_up);
    }

    #[test]
    fn a_file_that_ends_without_a_marker_must_reach_as_far_as_libjpeg_reads() {
        // Seven bytes would be enough for 56 bits, but reading fetches at least 57.
        let mut stream = Stream::new(&[0x55; 7]);
        assert_eq!(stream.take(1), Err(Starved));
        let mut stream = Stream::new(&[0x55; 8]);
        for _ in 0..4 {
            assert_eq!(stream.take(16), Ok(0x5555));
        }
        assert_eq!(stream.take(1), Err(Starved));
        // A symbol needs eight bits ahead, however short its code is.
        let mut table = Table::default();
        table.build(Class::Dc, &typical(Class::Dc, 0).unwrap()).unwrap();
        let mut stream = Stream::new(&[0; 8]);
        for _ in 0..29 {
            assert_eq!(stream.symbol(&table), Ok(0));
        }
        assert_eq!((stream.bits.left, stream.symbol(&table)), (6, Err(Starved)));
    }

    #[test]
    fn no_more_than_the_limit_is_read() {
        let data = vec![1; CHUNK + 100];
        let mut stream = Stream::new(&data);
        stream.bits.at = CHUNK - 4;
        stream.begin_scan(true);
        assert_eq!(stream.limit, CHUNK);
        assert_eq!(stream.take(8), Err(Starved));
        assert!(stream.read_on());
        stream.bits.at = CHUNK - 4;
        stream.drop_bits();
        assert_eq!(stream.take(8), Ok(1));
        assert!(!stream.read_on());
    }

    proptest! {
        #[test]
        fn bytes_of_ones_are_found(bytes in any::<[u8; 8]>(), at in 0..8_usize, set: bool) {
            let mut bytes = bytes;
            if set {
                bytes[at] = 0xff;
            }
            prop_assert_eq!(holds_ff(u64::from_be_bytes(bytes)), bytes.contains(&0xff));
        }

        #[test]
        fn fast_and_careful_reading_see_the_same_bits(
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0xff), Just(0)], 0..60),
            counts in proptest::collection::vec(1..=16_u32, 1..60),
        ) {
            let data: Vec<u8> = bytes.iter().flat_map(|&b| if b == 0xff { vec![b, 0] } else { vec![b] }).collect();
            let data = [data, vec![0xff, 0xd9]].concat();
            let mut careful = Stream::new(&data);
            let mut fast = Bits::default();
            for count in counts {
                fast.refill(&data);
                if fast.made_up > 0 {
                    break;
                }
                prop_assert_eq!(careful.take(count), Ok(fast.take(count)));
            }
        }
    }
}
