//! Sequential scans (T.81 F.2; libjpeg-turbo's jdhuff.c). Each MCU is decoded fast where there is no marker ahead, and
//! carefully otherwise, after the fast attempt if there was one.

use super::bits::{Bits, Starved, Stream};
use super::coefficients::Coefficients;
use super::frame::BLOCK;
use super::huffman::{Table, extend};
use super::markers::ZIGZAG;
use super::scan::{Layout, Memory, Place, Restarts, Tables};

/// Bytes that libjpeg wants to have ahead before it decodes fast, for each block of an MCU.
const AHEAD: usize = 512;

/// A sequential scan being decoded.
#[derive(Debug)]
pub(super) struct Sequential<'a> {
    pub layout: &'a Layout,
    pub tables: &'a Tables,
    pub restarts: Restarts,
    pub memory: Memory,
    /// Whether it is the image's only scan, so that the coefficients hold nothing to be kept.
    pub is_alone: bool,
}

impl Sequential<'_> {
    /// Decodes the next row of MCUs into the blocks of row `row` of the coefficients.
    pub fn decode_row(
        &mut self, stream: &mut Stream<'_>, row: usize, coefficients: &mut Coefficients,
    ) -> Result<(), Starved> {
        let mut places = [(self.layout.places[0], 0); super::frame::MAX_MCU_BLOCKS];
        for (at, place) in places.iter_mut().zip(&self.layout.places) {
            *at = (*place, place.in_row(row));
        }
        let places = &mut places[..self.layout.places.len()];
        for _ in 0..self.layout.mcus_wide {
            if self.is_alone {
                clear(places, coefficients);
            }
            loop {
                let before = stream.bits;
                match self.decode_mcu(stream, places, coefficients) {
                    Ok(()) => break,
                    Err(Starved) if stream.read_on() => stream.bits = before,
                    Err(Starved) => return Err(Starved),
                }
            }
            for (place, at) in places.iter_mut() {
                *at += place.step;
            }
        }
        Ok(())
    }

    fn decode_mcu(
        &mut self, stream: &mut Stream<'_>, places: &[(Place, usize)], coefficients: &mut Coefficients,
    ) -> Result<(), Starved> {
        self.restarts.before_mcu(stream, &mut self.memory)?;
        if !stream.made_up {
            let has_restarts = self.restarts.interval > 0;
            let is_fast = match has_restarts {
                false => stream.is_far_from_end(AHEAD * places.len()),
                // libjpeg does not decode fast here at all; nobody can tell as long as nothing of a failed attempt stays.
                true => self.is_alone && stream.is_far_from_end(usize::MAX),
            };
            if !(is_fast && self.decode_fast(stream, places, coefficients)) {
                if is_fast && has_restarts {
                    clear(places, coefficients);
                }
                self.memory = self.decode_carefully(stream, places, coefficients)?;
            }
        }
        self.restarts.after_mcu();
        Ok(())
    }

    /// Decodes an MCU; false, with nothing but coefficients changed, if a marker came in between.
    #[inline(always)]
    fn decode_fast(&mut self, stream: &mut Stream<'_>, places: &[(Place, usize)], to: &mut Coefficients) -> bool {
        let mut bits = stream.bits;
        let mut memory = self.memory;
        for &(place, at) in places {
            let (dc, ac) = (&self.tables.dc[place.dc & 3], &self.tables.ac[place.ac & 3]);
            let block = &mut to.blocks[at];
            let (difference, last);
            (bits, difference, last) = decode_block(bits, stream.data, dc, ac, block);
            let value = &mut memory.dc[place.slot & 3];
            *value = value.wrapping_add(difference);
            block[0] = *value as i16;
            to.last[at] = to.last[at].max(last);
        }
        if bits.ran_out {
            return false;
        }
        stream.bits = bits;
        self.memory = memory;
        true
    }

    fn decode_carefully(
        &self, stream: &mut Stream<'_>, places: &[(Place, usize)], to: &mut Coefficients,
    ) -> Result<Memory, Starved> {
        let mut memory = self.memory;
        for &(place, at) in places {
            let block = &mut to.blocks[at];
            let size = u32::from(stream.symbol(&self.tables.dc[place.dc])?);
            let difference = if size == 0 { 0 } else { extend(stream.take(size)?, size) };
            let value = &mut memory.dc[place.slot];
            *value = value.wrapping_add(difference);
            block[0] = *value as i16;
            let mut n = 1;
            while n < BLOCK {
                let symbol = stream.symbol(&self.tables.ac[place.ac])?;
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

/// Makes blocks zero, and known to be.
#[inline(always)]
fn clear(places: &[(Place, usize)], coefficients: &mut Coefficients) {
    for &(_, at) in places {
        coefficients.blocks[at] = [0; BLOCK];
        coefficients.last[at] = 0;
    }
}

/// Decodes a block whose bytes lie ahead: its AC coefficients into `block`, the difference of its DC coefficient, and the
/// zigzag index of the last coefficient. A block that stays incomplete is marked by `ran_out`.
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
