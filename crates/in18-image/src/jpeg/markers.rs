//! Markers and their segments (T.81 B.1 and B.2), read like libjpeg-turbo's jdmarker.c reads them.
//! What libjpeg-turbo only warns of is skipped; what it gives up on is refused.

use crate::error::Error;
use crate::geometry::Size;

use super::bits::{Starved, Stream};
use super::color::Space;
use super::frame::{Component, Frame, Process};
use super::huffman::{Class, Definition, typical};
use super::{damaged, unsupported};

/// The row-major index of the n-th coefficient of a block (T.81 figure A.6). Numbers after the
/// 63rd, which damaged files ask for, give the last index.
pub(super) const ZIGZAG: [u8; 128] = {
    let order: [u8; 64] = [
        0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14,
        21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60,
        61, 54, 47, 55, 62, 63,
    ];
    let mut all = [63; 128];
    let mut n = 0;
    while n < 64 {
        all[n] = order[n];
        n += 1;
    }
    all
};

/// Why reading stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    /// The data ended.
    Starved,
    /// The data are wrong.
    Refused(Error),
}

impl From<Starved> for Stop {
    fn from(Starved: Starved) -> Self {
        Self::Starved
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

/// A component's part in a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ScanComponent {
    /// Index into the frame's components.
    pub index: usize,
    /// Number of the component's table for DC coefficients.
    pub dc: usize,
    /// Number of the component's table for AC coefficients.
    pub ac: usize,
}

/// A scan header (T.81 B.2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scan {
    pub components: Vec<ScanComponent>,
    /// First coefficient of the band, in zigzag order.
    pub first: usize,
    /// Last coefficient of the band.
    pub last: usize,
    /// Bit plane at which the previous scan ended; 0 in a first scan.
    pub high: u8,
    /// Bit plane at which this scan ends.
    pub low: u8,
}

/// What follows the markers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Scan(Scan),
    End,
}

/// The content of all markers so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Headers {
    /// Quantisation tables by number, row-major.
    pub quantization: [Option<[u16; 64]>; 4],
    pub dc: [Option<Definition>; 4],
    pub ac: [Option<Definition>; 4],
    /// MCUs between restarts, 0 for no restarts.
    pub restart_interval: u32,
    pub frame: Option<Frame>,
    started: bool,
    jfif: bool,
    /// The transform flag of an Adobe segment.
    adobe: Option<u8>,
}

impl Headers {
    /// Reads up to the next scan or the end of the image.
    pub fn read(&mut self, stream: &mut Stream<'_>) -> Result<Found, Stop> {
        loop {
            let marker = match stream.marker {
                0 if self.started => next_marker(stream)?,
                0 => first_marker(stream)?,
                pending => pending,
            };
            stream.marker = 0;
            match marker {
                0xd8 => self.start()?,
                0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => self.frame(marker, stream)?,
                0xda => return Ok(Found::Scan(self.scan(stream)?)),
                0xd9 => return Ok(Found::End),
                0xc4 => self.huffman(stream)?,
                0xcc => conditioning(stream)?,
                0xdb => self.quantization(stream)?,
                0xdd => self.restarts(stream)?,
                0xe0 | 0xee => self.application(marker, stream)?,
                0xe1..=0xef | 0xfe | 0xdc => skip(stream)?,
                0x01 | 0xd0..=0xd7 => {}
                _ => return Err(damaged(&format!("a marker 0x{marker:02x} that is not known here")).into()),
            }
        }
    }

    /// Prepares for another image, after one that only had tables. The tables are kept for it.
    pub fn end_without_scan(&mut self) -> Result<(), Error> {
        if self.frame.is_some() {
            return Err(damaged("it ends before its first scan"));
        }
        self.started = false;
        Ok(())
    }

    /// Uses the typical Huffman tables for missing ones. Motion JPEG leaves them out.
    pub fn assume_typical_tables(&mut self) {
        for (class, tables) in [(Class::Dc, &mut self.dc), (Class::Ac, &mut self.ac)] {
            for (number, table) in tables.iter_mut().enumerate().filter(|(_, table)| table.is_none()) {
                *table = typical(class, number);
            }
        }
    }

