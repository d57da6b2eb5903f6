//! Entropy-codes the data of scans, sequential (T.81 F.1.2) and progressive (T.81 G.1.2), one
//! restart interval at a time.

use super::huffman::Codes;
use super::picture::{Block, Picture};

/// The part of the coefficients that a scan codes.
#[derive(Clone, Debug)]
pub struct Scan {
    /// Indices of the components.
    pub of: Vec<usize>,
    /// First coefficient of the band, in zigzag order.
    pub first: u8,
    /// Last coefficient of the band.
    pub last: u8,
    /// The last bit that the previous scan coded; 0 in a first scan.
    pub high: u8,
    /// The last bit that this scan codes.
    pub low: u8,
}

impl Scan {
    /// A scan of whole blocks of some components.
    pub fn sequential(of: &[usize]) -> Self {
        Self { of: of.to_vec(), first: 0, last: 63, high: 0, low: 0 }
    }

    /// A scan of a band of one or more components, from bit `high` to bit `low`.
    pub fn band(of: &[usize], first: u8, last: u8, high: u8, low: u8) -> Self {
        Self { of: of.to_vec(), first, last, high, low }
    }
}

/// Huffman tables by number.
#[derive(Clone, Debug)]
pub struct Tables {
    pub dc: [Codes; 2],
    pub ac: [Codes; 2],
}

impl Tables {
    /// The tables of T.81 K.3. Of chrominance, only the table for DC coefficients.
    pub fn typical() -> Self {
        let ac = Codes::typical_ac();
        Self { dc: [Codes::typical_dc(false), Codes::typical_dc(true)], ac: [ac.clone(), ac] }
    }

    /// Tables with codes for every symbol, as progressive scans and damaged files need.
    pub fn every() -> Self {
        let (dc, ac) = (Codes::sizes(), Codes::every());
        Self { dc: [dc.clone(), dc], ac: [ac.clone(), ac] }
    }

    /// The number of a component's tables.
    pub fn number(component: usize) -> usize {
        usize::from(component == 1 || component == 2)
    }
}

/// The data of `scan` in intervals of `restart` MCUs, or in one interval if that is 0. A zero is
/// stuffed after each byte of ones. The caller writes the restart markers.
pub fn code(picture: &Picture, scan: &Scan, is_progressive: bool, tables: &Tables, restart: u16) -> Vec<Vec<u8>> {
    let mcus = picture.mcus(&scan.of);
    let interval = if restart == 0 { mcus.len().max(1) } else { usize::from(restart) };
    let code = |mcus: &[Vec<(usize, usize)>]| {
        let mut coder =
            Coder { scan, tables, bits: Bits::default(), dc: [0; 8], empty: 0, table: 0, corrections: vec![] };
        for &(index, at) in mcus.concat().iter() {
            let block = &picture.components[index].blocks[at];
            match (is_progressive, scan.first, scan.high) {
                (false, ..) => coder.whole(index, block),
                (true, 0, 0) => coder.dc(index, block[0] >> scan.low),
                (true, 0, _) => coder.bits.put((block[0] >> scan.low) as u32 & 1, 1),
                (true, _, 0) => coder.ac_first(index, block),
                (true, ..) => coder.ac_refine(index, block),
            }
        }
        coder.end_empty();
        coder.bits.finish()
    };
    mcus.chunks(interval).map(code).collect()
}

/// Packs bits into bytes, with a zero stuffed after each byte of ones.
#[derive(Debug, Default)]
pub struct Bits {
    bytes: Vec<u8>,
    pending: u32,
    count: u32,
}

impl Bits {
    /// Appends the low `count` bits of `value`, highest bit first.
    pub fn put(&mut self, value: u32, count: u32) {
        for n in (0..count).rev() {
            self.pending = self.pending << 1 | (value >> n & 1);
            self.count += 1;
            if self.count == 8 {
                self.bytes.push(self.pending as u8);
                if self.pending == 0xff {
                    self.bytes.push(0);
                }
                (self.pending, self.count) = (0, 0);
            }
        }
    }

    /// Fills the last byte with ones.
    pub fn finish(mut self) -> Vec<u8> {
        while self.count > 0 {
            self.put(1, 1);
        }
        self.bytes
    }
}

/// The state of an interval's coding.
struct Coder<'a> {
    scan: &'a Scan,
    tables: &'a Tables,
    bits: Bits,
    /// The last DC coefficient of each component.
    dc: [i16; 8],
    /// Number of finished blocks whose end is not yet written.
    empty: u32,
    /// Number of the table for writing these ends.
    table: usize,
    /// Correction bits of these blocks.
    corrections: Vec<u32>,
}

