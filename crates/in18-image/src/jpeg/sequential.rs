//! Sequential scans (T.81 F.2; libjpeg-turbo's jdhuff.c). An MCU is decoded fast if there is no
//! marker ahead. Otherwise, or if the fast attempt fails, it is decoded carefully.

use std::ops::Range;

use super::bits::{Bits, Starved, Stream};
use super::coefficients::Coefficients;
use super::frame::BLOCK;
use super::huffman::{Table, extend};
use super::markers::ZIGZAG;
use super::scan::{Layout, McuBlock, Memory, Restarts, Tables};

/// Bytes per block of an MCU that libjpeg requires ahead before it decodes fast.
const AHEAD: usize = 512;

/// A sequential scan being decoded.
#[derive(Debug)]
pub(super) struct Sequential<'a> {
    pub layout: &'a Layout,
    pub tables: &'a Tables,
    pub restarts: Restarts,
    pub memory: Memory,
    /// Whether this is the image's only scan, so that the coefficients hold nothing that must be
    /// kept.
    pub is_alone: bool,
    /// MCUs decoded or skipped.
    pub done: usize,
}

impl Sequential<'_> {
    /// Decodes columns of a row of MCUs into the blocks of row `row` of the coefficients. Earlier
    /// MCUs are skipped where restarts allow. Those that must be decoded leave unspecified content
    /// in the row's first blocks. MCUs after the columns are not decoded.
    pub fn decode_columns(
        &mut self,
        stream: &mut Stream<'_>,
        mcu_row: usize,
        columns: Range<usize>,
        row: usize,
        coefficients: &mut Coefficients,
    ) -> Result<(), Starved> {
        let start = mcu_row * self.layout.mcus_wide;
        self.done = self.restarts.pass_to(stream, self.done, start + columns.start);
        while self.done < start {
            self.decode_mcus(stream, row, 0..1, coefficients)?;
        }
        self.decode_mcus(stream, row, self.done - start..columns.end, coefficients)
    }

    /// Decodes the next row of MCUs into the blocks of row `row` of the coefficients.
    pub fn decode_row(
        &mut self,
        stream: &mut Stream<'_>,
        row: usize,
        coefficients: &mut Coefficients,
    ) -> Result<(), Starved> {
        self.decode_mcus(stream, row, 0..self.layout.mcus_wide, coefficients)
    }

    /// Decodes the next MCUs into columns of a row of the coefficients.
    fn decode_mcus(
        &mut self,
        stream: &mut Stream<'_>,
        row: usize,
        columns: Range<usize>,
        coefficients: &mut Coefficients,
    ) -> Result<(), Starved> {
        let mut mcu_blocks = [(self.layout.mcu_blocks[0], 0); super::frame::MAX_MCU_BLOCKS];
        for (at, mcu_block) in mcu_blocks.iter_mut().zip(&self.layout.mcu_blocks) {
            *at = (*mcu_block, mcu_block.in_row(row) + columns.start * mcu_block.step);
        }
        let mcu_blocks = &mut mcu_blocks[..self.layout.mcu_blocks.len()];
        for _ in columns {
            if self.is_alone {
                clear(mcu_blocks, coefficients);
            }
            while let Err(Starved) = self.decode_mcu(stream, mcu_blocks, coefficients) {
                if !stream.read_on() {
                    return Err(Starved);
                }
            }
            self.done += 1;
            for (mcu_block, at) in mcu_blocks.iter_mut() {
                *at += mcu_block.step;
            }
        }
        Ok(())
    }

    /// Decodes an MCU. If the data end, it can be tried again with more data.
    fn decode_mcu(
        &mut self,
        stream: &mut Stream<'_>,
        mcu_blocks: &[(McuBlock, usize)],
        coefficients: &mut Coefficients,
    ) -> Result<(), Starved> {
        self.restarts.before_mcu(stream, &mut self.memory)?;
        if !stream.made_up {
            // libjpeg decodes fast if there are no restarts and the end is far. Elsewhere, fast
            // decoding gives the same results, as long as nothing remains of a failed attempt.
            let is_theirs = self.restarts.interval == 0 && stream.has_ahead(AHEAD * mcu_blocks.len());
            let is_fast = is_theirs || (self.is_alone && stream.ends_well());
            if !(is_fast && self.decode_fast(stream, mcu_blocks, coefficients)) {
                if is_fast && !is_theirs {
                    clear(mcu_blocks, coefficients);
                }
                let before = stream.bits;
                match self.decode_carefully(stream, mcu_blocks, coefficients) {
                    Ok(memory) => self.memory = memory,
                    Err(Starved) => {
                        stream.bits = before;
                        return Err(Starved);
                    }
                }
            }
        }
        self.restarts.after_mcu();
        Ok(())
    }

    /// Decodes an MCU. False, with only coefficients changed, if a marker came too soon. Without
    /// restarts, also false if libjpeg's fast reading would have seen the marker.
    #[inline(always)]
    fn decode_fast(
        &mut self,
        stream: &mut Stream<'_>,
        mcu_blocks: &[(McuBlock, usize)],
        to: &mut Coefficients,
    ) -> bool {
        let mut bits = stream.bits;
        let mut memory = self.memory;
        for &(mcu_block, at) in mcu_blocks {
            let (dc, ac) = (&self.tables.dc[mcu_block.dc & 3], &self.tables.ac[mcu_block.ac & 3]);
            let block = &mut to.blocks[at];
            let (difference, last);
            (bits, difference, last) = decode_block(bits, stream.data, dc, ac, block);
            let value = &mut memory.dc[mcu_block.slot & 3];
            *value = value.wrapping_add(difference);
            block[0] = *value as i16;
            to.last[at] = to.last[at].max(last);
        }
        if bits.made_up > 0 {
            if self.restarts.interval == 0 || bits.left < bits.made_up {
                return false;
            }
            // All bits that were used came from the file.
            bits.left -= bits.made_up;
            bits.made_up = 0;
        }
        stream.bits = bits;
        self.memory = memory;
        true
    }

    fn decode_carefully(
        &self,
        stream: &mut Stream<'_>,
        mcu_blocks: &[(McuBlock, usize)],
        to: &mut Coefficients,
    ) -> Result<Memory, Starved> {
        let mut memory = self.memory;
        for &(mcu_block, at) in mcu_blocks {
            let block = &mut to.blocks[at];
            let size = u32::from(stream.symbol(&self.tables.dc[mcu_block.dc])?);
            let difference = if size == 0 { 0 } else { extend(stream.take(size)?, size) };
            let value = &mut memory.dc[mcu_block.slot];
            *value = value.wrapping_add(difference);
            block[0] = *value as i16;
            let mut n = 1;
            while n < BLOCK {
                let symbol = stream.symbol(&self.tables.ac[mcu_block.ac])?;
                let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
                if size == 0 {
                    if run != 15 {
                        break;
                    }
                    n += 16;
                    continue;
                }
                n += run;
                block[usize::from(ZIGZAG[n])] = extend(stream.take(size)?, size) as i16;
                to.last[at] = to.last[at].max(n.min(BLOCK - 1) as u8);
                n += 1;
            }
        }
        Ok(memory)
    }
}

