//! Writes the same coefficients as another file for fast decoding: baseline, one scan, a restart
//! every few MCUs, the typical Huffman tables, no metadata.

use super::coefficients::Coefficients;
use super::color::Space;
use super::frame::{BLOCK, Frame, MAX_MCU_BLOCKS};
use super::huffman::{Class, Definition, Table, typical};
use super::markers::ZIGZAG;

/// MCUs between restarts, in files that are written for the decoding of regions. With fewer MCUs, a
/// decoder can begin nearer to a region. Each restart costs four bytes.
pub const RESTART_INTERVAL: u16 = 2;

/// JFIF 1.02: version 1.2, no unit, one by one, no thumbnail.
const JFIF: &[u8] = b"JFIF\0\x01\x02\0\0\x01\0\x01\0\0";
/// Adobe's segment (Technical Note 5116): version 100, no flags, components are RGB.
const ADOBE_RGB: &[u8] = b"Adobe\0\x64\0\0\0\0\0";

/// Writes all coefficients of a frame. `None` if a baseline file cannot hold them.
pub(super) fn write(
    frame: &Frame,
    space: Space,
    quantization: &[Option<[u16; BLOCK]>],
    coefficients: &Coefficients,
) -> Option<Vec<u8>> {
    let mut file = vec![0xff, 0xd8];
    match space {
        Space::Grey | Space::YCbCr => segment(&mut file, 0xe0, JFIF),
        Space::Rgb => segment(&mut file, 0xee, ADOBE_RGB),
        Space::Cmyk | Space::Ycck => return None,
    }
    let tables = distinct(quantization)?;
    for (number, table) in (0_u8..).zip(&tables.tables) {
        let mut content = vec![number];
        // In zigzag order, like the coefficients of blocks.
        content.extend(ZIGZAG.iter().take(BLOCK).map(|&at| table[usize::from(at)]));
        segment(&mut file, 0xdb, &content);
    }
    let is_lone = frame.components.len() == 1;
    let mut header = vec![8];
    header.extend(u16::try_from(frame.size.height).ok()?.to_be_bytes());
    header.extend(u16::try_from(frame.size.width).ok()?.to_be_bytes());
    header.push(frame.components.len() as u8);
    let mut scan = vec![frame.components.len() as u8];
    for (n, (component, table)) in frame.components.iter().zip(&tables.numbers).enumerate() {
        let factors = if is_lone { 0x11 } else { (component.h << 4 | component.v) as u8 };
        header.extend([n as u8 + 1, factors, *table]);
        scan.extend([n as u8 + 1, huffman_number(space, n) * 0x11]);
    }
    scan.extend([0, 63, 0]);
    segment(&mut file, 0xc0, &header);
    let codes = [0, 1].map(|number| [Class::Dc, Class::Ac].map(|class| Codes::new(class, number)));
    for (number, [dc, ac]) in (0_u8..).zip(&codes) {
        segment(&mut file, 0xc4, &dc.segment(number));
        segment(&mut file, 0xc4, &ac.segment(0x10 | number));
    }
    let layout = McuLayout::of(frame)?;
    segment(&mut file, 0xdd, &RESTART_INTERVAL.to_be_bytes());
    segment(&mut file, 0xda, &scan);
    let mcus: Vec<(usize, usize)> =
        (0..layout.mcus_high).flat_map(|row| (0..layout.mcus_wide).map(move |mcu| (row, mcu))).collect();
    for (number, interval) in mcus.chunks(usize::from(RESTART_INTERVAL)).enumerate() {
        if number > 0 {
            file.extend([0xff, 0xd0 + ((number - 1) % 8) as u8]);
        }
        let mut bits = Bits { file: &mut file, held: 0, count: 0 };
        let mut before = [0; 4];
        for &(row, mcu) in interval {
            for (component, block) in layout.blocks(coefficients, row, mcu) {
                let [dc, ac] = &codes[usize::from(huffman_number(space, component))];
                write_block(&mut bits, dc, ac, &mut before[component], &coefficients.blocks[block])?;
            }
        }
        bits.finish();
    }
    file.extend([0xff, 0xd9]);
    Some(file)
}

fn segment(file: &mut Vec<u8>, marker: u8, content: &[u8]) {
    file.extend([0xff, marker]);
    file.extend((content.len() as u16 + 2).to_be_bytes());
    file.extend_from_slice(content);
}

/// The number of the typical tables for a component.
fn huffman_number(space: Space, component: usize) -> u8 {
    u8::from(space == Space::YCbCr && component > 0)
}

/// Quantisation tables without repetitions, and the number of each component's table.
struct Distinct {
    tables: Vec<[u8; BLOCK]>,
    numbers: Vec<u8>,
}

