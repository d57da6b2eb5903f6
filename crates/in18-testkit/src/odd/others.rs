//! Files that are neither JPEG nor PNG, whatever their names say.

use super::OddFile;
use crate::generator::{bits, stream};

/// The files of this kind.
pub fn files() -> Vec<OddFile> {
    let noise =
        |seed: &str, length: usize| (0..length).map(|n| (bits(stream(seed), n) >> 40) as u8).collect::<Vec<u8>>();
    let file = |name: &str, bytes: Vec<u8>| OddFile::new(format!("{name}.jpg"), bytes);
    vec![
        file("other-empty", Vec::new()),
        file("other-gif", gif()),
        file("other-bmp", bmp()),
        file("other-webp", webp()),
        file("other-tiff", tiff()),
        file("other-ppm", [b"P6\n4 3\n255\n".as_slice(), &noise("ppm", 36)].concat()),
        file("other-gif-cut", gif()[..20].to_vec()),
        file("other-noise", noise("noise", 500)),
        file("other-noise-after-start", [b"\xff\xd8\xff\xe0".as_slice(), &noise("more", 500)].concat()),
        file("other-noise-after-png-start", [super::png::SIGNATURE, &noise("png", 500)].concat()),
        file("other-zeros", vec![0; 300]),
        file("other-ones", vec![0xff; 300]),
        file("other-text", b"<!DOCTYPE html>\n<title>404 Not Found</title>\n".to_vec()),
        file("other-one-byte", vec![0xff]),
        file("other-start-only", b"\xff\xd8\xff".to_vec()),
        file("other-start-and-end", b"\xff\xd8\xff\xd9".to_vec()),
        file("other-pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n".to_vec()),
    ]
}

/// 6 × 4 pixels of two colours.
fn gif() -> Vec<u8> {
    let mut bytes = b"GIF89a\x06\0\x04\0\x80\0\0\x10\x80\xf0\xe0\x20\x40,\0\0\0\0\x06\0\x04\0\0\x02".to_vec();
    // Codes of three bits: 4 is the clear code, so that the codes never grow; 5 ends the data.
    let codes = (0..24).flat_map(|n| [4, u32::from(n % 3 == 0)]).chain([5]);
    let data = lowest_bit_first(codes.map(|code| (code, 3)));
    bytes.push(data.len() as u8);
    bytes.extend(data);
    bytes.extend([0, b';']);
    bytes
}

/// 3 × 2 pixels of 24 bits.
fn bmp() -> Vec<u8> {
    let mut bytes = b"BM".to_vec();
    for word in [54 + 24, 0, 54, 40, 3, 2, 24 << 16 | 1, 0, 24, 2835, 2835, 0, 0_u32] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend((0..24).map(|n| n * 10));
    bytes
}

/// 5 × 4 pixels of one colour, lossless. Every Huffman code has one symbol, and so takes no bits.
fn webp() -> Vec<u8> {
    // No alpha, version 0; no transform, no colour cache, no groups of codes.
    let mut fields = vec![(0x2f, 8), (5 - 1, 14), (4 - 1, 14), (0, 1 + 3 + 1 + 1 + 1)];
    for symbol in [90, 200, 40, 255, 0] {
        // A simple code with one symbol of eight bits.
        fields.extend([(1, 1), (0, 1), (1, 1), (symbol, 8)]);
    }
    let mut data = lowest_bit_first(fields);
    if data.len() % 2 == 1 {
        data.push(0);
    }
    let length = data.len() as u32;
    [b"RIFF".as_slice(), &(length + 12).to_le_bytes(), b"WEBPVP8L", &length.to_le_bytes(), &data].concat()
}

/// 3 × 2 grey pixels.
fn tiff() -> Vec<u8> {
    let entries: [(u16, u16, u32); 8] =
        [(256, 3, 3), (257, 3, 2), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (278, 3, 2), (279, 4, 6)];
    let mut bytes = b"II*\0\x0e\0\0\0abcdef".to_vec();
    bytes.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, value) in entries {
        bytes.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
        bytes.extend([1_u32.to_le_bytes(), value.to_le_bytes()].concat());
    }
    bytes.extend([0; 4]);
    bytes
}

/// Packs fields of some bits into bytes, the lowest bit of each first.
fn lowest_bit_first(fields: impl IntoIterator<Item = (u32, u32)>) -> Vec<u8> {
    let bits: Vec<bool> =
        fields.into_iter().flat_map(|(value, count)| (0..count).map(move |bit| value >> bit & 1 == 1)).collect();
    let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit));
    bits.chunks(8).map(byte).collect()
}