    /// The meaning of the frame's components (jdapimin.c, `default_decompress_parms`).
    pub fn space(&self) -> Space {
        let ids = self.frame.iter().flat_map(|frame| &frame.components).map(|c| c.id).collect::<Vec<_>>();
        match (ids.as_slice(), self.adobe) {
            ([_], _) => Space::Grey,
            ([_, _, _], _) if self.jfif => Space::YCbCr,
            ([_, _, _], Some(0)) | (b"RGB", None) => Space::Rgb,
            ([_, _, _], _) => Space::YCbCr,
            (_, None | Some(0)) => Space::Cmyk,
            _ => Space::Ycck,
        }
    }

    fn start(&mut self) -> Result<(), Stop> {
        if self.started {
            return Err(damaged("two starts of an image").into());
        }
        self.started = true;
        self.restart_interval = 0;
        self.jfif = false;
        self.adobe = None;
        Ok(())
    }

    fn frame(&mut self, marker: u8, stream: &mut Stream<'_>) -> Result<(), Stop> {
        if self.frame.is_some() {
            return Err(damaged("two frame headers").into());
        }
        let process = match marker {
            0xc0 | 0xc1 => Process::Sequential,
            0xc2 => Process::Progressive,
            0xc9 | 0xca => return Err(unsupported("arithmetic coding".to_owned()).into()),
            0xc3 | 0xcb => return Err(unsupported("lossless coding".to_owned()).into()),
            _ => return Err(unsupported("hierarchical coding".to_owned()).into()),
        };
        let length = word(stream)?;
        let precision = stream.byte()?;
        let (height, width) = (word(stream)?, word(stream)?);
        let colours = stream.byte()?;
        let size = Size::new(u32::from(width), u32::from(height));
        if size.pixels() == 0 || precision != 8 || !matches!(colours, 1 | 3 | 4) {
            return Err(damaged("a frame header that says nothing sensible").into());
        }
        if length != 8 + 3 * u16::from(colours) {
            return Err(damaged("a frame header of the wrong length").into());
        }
        let mut components = Vec::with_capacity(usize::from(colours));
        for _ in 0..colours {
            let (id, sampling, quantization) = (stream.byte()?, stream.byte()?, stream.byte()?);
            let (h, v) = (usize::from(sampling >> 4), usize::from(sampling & 15));
            components.push(Component { id, h, v, quantization, ..Component::default() });
        }
        self.frame = Some(Frame::new(process, size, components)?);
        Ok(())
    }

    fn scan(&mut self, stream: &mut Stream<'_>) -> Result<Scan, Stop> {
        let Some(frame) = &self.frame else {
            return Err(damaged("a scan before the frame header").into());
        };
        let length = word(stream)?;
        let count = stream.byte()?;
        if length != 6 + 2 * u16::from(count) || !(1..=4).contains(&count) {
            return Err(damaged("a scan header of the wrong length").into());
        }
        let mut components: Vec<ScanComponent> = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let (id, tables) = (stream.byte()?, stream.byte()?);
            // If components share an id, libjpeg takes the first whose index is not below the
            // number of components taken so far.
            let index = (0..frame.components.len()).find(|&n| frame.components[n].id == id && n >= components.len());
            let index = index.filter(|&index| components.iter().all(|c| c.index != index));
            let index = index.ok_or_else(|| damaged(&format!("a scan of a component {id} that is not there")))?;
            components.push(ScanComponent { index, dc: usize::from(tables >> 4), ac: usize::from(tables & 15) });
        }
        let (first, last, planes) = (stream.byte()?, stream.byte()?, stream.byte()?);
        let (first, last) = (usize::from(first), usize::from(last));
        Ok(Scan { components, first, last, high: planes >> 4, low: planes & 15 })
    }

    fn huffman(&mut self, stream: &mut Stream<'_>) -> Result<(), Stop> {
        let mut length = i32::from(word(stream)?) - 2;
        while length > 16 {
            let number = stream.byte()?;
            let mut definition = Definition { counts: [0; 17], symbols: [0; 256] };
            for count in &mut definition.counts[1..] {
                *count = stream.byte()?;
            }
            length -= 17;
            let symbols = definition.counts.iter().map(|&n| usize::from(n)).sum::<usize>();
            if symbols > 256 || symbols as i32 > length {
                return Err(damaged("a Huffman table of too many codes").into());
            }
            for symbol in &mut definition.symbols[..symbols] {
                *symbol = stream.byte()?;
            }
            length -= symbols as i32;
            let tables = if number & 0x10 == 0 { &mut self.dc } else { &mut self.ac };
            let table = tables.get_mut(usize::from(number & !0x10));
            *table.ok_or_else(|| damaged(&format!("a Huffman table of number {number}")))? = Some(definition);
        }
        exhausted(length)
    }

    fn quantization(&mut self, stream: &mut Stream<'_>) -> Result<(), Stop> {
        let mut length = i32::from(word(stream)?) - 2;
        while length > 0 {
            let number = stream.byte()?;
            let (wide, number) = (number >> 4 != 0, number & 15);
            let table = self.quantization.get_mut(usize::from(number));
            let table = table.ok_or_else(|| damaged(&format!("a quantisation table of number {number}")))?;
            let table = table.get_or_insert([0; 64]);
            for &index in &ZIGZAG[..64] {
                table[usize::from(index)] = if wide { word(stream)? } else { u16::from(stream.byte()?) };
            }
            length -= if wide { 129 } else { 65 };
        }
        exhausted(length)
    }

    fn restarts(&mut self, stream: &mut Stream<'_>) -> Result<(), Stop> {
        if word(stream)? != 4 {
            return Err(damaged("a restart interval of the wrong length").into());
        }
        self.restart_interval = u32::from(word(stream)?);
        Ok(())
    }

    fn application(&mut self, marker: u8, stream: &mut Stream<'_>) -> Result<(), Stop> {
        let length = usize::from(word(stream)?).saturating_sub(2);
        let mut start = [0; 14];
        let read = length.min(start.len());
        for byte in &mut start[..read] {
            *byte = stream.byte()?;
        }
        match marker {
            0xe0 if read >= 14 && start.starts_with(b"JFIF\0") => self.jfif = true,
            0xee if read >= 12 && start.starts_with(b"Adobe") => self.adobe = Some(start[11]),
            _ => {}
        }
        pass_over(stream, length - read)
    }
}