/// `None` if a step needs more than eight bits, or if there are more tables than a file can have.
fn distinct(quantization: &[Option<[u16; BLOCK]>]) -> Option<Distinct> {
    let mut distinct = Distinct { tables: Vec::new(), numbers: Vec::new() };
    for table in quantization {
        let table = (*table)?;
        let steps = table.iter().map(|&step| u8::try_from(step).ok()).collect::<Option<Vec<u8>>>()?;
        let steps: [u8; BLOCK] = steps.try_into().ok()?;
        let known = distinct.tables.iter().position(|other| *other == steps);
        distinct.numbers.push(known.unwrap_or(distinct.tables.len()) as u8);
        if known.is_none() {
            distinct.tables.push(steps);
        }
    }
    (distinct.tables.len() <= 4).then_some(distinct)
}

/// The places of each MCU's blocks.
struct McuLayout<'a> {
    frame: &'a Frame,
    mcus_wide: usize,
    mcus_high: usize,
}

impl<'a> McuLayout<'a> {
    fn of(frame: &'a Frame) -> Option<Self> {
        // The blocks of a lone component are MCUs by themselves.
        if let [only] = frame.components.as_slice() {
            return Some(Self { frame, mcus_wide: only.blocks_wide, mcus_high: only.blocks_high });
        }
        let blocks: usize = frame.components.iter().map(|c| c.h * c.v).sum();
        (blocks <= MAX_MCU_BLOCKS).then_some(Self { frame, mcus_wide: frame.mcus_wide, mcus_high: frame.mcus_high })
    }

    /// Component and index of each block of an MCU.
    fn blocks(&self, coefficients: &Coefficients, row: usize, mcu: usize) -> impl Iterator<Item = (usize, usize)> {
        let is_lone = self.frame.components.len() == 1;
        self.frame.components.iter().enumerate().flat_map(move |(n, component)| {
            let (h, v) = if is_lone { (1, 1) } else { (component.h, component.v) };
            let start = move |y: usize| coefficients.row(n, row * v + y) + mcu * h;
            (0..v).flat_map(move |y| (0..h).map(move |x| (n, start(y) + x)))
        })
    }
}

/// `None` if a coefficient is larger than baseline allows (T.81 F.1.2, tables F.1 and F.2).
fn write_block(bits: &mut Bits<'_>, dc: &Codes, ac: &Codes, before: &mut i32, block: &[i16; BLOCK]) -> Option<()> {
    let value = i32::from(block[0]);
    dc.write(bits, 0, value - *before)?;
    *before = value;
    let mut zeros = 0;
    for &at in &ZIGZAG[1..BLOCK] {
        let value = i32::from(block[usize::from(at)]);
        if value == 0 {
            zeros += 1;
            continue;
        }
        while zeros > 15 {
            ac.write(bits, 0xf0, 0)?;
            zeros -= 16;
        }
        ac.write(bits, zeros << 4, value)?;
        zeros = 0;
    }
    if zeros > 0 { ac.write(bits, 0, 0) } else { Some(()) }
}

/// The codes of a typical table, by symbol.
struct Codes {
    definition: Definition,
    /// The bits of each code and their number; 0 for symbols without a code.
    codes: Box<[(u16, u8); 256]>,
}

impl Codes {
    fn new(class: Class, number: usize) -> Self {
        // There is a typical table for both numbers.
        let definition = typical(class, number).unwrap_or(Definition { counts: [0; 17], symbols: [0; 256] });
        let mut codes = Box::new([(0, 0); 256]);
        let (mut code, mut index) = (0_u16, 0);
        for length in 1..=16_u8 {
            for _ in 0..definition.counts[usize::from(length)] {
                codes[usize::from(definition.symbols[index])] = (code, length);
                code += 1;
                index += 1;
            }
            // After the last length, the result is not used.
            code = code.wrapping_shl(1);
        }
        Self { definition, codes }
    }

    fn segment(&self, class_and_number: u8) -> Vec<u8> {
        let used = self.definition.counts.iter().map(|&n| usize::from(n)).sum();
        [&[class_and_number], &self.definition.counts[1..], &self.definition.symbols[..used]].concat()
    }

    /// Writes the symbol of a run and a value's size, then the value.
    fn write(&self, bits: &mut Bits<'_>, run: u8, value: i32) -> Option<()> {
        let size = Table::size_of(value);
        let (code, length) = self.codes[usize::from(run | u8::try_from(size).ok().filter(|&size| size < 16)?)];
        if length == 0 {
            return None;
        }
        bits.write(u32::from(code), u32::from(length));
        // A negative value is written less one, in as many bits (T.81 F.1.2.1).
        bits.write((value - i32::from(value < 0)) as u32 & ((1 << size) - 1), size);
        Some(())
    }
}

/// The bits of an interval between restarts.
struct Bits<'a> {
    file: &'a mut Vec<u8>,
    /// The last `count` bits are still to be written.
    held: u64,
    count: u32,
}

impl Bits<'_> {
    fn write(&mut self, bits: u32, count: u32) {
        self.held = self.held << count | u64::from(bits);
        self.count += count;
        while self.count >= 8 {
            self.count -= 8;
            let byte = (self.held >> self.count) as u8;
            self.file.push(byte);
            if byte == 0xff {
                self.file.push(0);
            }
        }
    }

    /// Fills the last byte with ones.
    fn finish(mut self) {
        self.write(0x7f, 7);
    }
}
