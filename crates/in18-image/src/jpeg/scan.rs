//! The parts that scans have in common: the order of blocks, restarts, tables (libjpeg-turbo's
//! jdinput.c, jdmarker.c and jdhuff.c).

use crate::error::Error;

use super::bits::{Starved, Stream};
use super::coefficients::Coefficients;
use super::damaged;
use super::frame::{Frame, MAX_MCU_BLOCKS};
use super::huffman::{Class, Table};
use super::markers::{Headers, Scan, next_marker};

/// Tables for decoding, by number. They are kept from image to image, because most images have the
/// same ones.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub dc: [Table; 4],
    pub ac: [Table; 4],
}

impl Tables {
    /// Builds table `number` as the headers define it.
    pub fn build(&mut self, headers: &Headers, class: Class, number: usize) -> Result<(), Error> {
        let (tables, definitions) = match class {
            Class::Dc => (&mut self.dc, &headers.dc),
            Class::Ac => (&mut self.ac, &headers.ac),
        };
        let missing = || damaged(&format!("a scan with a Huffman table {number} that is not there"));
        let definition = definitions.get(number).and_then(Option::as_ref).ok_or_else(missing)?;
        tables[number].build(class, definition)
    }
}

/// The place of a block of an MCU, and the tables that decode it.
#[derive(Debug, Clone, Copy)]
pub(super) struct McuBlock {
    /// The block's component, as an index into the scan's components.
    pub slot: usize,
    /// Numbers of the component's tables.
    pub dc: usize,
    pub ac: usize,
    /// Index of the block in the first MCU of the first row.
    start: usize,
    /// Blocks from one MCU to the next.
    pub step: usize,
    /// Blocks from one row of MCUs to the next.
    row_step: usize,
}

impl McuBlock {
    /// Index of the block in the first MCU of a row.
    pub fn in_row(&self, row: usize) -> usize {
        self.start + row * self.row_step
    }
}

/// The MCUs of a scan (T.81 A.2). Several components are interleaved. The blocks of a single
/// component are MCUs by themselves.
#[derive(Debug)]
pub(super) struct Layout {
    pub mcu_blocks: Vec<McuBlock>,
    pub mcus_wide: usize,
    pub mcus_high: usize,
    /// Rows of this scan's MCUs per row of the whole frame's MCUs.
    pub rows_per_frame_row: usize,
}

impl Layout {
    pub fn of(scan: &Scan, frame: &Frame, coefficients: &Coefficients) -> Result<Self, Error> {
        let is_lone = scan.components.len() == 1;
        let mut mcu_blocks = Vec::with_capacity(MAX_MCU_BLOCKS);
        for (slot, part) in scan.components.iter().enumerate() {
            let component = &frame.components[part.index];
            let (h, v) = if is_lone { (1, 1) } else { (component.h, component.v) };
            let row_step = component.stride * v;
            for (y, x) in (0..v).flat_map(|y| (0..h).map(move |x| (y, x))) {
                let start = coefficients.row(part.index, y) + x;
                mcu_blocks.push(McuBlock { slot, dc: part.dc, ac: part.ac, start, step: h, row_step });
            }
        }
        let only = &frame.components[scan.components[0].index];
        if is_lone {
            let (mcus_wide, mcus_high) = (only.blocks_wide, only.blocks_high);
            return Ok(Self { mcu_blocks, mcus_wide, mcus_high, rows_per_frame_row: only.v });
        }
        if mcu_blocks.len() > MAX_MCU_BLOCKS {
            return Err(damaged(&format!("{} blocks of a scan interleaved", mcu_blocks.len())));
        }
        Ok(Self { mcu_blocks, mcus_wide: frame.mcus_wide, mcus_high: frame.mcus_high, rows_per_frame_row: 1 })
    }
}

/// The state of an entropy decoder between MCUs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Memory {
    /// The last DC coefficient of each of the scan's components.
    pub dc: [i32; 4],
    /// The number of following blocks in which a band has no new coefficients (T.81 G.1.2.2).
    pub empty: u32,
}

/// Counts MCUs between restarts (T.81 E.2.4).
#[derive(Debug)]
pub(super) struct Restarts {
    pub interval: u32,
    to_go: u32,
    next: u8,
}

impl Restarts {
    pub fn new(interval: u32) -> Self {
        Self { interval, to_go: interval, next: 0 }
    }