/// Sets blocks to zero, and notes that they are.
#[inline(always)]
fn clear(mcu_blocks: &[(McuBlock, usize)], coefficients: &mut Coefficients) {
    for &(_, at) in mcu_blocks {
        coefficients.blocks[at] = [0; BLOCK];
        coefficients.last[at] = 0;
    }
}

/// Decodes a block whose bytes lie ahead. Writes its AC coefficients to `block`, and returns the
/// difference of its DC coefficients and the zigzag index of the last coefficient. If the block is
/// incomplete, bits that were `made_up` have been used.
#[inline(always)]
fn decode_block(mut bits: Bits, data: &[u8], dc: &Table, ac: &Table, block: &mut [i16; BLOCK]) -> (Bits, i32, u8) {
    bits.refill(data);
    let entry = dc.lookup[Table::index(bits.ahead)];
    let mut difference = entry as i32 >> 16;
    if difference != 0 {
        bits.skip(entry & 0xff);
    } else {
        let (size, length) = Table::symbol(entry).unwrap_or_else(|| dc.search(bits.ahead));
        bits.skip(length);
        if size != 0 {
            bits.refill(data);
            difference = extend(bits.take(u32::from(size)), u32::from(size));
        }
    }
    let (mut n, mut last) = (1, 0);
    while n < BLOCK {
        bits.refill(data);
        let entry = ac.lookup[Table::index(bits.ahead)];
        let value = entry as i32 >> 16;
        if value != 0 {
            n += (entry >> 8 & 15) as usize;
            bits.skip(entry & 0xff);
            block[usize::from(ZIGZAG[n & 127] & 63)] = value as i16;
            last = n;
            n += 1;
            if n >= BLOCK && bits.left + Table::size_of(value) <= 16 {
                // libjpeg would have fetched bytes between the code and the value.
                bits.refill(data);
            }
            continue;
        }
        let (symbol, length) = Table::symbol(entry).unwrap_or_else(|| ac.search(bits.ahead));
        bits.skip(length);
        let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        if size == 0 {
            if run != 15 {
                break;
            }
            n += 16;
            continue;
        }
        n += run;
        bits.refill(data);
        block[usize::from(ZIGZAG[n & 127] & 63)] = extend(bits.take(size), size) as i16;
        last = n;
        n += 1;
    }
    (bits, difference, last.min(BLOCK - 1) as u8)
}

