//! Progressive scans (T.81 G.2; libjpeg-turbo's jdphuff.c). Each scan brings a band of
//! coefficients, or another bit of them.

use super::bits::Stream;
use super::coefficients::Coefficients;
use super::frame::BLOCK;
use super::huffman::{Table, extend};
use super::markers::{Scan, Stop, ZIGZAG};
use super::scan::{Layout, McuBlock, Memory, Restarts, Tables};
use crate::error::Error;

use super::damaged;

/// The number of coefficients whose accuracy block smoothing needs.
pub(super) const SMOOTHED: usize = 10;

/// How accurately a component's coefficients are known, in zigzag order: the bit plane of the last
/// scan, −1 if there was none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Accuracy {
    pub now: [i32; BLOCK],
    /// The same before the component's last scan.
    pub before: [i32; BLOCK],
}

impl Default for Accuracy {
    fn default() -> Self {
        Self { now: [-1; BLOCK], before: [-1; BLOCK] }
    }
}

impl Accuracy {
    /// Notes that `scan`, with this `number`, follows. As in libjpeg, scans may come in any order
    /// and leave gaps.
    pub fn note(&mut self, scan: &Scan, number: usize) {
        for n in scan.first.min(1)..=scan.last.max(SMOOTHED - 1) {
            self.before[n] = if number > 1 { self.now[n] } else { 0 };
        }
        self.now[scan.first..=scan.last].fill(i32::from(scan.low));
    }
}

/// Refuses impossible bands and bit planes.
pub(super) fn check(scan: &Scan) -> Result<(), Error> {
    let band = match scan.first {
        0 => scan.last == 0,
        first => first <= scan.last && scan.last < BLOCK && scan.components.len() == 1,
    };
    let planes = scan.low <= 13 && (scan.high == 0 || scan.low + 1 == scan.high);
    if band && planes {
        return Ok(());
    }
    let Scan { first, last, high, low, .. } = scan;
    Err(damaged(&format!("a progressive scan of coefficients {first} to {last}, bits {high} to {low}")))
}

/// Decodes `scan`. Returns the last row of the frame's MCUs that there were data for. If the data
/// end, nothing is undone, because the image is lost then.
pub(super) fn decode_scan(
    stream: &mut Stream<'_>,
    scan: &Scan,
    layout: &Layout,
    tables: &Tables,
    mut restarts: Restarts,
    to: &mut Coefficients,
) -> Result<usize, Stop> {
    let mut memory = Memory::default();
    let mut last_good = 0;
    for row in 0..layout.mcus_high {
        for mcu in 0..layout.mcus_wide {
            if !stream.made_up {
                last_good = row / layout.rows_per_frame_row;
            } else if restarts.interval == 0 {
                return Ok(last_good); // nothing will come any more
            }
            restarts.before_mcu(stream, &mut memory)?;
            if !stream.made_up {
                for mcu_block in &layout.mcu_blocks {
                    let block = &mut to.blocks[mcu_block.in_row(row) + mcu * mcu_block.step];
                    decode_block(stream, scan, tables, mcu_block, &mut memory, block)?;
                }
            }
            restarts.after_mcu();
        }
    }
    Ok(last_good)
}

fn decode_block(
    stream: &mut Stream<'_>,
    scan: &Scan,
    tables: &Tables,
    mcu_block: &McuBlock,
    memory: &mut Memory,
    block: &mut [i16; BLOCK],
) -> Result<(), Stop> {
    match (scan.first, scan.high) {
        (0, 0) => dc_first(stream, scan, &tables.dc[mcu_block.dc], &mut memory.dc[mcu_block.slot], block),
        (0, _) => {
            block[0] |= (stream.take(1)? << scan.low) as i16;
            Ok(())
        }
        (_, 0) => ac_first(stream, scan, &tables.ac[mcu_block.ac], memory, block),
        _ => ac_refine(stream, scan, &tables.ac[mcu_block.ac], memory, block),
    }
}

fn dc_first(
    stream: &mut Stream<'_>,
    scan: &Scan,
    table: &Table,
    before: &mut i32,
    block: &mut [i16; BLOCK],
) -> Result<(), Stop> {
    let size = u32::from(stream.symbol(table)?);
    let difference = if size == 0 { 0 } else { extend(stream.take(size)?, size) };
    *before = before.checked_add(difference).ok_or_else(|| damaged("a DC coefficient past 32 bits"))?;
    block[0] = (*before << scan.low) as i16;
    Ok(())
}

fn ac_first(
    stream: &mut Stream<'_>,
    scan: &Scan,
    table: &Table,
    memory: &mut Memory,
    block: &mut [i16; BLOCK],
) -> Result<(), Stop> {
    if memory.empty > 0 {
        memory.empty -= 1;
        return Ok(());
    }
    let mut n = scan.first;
    while n <= scan.last {
        let symbol = stream.symbol(table)?;
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        if size != 0 {
            n += run as usize;
            block[usize::from(ZIGZAG[n])] = (extend(stream.take(size)?, size) << scan.low) as i16;
        } else if run == 15 {
            n += 15;
        } else {
            memory.empty = empty_blocks(stream, run)? - 1;
            break;
        }
        n += 1;
    }
    Ok(())
}

