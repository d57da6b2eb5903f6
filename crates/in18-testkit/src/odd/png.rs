//! A PNG file as a list of chunks, and pictures with every kind of sample (PNG, third edition).

use std::io::Write;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

use crate::generator::{bits, stream};

pub const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Colour types.
pub const GREY: u8 = 0;
pub const RGB: u8 = 2;
pub const PALETTE: u8 = 3;
pub const GREY_ALPHA: u8 = 4;
pub const RGBA: u8 = 6;

/// A file's chunks: names and contents.
#[derive(Clone, Debug)]
pub struct Chunks(pub Vec<([u8; 4], Vec<u8>)>);

impl Chunks {
    /// A picture with `depth` bits a sample; a palette, if it has one, has 2 to the `depth`
    /// colours.
    pub fn image(width: u32, height: u32, depth: u8, colours: u8, is_interlaced: bool) -> Self {
        let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
        header.extend([depth, colours, 0, 0, u8::from(is_interlaced)]);
        let mut chunks = vec![(*b"IHDR", header)];
        if colours == PALETTE {
            chunks.push((*b"PLTE", (0..3usize << depth).map(|n| (n * 83 % 251) as u8).collect()));
        }
        chunks.push((*b"IDAT", compressed(&rows(width, height, depth, colours, is_interlaced))));
        chunks.push((*b"IEND", Vec::new()));
        Self(chunks)
    }

    /// Adds a chunk before the pixels.
    pub fn before_data(mut self, name: &[u8; 4], content: &[u8]) -> Self {
        let at = self.place(b"IDAT");
        self.0.insert(at, (*name, content.to_vec()));
        self
    }

    /// Adds a chunk after the pixels.
    pub fn after_data(mut self, name: &[u8; 4], content: &[u8]) -> Self {
        let at = self.place(b"IEND");
        self.0.insert(at, (*name, content.to_vec()));
        self
    }

    /// Removes the chunks with this name.
    pub fn without(mut self, name: &[u8; 4]) -> Self {
        self.0.retain(|(other, _)| other != name);
        self
    }

    /// Changes the content of the first chunk with this name.
    pub fn change(mut self, name: &[u8; 4], change: impl FnOnce(&mut Vec<u8>)) -> Self {
        let at = self.place(name);
        change(&mut self.0[at].1);
        self
    }

    /// The file's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        for (name, content) in &self.0 {
            bytes.extend((content.len() as u32).to_be_bytes());
            let mut sum = Crc::new();
            sum.update(name);
            sum.update(content);
            bytes.extend(name);
            bytes.extend(content);
            bytes.extend(sum.sum().to_be_bytes());
        }
        bytes
    }

    /// The offset of the checksum of the first chunk with this name.
    pub fn checksum_of(&self, name: &[u8; 4]) -> usize {
        let before = self.0[..self.place(name)].iter().map(|(_, content)| content.len() + 12).sum::<usize>();
        SIGNATURE.len() + before + 8 + self.0[self.place(name)].1.len()
    }

    fn place(&self, name: &[u8; 4]) -> usize {
        self.0.iter().position(|(other, _)| other == name).expect("a chunk of this name")
    }
}

/// Compresses bytes to a zlib stream.
pub fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

/// Rows of samples, each after the number of its filter, pass by pass.
pub fn rows(width: u32, height: u32, depth: u8, colours: u8, is_interlaced: bool) -> Vec<u8> {
    // Adam7: each pass's first column and row, and its steps.
    const PASSES: [[u32; 4]; 7] =
        [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];
    let passes: &[[u32; 4]] = if is_interlaced { &PASSES } else { &[[0, 0, 1, 1]] };
    let channels = match colours {
        RGB => 3,
        GREY_ALPHA => 2,
        RGBA => 4,
        _ => 1,
    };
    let pixel = (channels * usize::from(depth)).div_ceil(8);
    let mut filtered = Vec::new();
    for &[left, top, right, down] in passes {
        let columns: Vec<u32> = (left..width).step_by(right as usize).collect();
        if columns.is_empty() {
            continue;
        }
        let mut above = Vec::new();
        for (number, y) in (top..height).step_by(down as usize).enumerate() {
            let mut samples = Vec::new();
            columns.iter().for_each(|&x| (0..channels).for_each(|c| samples.push(sample(x, y, c) >> (16 - depth))));
            let row = packed(&samples, depth);
            above.resize(row.len(), 0);
            filter((number % 5) as u8, &row, &above, pixel, &mut filtered);
            above = row;
        }
    }
    filtered
}

/// A 16-bit sample: a slope, with noise in its low half.
fn sample(x: u32, y: u32, channel: usize) -> u16 {
    let noise = bits(stream("png"), (y as usize * 1000 + x as usize) * 4 + channel) >> 51;
    ((x * 2200 + y * 3100 + channel as u32 * 21_000) as u16).wrapping_add(noise as u16)
}

/// Packs samples of `depth` bits into bytes, the first in the highest bits.
fn packed(samples: &[u16], depth: u8) -> Vec<u8> {
    if depth == 16 {
        return samples.iter().flat_map(|sample| sample.to_be_bytes()).collect();
    }
    let in_byte = usize::from(8 / depth);
    let byte = |samples: &[u16]| {
        let shifted = (1..).zip(samples).map(|(n, &sample)| u32::from(sample) << (8 - n * u32::from(depth)));
        shifted.sum::<u32>() as u8
    };
    samples.chunks(in_byte).map(byte).collect()
}

/// Appends a row filtered by filter `number`. `pixel` is the bytes of a pixel, at least 1.
fn filter(number: u8, row: &[u8], above: &[u8], pixel: usize, to: &mut Vec<u8>) {
    to.push(number);
    for (at, &byte) in row.iter().enumerate() {
        let left = |row: &[u8]| at.checked_sub(pixel).map_or(0, |before| i16::from(row[before]));
        let (a, b, c) = (left(row), i16::from(above[at]), left(above));
        let predicted = match number {
            0 => 0,
            1 => a,
            2 => b,
            3 => (a + b) / 2,
            _ => {
                let (pa, pb, pc) = ((b - c).abs(), (a - c).abs(), (a + b - 2 * c).abs());
                if pa <= pb && pa <= pc {
                    a
                } else if pb <= pc {
                    b
                } else {
                    c
                }
            }
        };
        to.push(byte.wrapping_sub(predicted as u8));
    }
}