    /// To be called before an MCU. If a restart marker is due, skips it and resets the state.
    pub fn before_mcu(&mut self, stream: &mut Stream<'_>, memory: &mut Memory) -> Result<(), Starved> {
        if self.interval == 0 || self.to_go > 0 {
            return Ok(());
        }
        stream.drop_bits();
        let start = stream.bits.at;
        if let Err(Starved) = self.pass_marker(stream) {
            stream.bits.at = start; // to try again with more data
            return Err(Starved);
        }
        self.next = (self.next + 1) & 7;
        self.to_go = self.interval;
        *memory = Memory::default();
        if stream.marker == 0 {
            stream.made_up = false;
        }
        Ok(())
    }

    fn pass_marker(&self, stream: &mut Stream<'_>) -> Result<(), Starved> {
        if stream.marker == 0 {
            stream.marker = next_marker(stream)?;
        }
        if stream.marker == 0xd0 + self.next {
            stream.marker = 0;
            return Ok(());
        }
        resynchronize(stream, self.next)
    }

    /// Skips MCUs by restart markers alone. Returns the next MCU to decode; so far, this is `at`.
    /// The new one is the last MCU not after `to` at which an interval begins. Returns `at` if no
    /// such interval lies ahead, or if the markers do not follow each other as they should:
    /// libjpeg's reaction then depends on the data between them.
    pub fn pass_to(&mut self, stream: &mut Stream<'_>, at: usize, to: usize) -> usize {
        let interval = self.interval as usize;
        // If a marker was read already, it must be handled as libjpeg does.
        if interval == 0 || to / interval * interval <= at || stream.marker != 0 {
            return at;
        }
        let (mut from, mut last) = (stream.bits.at, None);
        // No marker precedes the first interval.
        for number in at.div_ceil(interval).max(1)..=to / interval {
            let next = ((number - 1) & 7) as u8;
            let Some(marker) = stream.marker_at(from).filter(|&at| stream.data[at + 1] == 0xd0 + next) else {
                return at;
            };
            (from, last) = (marker + 2, Some((next, marker)));
        }
        let Some((next, marker)) = last else { return at };
        // The marker is skipped when the next MCU is decoded.
        stream.drop_bits();
        (self.next, self.to_go, stream.bits.at) = (next, 0, marker);
        to / interval * interval
    }

    /// To be called after an MCU.
    pub fn after_mcu(&mut self) {
        self.to_go = self.to_go.saturating_sub(1);
    }
}

/// Decides what to do with a marker that is not the restart `desired` (jdmarker.c,
/// `jpeg_resync_to_restart`): take it for that restart, look for another marker, or leave it, so
/// that the interval stays empty.
fn resynchronize(stream: &mut Stream<'_>, desired: u8) -> Result<(), Starved> {
    loop {
        let restart = stream.marker.wrapping_sub(0xd0);
        match stream.marker {
            0xd0..=0xd7 if restart == (desired + 1) & 7 || restart == (desired + 2) & 7 => return Ok(()),
            0xd0..=0xd7 if restart != desired.wrapping_sub(1) & 7 && restart != desired.wrapping_sub(2) & 7 => {
                stream.marker = 0;
                return Ok(());
            }
            0xd0..=0xd7 | 0x00..=0xbf => stream.marker = next_marker(stream)?,
            _ => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_are_taken_skipped_or_left_as_libjpeg_does() {
        struct Case {
            marker: u8,
            following: &'static [u8],
            desired: u8,
            /// The marker that remains, and the number of bytes read.
            expected: (u8, usize),
        }
        let cases = [
            Case { marker: 0xd4, following: &[], desired: 3, expected: (0xd4, 0) },
            Case { marker: 0xd5, following: &[], desired: 3, expected: (0xd5, 0) },
            Case { marker: 0xd0, following: &[], desired: 7, expected: (0xd0, 0) },
            Case { marker: 0xd6, following: &[], desired: 3, expected: (0, 0) },
            Case { marker: 0xd2, following: &[9, 0xff, 0xd3], desired: 3, expected: (0, 3) },
            Case { marker: 0xd6, following: &[0xff, 0xff, 0xd9], desired: 0, expected: (0xd9, 3) },
            Case { marker: 0x37, following: &[0xff, 0, 0xff, 0xd3], desired: 3, expected: (0, 4) },
            Case { marker: 0xd9, following: &[], desired: 3, expected: (0xd9, 0) },
        ];
        for case in cases {
            let mut stream = Stream::new(case.following);
            stream.marker = case.marker;
            resynchronize(&mut stream, case.desired).unwrap();
            assert_eq!((stream.marker, stream.bits.at), case.expected, "{:x}", case.marker);
        }
    }
}
