//! Writes a JPEG file segment by segment (T.81 B), and changes finished files.

use super::picture::Picture;
use super::scan::{Scan, Tables, code};

pub const SOF0: u8 = 0xc0;
pub const SOF1: u8 = 0xc1;
pub const SOF2: u8 = 0xc2;
pub const SOF3: u8 = 0xc3;
pub const DHT: u8 = 0xc4;
pub const EOI: u8 = 0xd9;
pub const SOS: u8 = 0xda;
pub const DQT: u8 = 0xdb;
pub const DNL: u8 = 0xdc;
pub const DRI: u8 = 0xdd;
pub const APP0: u8 = 0xe0;
pub const APP1: u8 = 0xe1;
pub const APP2: u8 = 0xe2;
pub const APP13: u8 = 0xed;
pub const APP14: u8 = 0xee;
pub const COM: u8 = 0xfe;

/// The content of a JFIF segment.
pub const JFIF: &[u8] = b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0";

/// The file so far. Every method appends to it and returns it.
#[derive(Clone, Debug)]
pub struct Jpeg {
    pub bytes: Vec<u8>,
    is_progressive: bool,
    tables: Tables,
    restart: u16,
}

impl Jpeg {
    /// A file with only the start marker. Its scans will be coded with `tables`.
    pub fn new(tables: Tables) -> Self {
        Self { bytes: vec![0xff, 0xd8], is_progressive: false, tables, restart: 0 }
    }

    /// Appends bytes unchanged.
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend(bytes);
        self
    }

    /// Appends a marker and its segment.
    pub fn segment(self, marker: u8, content: &[u8]) -> Self {
        let length = (content.len() as u16 + 2).to_be_bytes();
        self.raw(&[0xff, marker]).raw(&length).raw(content)
    }

    /// Appends the JFIF segment.
    pub fn jfif(self) -> Self {
        self.segment(APP0, JFIF)
    }

    /// Appends the Adobe segment. `transform`: 0 for RGB or CMYK, 1 for YCbCr, 2 for YCCK.
    pub fn adobe(self, transform: u8) -> Self {
        self.segment(APP14, &[b"Adobe\0\x64\0\0\0\0", [transform].as_slice()].concat())
    }

    /// Appends two quantisation tables, whose steps are `times` their usual size.
    pub fn quantization(self, times: u16) -> Self {
        let step = |number: u16, n: u16| times * if n == 0 { 8 } else { 6 + number * 3 + n / 4 };
        let mut content = Vec::new();
        for number in 0..2 {
            let steps = (0..64).map(|n| step(number, n));
            if times == 1 {
                content.push(number as u8);
                content.extend(steps.map(|step| step as u8));
            } else {
                content.push(0x10 | number as u8);
                content.extend(steps.flat_map(u16::to_be_bytes));
            }
        }
        self.segment(DQT, &content)
    }

    /// Appends the Huffman tables.
    pub fn huffman(self) -> Self {
        let Tables { dc, ac } = &self.tables;
        let content = [dc[0].definition(0, 0), dc[1].definition(0, 1), ac[0].definition(1, 0), ac[1].definition(1, 1)];
        self.segment(DHT, &content.concat())
    }

    /// Appends a picture's frame header.
    pub fn frame(self, marker: u8, picture: &Picture) -> Self {
        let mut content = vec![8];
        content.extend(picture.height.to_be_bytes());
        content.extend(picture.width.to_be_bytes());
        content.push(picture.components.len() as u8);
        for c in &picture.components {
            content.extend([c.id, (c.h << 4 | c.v) as u8, c.quantization]);
        }
        let frame = self.segment(marker, &content);
        Self { is_progressive: marker == SOF2, ..frame }
    }

    /// From here on, restarts every `interval` MCUs.
    pub fn restarts(self, interval: u16) -> Self {
        Self { restart: interval, ..self.segment(DRI, &interval.to_be_bytes()) }
    }

    /// Appends a scan: its header and its data.
    pub fn scan(self, picture: &Picture, scan: &Scan) -> Self {
        self.scan_with(picture, scan, |number| Some((number % 8) as u8))
    }

    /// Appends a scan in which `restart` gives the number of the n-th restart marker, or `None` to
    /// leave the marker out.
    pub fn scan_with(mut self, picture: &Picture, scan: &Scan, restart: impl Fn(usize) -> Option<u8>) -> Self {
        self = self.scan_header(picture, scan);
        let intervals = code(picture, scan, self.is_progressive, &self.tables, self.restart);
        for (number, data) in intervals.iter().enumerate() {
            if let Some(marker) = number.checked_sub(1).and_then(&restart) {
                self.bytes.extend([0xff, 0xd0 + marker]);
            }
            self.bytes.extend(data);
        }
        self
    }

    /// Appends only a scan's header.
    pub fn scan_header(self, picture: &Picture, scan: &Scan) -> Self {
        let mut content = vec![scan.of.len() as u8];
        for &index in &scan.of {
            content.extend([picture.components[index].id, (Tables::number(index) * 0x11) as u8]);
        }
        content.extend([scan.first, scan.last, scan.high << 4 | scan.low]);
        self.segment(SOS, &content)
    }

    /// Ends the file, and returns its bytes.
    pub fn end(self) -> Vec<u8> {
        self.raw(&[0xff, EOI]).bytes
    }
}

/// A file with the usual tables and the frame header, without application segments.
pub fn begun(marker: u8, picture: &Picture) -> Jpeg {
    let tables = if marker == SOF2 { Tables::every() } else { Tables::typical() };
    Jpeg::new(tables).quantization(1).huffman().frame(marker, picture)
}

/// One sequential scan of all components.
pub fn all(picture: &Picture) -> Scan {
    Scan::sequential(&(0..picture.components.len()).collect::<Vec<_>>())
}

/// A picture as a baseline file with one scan; JFIF if that allows its number of components.
pub fn baseline(picture: &Picture) -> Vec<u8> {
    let start = Jpeg::new(Tables::typical());
    let start = if picture.components.len() < 4 { start.jfif() } else { start };
    start.quantization(1).huffman().frame(SOF0, picture).scan(picture, &all(picture)).end()
}

/// The offsets of a marker's segments, up to the first scan's data.
pub fn offsets(bytes: &[u8], marker: u8) -> Vec<usize> {
    let (mut at, mut found) = (2, Vec::new());
    loop {
        if bytes[at + 1] == marker {
            found.push(at);
        }
        if bytes[at + 1] == SOS {
            return found;
        }
        at += 2 + segment_length(bytes, at);
    }
}

/// The offset of the first scan's data.
pub fn data(bytes: &[u8]) -> usize {
    let scan = offsets(bytes, SOS)[0];
    scan + 2 + segment_length(bytes, scan)
}

/// The file without a marker's segments.
pub fn without(bytes: &[u8], marker: u8) -> Vec<u8> {
    let mut left = bytes.to_vec();
    for at in offsets(bytes, marker).into_iter().rev() {
        left.drain(at..at + 2 + segment_length(bytes, at));
    }
    left
}

/// The file with other bytes inserted at an offset.
pub fn with(bytes: &[u8], at: usize, others: &[u8]) -> Vec<u8> {
    [&bytes[..at], others, &bytes[at..]].concat()
}

/// The file with its bytes from an offset on overwritten by others.
pub fn set(bytes: &[u8], at: usize, others: &[u8]) -> Vec<u8> {
    [&bytes[..at], others, &bytes[at + others.len()..]].concat()
}

fn segment_length(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]))
}