fn ac_refine(
    stream: &mut Stream<'_>,
    scan: &Scan,
    table: &Table,
    memory: &mut Memory,
    block: &mut [i16; BLOCK],
) -> Result<(), Stop> {
    let bit = 1_i16 << scan.low;
    let mut n = scan.first;
    while memory.empty == 0 && n <= scan.last {
        let symbol = stream.symbol(table)?;
        let (mut run, size) = (u32::from(symbol >> 4), symbol & 15);
        let mut new = 0;
        if size != 0 {
            new = if stream.take(1)? != 0 { bit } else { -bit };
        } else if run != 15 {
            memory.empty = empty_blocks(stream, run)?;
            break;
        }
        // Skip coefficients that are not zero, each of which has a bit to come, and `run`
        // coefficients that are zero.
        while n <= scan.last {
            let coefficient = &mut block[usize::from(ZIGZAG[n])];
            if *coefficient != 0 {
                refine(stream, bit, coefficient)?;
            } else if run == 0 {
                break;
            } else {
                run -= 1;
            }
            n += 1;
        }
        if new != 0 {
            block[usize::from(ZIGZAG[n])] = new;
        }
        n += 1;
    }
    if memory.empty > 0 {
        for &index in ZIGZAG.get(n..=scan.last).unwrap_or_default() {
            let coefficient = &mut block[usize::from(index)];
            if *coefficient != 0 {
                refine(stream, bit, coefficient)?;
            }
        }
        memory.empty -= 1;
    }
    Ok(())
}

/// Reads a bit of a coefficient. The coefficient moves away from zero.
fn refine(stream: &mut Stream<'_>, bit: i16, coefficient: &mut i16) -> Result<(), Stop> {
    if stream.take(1)? != 0 && *coefficient & bit == 0 {
        *coefficient = coefficient.wrapping_add(if *coefficient >= 0 { bit } else { -bit });
    }
    Ok(())
}

/// The number of blocks without new coefficients, including this one: `2^run` plus a number of
/// `run` bits.
fn empty_blocks(stream: &mut Stream<'_>, run: u32) -> Result<u32, Stop> {
    let more = if run == 0 { 0 } else { stream.take(run)? };
    Ok((1 << run) + more)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(first: usize, last: usize, high: u8, low: u8) -> Scan {
        use super::super::markers::ScanComponent;
        Scan { components: vec![ScanComponent { index: 0, dc: 0, ac: 0 }], first, last, high, low }
    }

    fn table(symbols: &[u8]) -> Table {
        use super::super::huffman::{Class, Definition};
        let mut definition = Definition { counts: [0; 17], symbols: [0; 256] };
        definition.counts[2] = symbols.len() as u8;
        definition.symbols[..symbols.len()].copy_from_slice(symbols);
        let mut table = Table::default();
        table.build(Class::Ac, &definition).unwrap();
        table
    }

    #[test]
    fn bands_and_planes_that_cannot_be_are_refused() {
        for good in [scan(0, 0, 0, 13), scan(1, 63, 0, 0), scan(5, 5, 3, 2), scan(0, 0, 1, 0)] {
            assert_eq!(check(&good), Ok(()));
        }
        let mut two = scan(1, 5, 0, 0);
        two.components.push(two.components[0]);
        for bad in [scan(0, 1, 0, 0), scan(5, 4, 0, 0), scan(1, 64, 0, 0), scan(1, 5, 2, 2), scan(1, 5, 0, 14), two] {
            assert!(check(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn first_scans_shift_and_skip() {
        // 00: a zero, then a value of two bits. 01: the end of 2 + 1 blocks.
        let table = table(&[0x12, 0x10]);
        let mut stream = Stream::new(&[0b0011_0110, 0, 0, 0, 0, 0, 0, 0]);
        let (mut memory, mut block) = (Memory::default(), [0; BLOCK]);
        ac_first(&mut stream, &scan(1, 63, 0, 2), &table, &mut memory, &mut block).unwrap();
        assert_eq!((block[usize::from(ZIGZAG[2])], memory.empty), (3 << 2, 2));
        let before = stream.bits.left;
        ac_first(&mut stream, &scan(1, 63, 0, 2), &table, &mut memory, &mut block).unwrap();
        assert_eq!((memory.empty, stream.bits.left), (1, before));
    }

    #[test]
    fn refining_scans_move_away_from_zero_and_pass_over_what_is_known() {
        // 00: after a zero, a new value. 01: the end of this block.
        let table = table(&[0x11, 0x00]);
        let mut block = [0; BLOCK];
        (block[usize::from(ZIGZAG[1])], block[usize::from(ZIGZAG[3])], block[usize::from(ZIGZAG[9])]) = (4, -4, -8);
        // 00, then a negative sign; correction bits 1 for the first and 0 for the third
        // coefficient; 01; correction bit 1 for the ninth.
        let mut stream = Stream::new(&[0b0001_0011, 0b0000_0000, 0, 0, 0, 0, 0, 0]);
        let mut memory = Memory::default();
        ac_refine(&mut stream, &scan(1, 63, 2, 1), &table, &mut memory, &mut block).unwrap();
        let known = |n: usize| block[usize::from(ZIGZAG[n])];
        assert_eq!([1, 2, 3, 4, 9].map(known), [6, 0, -4, -2, -10]);
        assert_eq!(memory.empty, 0);
    }

    #[test]
    fn accuracy_follows_the_scans() {
        let mut accuracy = Accuracy::default();
        accuracy.note(&scan(0, 0, 0, 1), 1);
        assert_eq!((accuracy.now[0], accuracy.now[1], accuracy.before[1]), (1, -1, 0));
        accuracy.note(&scan(1, 5, 0, 2), 2);
        assert_eq!((accuracy.now[5], accuracy.before[5], accuracy.before[0], accuracy.now[6]), (2, -1, 0, -1));
        accuracy.note(&scan(1, 63, 2, 1), 3);
        assert_eq!((accuracy.now[5], accuracy.before[5], accuracy.now[63]), (1, 2, 1));
    }
}