impl Coder<'_> {
    fn symbol(&mut self, codes: &Codes, symbol: u8) {
        let (code, length) = codes.of(symbol);
        self.bits.put(code, length);
    }

    /// Writes the low bits of a value of `size` bits (T.81 F.1.2.1).
    fn value(&mut self, value: i16, size: u8) {
        let value = i32::from(value);
        self.bits.put((if value < 0 { value - 1 } else { value }) as u32, u32::from(size));
    }

    fn dc(&mut self, component: usize, value: i16) {
        let difference = value.wrapping_sub(self.dc[component]);
        self.dc[component] = value;
        let size = size(difference);
        self.symbol(&self.tables.dc[Tables::number(component)], size);
        self.value(difference, size);
    }

    fn whole(&mut self, component: usize, block: &Block) {
        self.dc(component, block[0]);
        let codes = &self.tables.ac[Tables::number(component)];
        let mut run = 0;
        for &value in &block[1..] {
            if value == 0 {
                run += 1;
                continue;
            }
            while run > 15 {
                self.symbol(codes, 0xf0);
                run -= 16;
            }
            self.symbol(codes, run << 4 | size(value));
            self.value(value, size(value));
            run = 0;
        }
        if run > 0 {
            self.symbol(codes, 0);
        }
    }

    fn band(&self) -> std::ops::RangeInclusive<usize> {
        usize::from(self.scan.first)..=usize::from(self.scan.last)
    }

    fn ac_first(&mut self, component: usize, block: &Block) {
        self.table = Tables::number(component);
        let codes = &self.tables.ac[self.table];
        let mut run = 0;
        for value in &block[self.band()] {
            // Rounds towards zero, which a shift of a negative number does not.
            let value = value / (1 << self.scan.low);
            if value == 0 {
                run += 1;
                continue;
            }
            self.end_empty();
            while run > 15 {
                self.symbol(codes, 0xf0);
                run -= 16;
            }
            self.symbol(codes, run << 4 | size(value));
            self.value(value, size(value));
            run = 0;
        }
        if run > 0 {
            self.empty += 1;
            if self.empty == 0x7fff {
                self.end_empty();
            }
        }
    }

    fn ac_refine(&mut self, component: usize, block: &Block) {
        self.table = Tables::number(component);
        let codes = &self.tables.ac[self.table];
        let known = |value: i16| u32::from(value.unsigned_abs()) >> self.scan.low;
        let last_new = self.band().rev().find(|&n| known(block[n]) == 1).unwrap_or(0);
        let (mut run, mut corrections) = (0, Vec::new());
        for n in self.band() {
            let magnitude = known(block[n]);
            if magnitude == 0 {
                run += 1;
                continue;
            }
            while run > 15 && n <= last_new {
                self.end_empty();
                self.symbol(codes, 0xf0);
                run -= 16;
                corrections.drain(..).for_each(|bit| self.bits.put(bit, 1));
            }
            if magnitude > 1 {
                corrections.push(magnitude & 1);
                continue;
            }
            self.end_empty();
            self.symbol(codes, run << 4 | 1);
            self.bits.put(u32::from(block[n] >= 0), 1);
            corrections.drain(..).for_each(|bit| self.bits.put(bit, 1));
            run = 0;
        }
        if run > 0 || !corrections.is_empty() {
            self.empty += 1;
            self.corrections.append(&mut corrections);
            if self.empty == 0x7fff {
                self.end_empty();
            }
        }
    }

    /// Writes how many blocks have ended, and then their correction bits.
    fn end_empty(&mut self) {
        if self.empty == 0 {
            return;
        }
        let size = self.empty.ilog2();
        self.symbol(&self.tables.ac[self.table], (size as u8) << 4);
        self.bits.put(self.empty, size);
        self.corrections.drain(..).for_each(|bit| self.bits.put(bit, 1));
        self.empty = 0;
    }
}

/// The number of bits of a value.
pub fn size(value: i16) -> u8 {
    (16 - value.unsigned_abs().leading_zeros()) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_ones_are_stuffed_and_the_last_is_filled() {
        let mut bits = Bits::default();
        bits.put(0xff, 8);
        bits.put(0b010, 3);
        assert_eq!(bits.finish(), [0xff, 0, 0b0101_1111]);
    }

    #[test]
    fn restarts_divide_a_scan() {
        let picture = Picture::new("test", 35, 27, &[(2, 2), (1, 1), (1, 1)]);
        let intervals =
            |restart| code(&picture, &Scan::sequential(&[0, 1, 2]), false, &Tables::typical(), restart).len();
        assert_eq!([0, 1, 4, 6, 9].map(intervals), [1, 6, 2, 1, 1]);
    }
}