/// Finds the next marker. Skips everything before it.
pub(super) fn next_marker(stream: &mut Stream<'_>) -> Result<u8, Starved> {
    loop {
        while stream.byte()? != 0xff {}
        let mut marker = stream.byte()?;
        while marker == 0xff {
            marker = stream.byte()?;
        }
        if marker != 0 {
            return Ok(marker);
        }
    }
}

/// The marker that an image starts with. Nothing may precede it.
fn first_marker(stream: &mut Stream<'_>) -> Result<u8, Stop> {
    match (stream.byte()?, stream.byte()?) {
        (0xff, 0xd8) => Ok(0xd8),
        _ => Err(damaged("it ends before its first scan").into()),
    }
}

/// Checks a DAC segment, which only arithmetic coding needs (T.81 B.2.4.3).
fn conditioning(stream: &mut Stream<'_>) -> Result<(), Stop> {
    let mut length = i32::from(word(stream)?) - 2;
    while length > 0 {
        let (number, value) = (stream.byte()?, stream.byte()?);
        if number >= 32 || (number < 16 && value & 15 > value >> 4) {
            return Err(damaged("conditioning of arithmetic coding that cannot be").into());
        }
        length -= 2;
    }
    exhausted(length)
}

/// Skips a segment.
fn skip(stream: &mut Stream<'_>) -> Result<(), Stop> {
    let length = usize::from(word(stream)?);
    pass_over(stream, length.saturating_sub(2))
}

fn pass_over(stream: &mut Stream<'_>, bytes: usize) -> Result<(), Stop> {
    if bytes > stream.limit - stream.bits.at {
        return Err(Stop::Starved);
    }
    stream.bits.at += bytes;
    Ok(())
}

fn exhausted(length: i32) -> Result<(), Stop> {
    if length == 0 { Ok(()) } else { Err(damaged("a segment whose length is not that of its content").into()) }
}

