//! The chunks of a PNG, read like Pillow's PngImagePlugin.py reads them. Chunks before the pixels
//! must be right, including their checksums. Of the chunks with pixels, only the content counts.
//! Chunks after the pixels are read as far as possible.

use crate::error::Error;
use crate::metadata::Metadata;

use super::{damaged, truncated};

/// The parts of a file that are used.
#[derive(Debug, Default)]
pub(super) struct Chunks<'a> {
    /// The content of IHDR: width, height, bits per sample, colour type, compression, filters,
    /// interlacing.
    pub header: [u8; 13],
    /// The content of PLTE, if the colour type is that of a palette.
    pub palette: &'a [u8],
    /// The contents of the first IDAT chunk and of the IDAT chunks that directly follow it.
    pub data: Vec<&'a [u8]>,
    /// Whether the file ends in one of these chunks.
    pub is_cut: bool,
    pub metadata: Metadata<'a>,
    is_animated: bool,
}

/// The colour type of a palette.
pub(super) const INDEXED: u8 = 3;

/// Reads a file that starts with PNG's signature.
pub(super) fn read(bytes: &[u8]) -> Result<Chunks<'_>, Error> {
    let mut chunks = Chunks::default();
    let mut at = 8;
    loop {
        let Some((name, length)) = start(bytes, at) else { return Err(truncated(bytes)) };
        if !is_name(name) {
            return Err(damaged(format!("a chunk named {}", name.escape_ascii())));
        }
        match &name {
            b"IDAT" => break,
            b"IEND" => return Err(damaged("no pixels".to_owned())),
            _ => {}
        }
        let content = bytes.get(at + 8..at + 8 + length).ok_or_else(|| truncated(bytes))?;
        let checksum = bytes.get(at + 8 + length..at + 12 + length).ok_or_else(|| truncated(bytes))?;
        chunks.take(name, content)?;
        if crc(&bytes[at + 4..at + 8 + length]).to_be_bytes() != checksum {
            return Err(damaged(format!("a chunk {} of another checksum than its own", name.escape_ascii())));
        }
        at += 12 + length;
    }
    while let Some((_, length)) = start(bytes, at).filter(|(name, _)| name == b"IDAT") {
        let content = &bytes[at + 8..];
        chunks.is_cut = content.len() < length;
        chunks.data.push(&content[..length.min(content.len())]);
        at += 12 + length;
    }
    while let Some((name, length)) = start(bytes, at).filter(|&(name, _)| is_name(name) && name != *b"IEND") {
        if name == *b"fcTL" && chunks.is_animated {
            break;
        }
        chunks.take(name, bytes.get(at + 8..at + 8 + length).ok_or_else(|| truncated(bytes))?)?;
        at += 12 + length;
    }
    Ok(chunks)
}

/// Only the metadata. The file need not be correct.
pub(super) fn metadata(bytes: &[u8]) -> Metadata<'_> {
    let mut chunks = Chunks::default();
    let mut at = 8;
    while let Some((name, length)) = start(bytes, at).filter(|&(name, _)| is_name(name) && name != *b"IEND") {
        let Some(content) = bytes.get(at + 8..at + 8 + length) else { break };
        if matches!(&name, b"eXIf" | b"iTXt") && chunks.take(name, content).is_err() {
            break;
        }
        at += 12 + length;
    }
    chunks.metadata
}

impl<'a> Chunks<'a> {
    /// Takes in a chunk, or returns the error that Pillow would raise.
    fn take(&mut self, name: [u8; 4], content: &'a [u8]) -> Result<(), Error> {
        let is_good = match &name {
            b"IHDR" => match content.first_chunk::<13>() {
                Some(header) => {
                    self.header = *header;
                    header[11] == 0
                }
                None => false,
            },
            b"PLTE" => {
                if self.header[9] == INDEXED {
                    self.palette = content;
                }
                true
            }
            // One sample of two bytes for each colour.
            b"tRNS" => content.len() >= [2, 0, 6].get(usize::from(self.header[9])).copied().unwrap_or(0),
            b"gAMA" => content.len() >= 4,
            b"cHRM" => content.len().is_multiple_of(4),
            b"sRGB" => !content.is_empty(),
            b"pHYs" => content.len() >= 9,
            b"acTL" => {
                self.is_animated |= content.get(..4).is_some_and(|frames| *frames != [0; 4]);
                content.len() >= 8
            }
            b"fcTL" => content.len() >= 26,
            b"fdAT" => content.len() >= 4,
            b"iCCP" => {
                let method = content.iter().position(|&byte| byte == 0).map_or(0, |end| end + 1);
                content.get(method) == Some(&0)
            }
            b"zTXt" => {
                let method = content.iter().position(|&byte| byte == 0).and_then(|end| content.get(end + 1));
                method.is_none_or(|&method| method == 0)
            }
            b"eXIf" => {
                self.metadata.exif = content.into();
                true
            }
            b"iTXt" => {
                // After the name: a flag (not compressed), then language and translated name,
                // either of which may be empty.
                let text = content.strip_prefix(b"XML:com.adobe.xmp\0\0").and_then(|rest| rest.get(1..));
                let text = text.and_then(|rest| rest.splitn(3, |&byte| byte == 0).nth(2));
                self.metadata.xmp = text.or(self.metadata.xmp);
                true
            }
            _ => true,
        };
        if is_good { Ok(()) } else { Err(damaged(format!("a chunk {} cut short or wrong", name.escape_ascii()))) }
    }
}

/// The name of the chunk at offset `at`, and the length of its content.
fn start(bytes: &[u8], at: usize) -> Option<([u8; 4], usize)> {
    let (length, rest) = bytes.get(at..)?.split_first_chunk::<4>()?;
    Some((*rest.first_chunk::<4>()?, u32::from_be_bytes(*length) as usize))
}

fn is_name(name: [u8; 4]) -> bool {
    name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

/// The checksum of a chunk's name and content (PNG specification, annex D).
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, &byte| CRC[((sum ^ u32::from(byte)) & 0xff) as usize] ^ sum >> 8)
}

/// For each value of the byte that leaves the checksum, the change of the checksum.
const CRC: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { 0xedb8_8320 ^ sum >> 1 } else { sum >> 1 };
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_png() {
        assert_eq!(crc(b"IEND"), 0xae42_6082);
    }
}