#[cfg(test)]
mod tests {
    use super::super::frame::{Component, Frame, Process};
    use super::super::huffman::{Class, typical};
    use super::super::markers::{Scan, ScanComponent};
    use super::*;
    use crate::geometry::Size;
    use proptest::prelude::*;

    /// Two components in rows of 4 MCUs. The first component has 2 x 1 blocks per MCU.
    fn frame() -> Frame {
        let components = [(2, 1), (1, 1)].map(|(h, v)| Component { h, v, ..Component::default() });
        Frame::new(Process::Sequential, Size::new(64, 8), components.to_vec()).unwrap()
    }

    fn tables() -> Tables {
        let mut tables = Tables::default();
        for number in [0, 1] {
            tables.dc[number].build(Class::Dc, &typical(Class::Dc, number).unwrap()).unwrap();
            tables.ac[number].build(Class::Ac, &typical(Class::Ac, number).unwrap()).unwrap();
        }
        tables
    }

    /// Decodes a row of MCUs, fast where possible if `is_fast`.
    fn decode(data: &[u8], tables: &Tables, is_fast: bool) -> (Coefficients, Memory, Result<(), Starved>) {
        let frame = frame();
        let components = (0..2).map(|n| ScanComponent { index: n, dc: n, ac: n }).collect();
        let scan = Scan { components, first: 0, last: 63, high: 0, low: 0 };
        let mut coefficients = Coefficients::default();
        coefficients.reset(&frame, 1);
        let layout = Layout::of(&scan, &frame, &coefficients).unwrap();
        let (restarts, memory) = (Restarts::new(0), Memory::default());
        let mut decoder = Sequential { layout: &layout, tables, restarts, memory, is_alone: true, done: 0 };
        let mut stream = Stream::new(data);
        let result = if is_fast {
            decoder.decode_row(&mut stream, 0, &mut coefficients)
        } else {
            let at = layout.mcu_blocks.iter().map(|mcu_block| (*mcu_block, mcu_block.in_row(0))).collect::<Vec<_>>();
            (0..layout.mcus_wide).try_for_each(|mcu| {
                let at: Vec<_> =
                    at.iter().map(|&(mcu_block, start)| (mcu_block, start + mcu * mcu_block.step)).collect();
                clear(&at, &mut coefficients);
                if !stream.made_up {
                    decoder.memory = decoder.decode_carefully(&mut stream, &at, &mut coefficients)?;
                }
                Ok(())
            })
        };
        (coefficients, decoder.memory, result)
    }

    /// Entropy-coded `bytes`, and the end of an image.
    fn ended(bytes: impl IntoIterator<Item = u8>) -> Vec<u8> {
        let stuffed = bytes.into_iter().flat_map(|b| if b == 0xff { vec![b, 0] } else { vec![b] });
        stuffed.chain([0xff, 0xd9]).collect()
    }

    #[test]
    fn a_block_is_a_difference_and_runs() {
        // 011 11: +3. 00 1: +1. 1111 1111 001: 16 zeros. 1100 1: a zero, then +1. 1010: the end.
        // Then a second block: 010 0: −1. 1010: the end. A third, of the other tables: 00: 0. 00:
        // the end.
        let bits = "0111100111111111001110011010010010100000";
        let bytes = (0..5).map(|n| u8::from_str_radix(&bits[8 * n..8 * n + 8], 2).unwrap());
        let data = ended(bytes);
        let (coefficients, _, result) = decode(&data, &tables(), true);
        assert_eq!(result, Ok(()));
        let mut expected = [0; BLOCK];
        (expected[0], expected[1], expected[usize::from(ZIGZAG[19])]) = (3, 1, 1);
        assert_eq!((coefficients.blocks[0], coefficients.last[0]), (expected, 19));
        let flat = |dc| std::array::from_fn(|n| if n == 0 { dc } else { 0 });
        assert_eq!((coefficients.blocks[1], coefficients.last[1]), (flat(2), 0));
        assert_eq!(coefficients.blocks[8], flat(0));
        // Nothing follows, so the rest of the row stays grey.
        assert!(coefficients.blocks[2..8].iter().all(|block| *block == flat(0) || block[0] != 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn fast_and_careful_decoding_agree(
            bytes in proptest::collection::vec(prop_oneof![9 => any::<u8>(), 1 => Just(0xff)], 0..600),
        ) {
            let data = ended(bytes);
            let tables = tables();
            let (fast, fast_memory, fast_result) = decode(&data, &tables, true);
            let (careful, careful_memory, careful_result) = decode(&data, &tables, false);
            prop_assert_eq!(fast_result, careful_result);
            prop_assert_eq!(fast_memory.dc, careful_memory.dc);
            prop_assert!(fast.blocks == careful.blocks);
            prop_assert!(fast.last == careful.last);
        }
    }
}