fn word(stream: &mut Stream<'_>) -> Result<u16, Starved> {
    Ok(u16::from_be_bytes([stream.byte()?, stream.byte()?]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> (Headers, Result<Found, Stop>) {
        let mut headers = Headers::default();
        let found = headers.read(&mut Stream::new(bytes));
        (headers, found)
    }

    /// The start of a file: some segments, and a frame header with components `ids`.
    fn file(segments: &[u8], ids: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0xff, 0xd8];
        bytes.extend(segments);
        bytes.extend([0xff, 0xc0, 0, 8 + 3 * ids.len() as u8, 8, 0, 9, 0, 8, ids.len() as u8]);
        bytes.extend(ids.iter().flat_map(|&id| [id, 0x11, 0]));
        bytes
    }

    #[test]
    fn components_mean_what_markers_or_ids_say() {
        const JFIF: &[u8] = b"\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0";
        let adobe = |transform| [b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0".as_slice(), &[transform]].concat();
        let cases: [(Vec<u8>, &[u8], Space); 12] = [
            (vec![], &[7], Space::Grey),
            (adobe(0), &[7], Space::Grey),
            (vec![], &[1, 2, 3], Space::YCbCr),
            (vec![], b"RGB", Space::Rgb),
            (vec![], &[0, 1, 2], Space::YCbCr),
            (adobe(0), &[1, 2, 3], Space::Rgb),
            (adobe(7), b"RGB", Space::YCbCr),
            ([JFIF, &adobe(0)].concat(), b"RGB", Space::YCbCr),
            (vec![], &[1, 2, 3, 4], Space::Cmyk),
            (adobe(0), &[1, 2, 3, 4], Space::Cmyk),
            (adobe(2), &[1, 2, 3, 4], Space::Ycck),
            (adobe(1), &[1, 2, 3, 4], Space::Ycck),
        ];
        for (segments, ids, space) in cases {
            assert_eq!(read(&file(&segments, ids)).0.space(), space, "{segments:x?} {ids:?}");
        }
    }

    #[test]
    fn tables_are_put_into_rows() {
        let steps: Vec<u8> = (1..=64).collect();
        let (headers, _) = read(&[&[0xff, 0xd8, 0xff, 0xdb, 0, 67, 2], steps.as_slice()].concat());
        let table = headers.quantization[2].unwrap();
        assert_eq!((table[0], table[1], table[8], table[16], table[63]), (1, 2, 3, 4, 64));
        let wide: Vec<u8> = (1..=64).flat_map(|n| [1, n]).collect();
        let (headers, _) = read(&[&[0xff, 0xd8, 0xff, 0xdb, 0, 131, 0x11], wide.as_slice()].concat());
        assert_eq!(headers.quantization[1].unwrap()[8], 0x103);
    }

    #[test]
    fn scans_name_components_in_the_order_of_the_frame() {
        let scan = |ids: &[u8]| {
            let mut bytes = file(&[], &[1, 2, 2]);
            bytes.extend([0xff, 0xda, 0, 6 + 2 * ids.len() as u8, ids.len() as u8]);
            bytes.extend(ids.iter().flat_map(|&id| [id, 0x10]));
            bytes.extend([0, 63, 0x21]);
            match read(&bytes).1 {
                Ok(Found::Scan(scan)) => Some(scan.components.iter().map(|c| c.index).collect::<Vec<_>>()),
                _ => None,
            }
        };
        assert_eq!(scan(&[1]), Some(vec![0]));
        assert_eq!(scan(&[2]), Some(vec![1]));
        assert_eq!(scan(&[1, 2, 2]), Some(vec![0, 1, 2]));
        assert_eq!(scan(&[2, 1]), None);
        assert_eq!(scan(&[3]), None);
        assert_eq!(scan(&[1, 1]), None);
    }

    #[test]
    fn segments_are_passed_over_or_refused_as_by_libjpeg() {
        let end = |segments: &[u8]| {
            let bytes = [&[0xff, 0xd8], segments, &[0xff, 0xd9]].concat();
            read(&bytes).1
        };
        let good: [&[u8]; 6] = [
            &[],
            &[9, 9, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0xdc, 0, 3, 7],
            &[0xff, 0xd3, 0xff, 0x01],
            &[0xff, 0xfe, 0, 0, 0xff, 0xe5, 0, 1],
            &[0xff, 0xdd, 0, 4, 1, 2],
            &[0xff, 0xcc, 0, 4, 0x10, 5],
        ];
        for segments in good {
            assert_eq!(end(segments), Ok(Found::End), "{segments:x?}");
        }
        let bad: [&[u8]; 9] = [
            &[0xff, 0xd8],
            &[0xff, 0xc8, 0, 2],
            &[0xff, 0xf3, 0, 2],
            &[0xff, 0x02],
            &[0xff, 0xdd, 0, 3, 1],
            &[0xff, 0xcc, 0, 4, 0x00, 0x12],
            &[0xff, 0xdb, 0, 67, 4],
            &[0xff, 0xc4, 0, 19, 0x04, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0xff, 0xc4, 0, 5, 1, 2, 3],
        ];
        for segments in bad {
            assert!(matches!(end(segments), Err(Stop::Refused(_))), "{segments:x?}");
        }
        assert_eq!(end(&[0xff, 0xe1, 0, 9]), Err(Stop::Starved));
        assert!(matches!(read(&[0xff, 0xd9]).1, Err(Stop::Refused(_))));
    }
}
