//! The table of synsets in the development kit's `meta.mat`, a MATLAB 5 file.
//!
//! Reads as much of the format (MathWorks, "MAT-File Format", R2024a, chapter 1) as the file uses:
//! one compressed element that holds an array of structures, whose fields are numbers and
//! characters.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::ZlibDecoder;

/// Bytes before the first element.
const HEADER: usize = 128;
/// The kit's table has less than 2 MB.
const MAX_BYTES: u64 = 1 << 26;
const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;
/// Class of an array of structures, in an array's flags.
const STRUCTURES: u8 = 2;

/// The synset of each number; none if the file holds no such table.
pub(super) fn synsets(file: &[u8]) -> Option<BTreeMap<u32, String>> {
    let mut elements = Elements(file.get(HEADER..)?);
    loop {
        let (kind, bytes) = elements.next()?;
        let mut unpacked = Vec::new();
        let found = match kind {
            MATRIX => table(bytes),
            COMPRESSED => {
                ZlibDecoder::new(bytes).take(MAX_BYTES).read_to_end(&mut unpacked).ok()?;
                let (kind, bytes) = Elements(&unpacked).next()?;
                if kind == MATRIX { table(bytes) } else { None }
            }
            _ => None,
        };
        if found.is_some() {
            return found;
        }
    }
}

/// Reads an array of structures with the fields `ILSVRC2012_ID` and `WNID`.
fn table(array: &[u8]) -> Option<BTreeMap<u32, String>> {
    let mut elements = Elements(array);
    let (_, flags) = elements.next()?;
    if *flags.first()? != STRUCTURES {
        return None;
    }
    let (_, dimensions) = elements.next()?;
    let (_, _name) = elements.next()?;
    let (_, width) = elements.next()?;
    let width = u32::from_le_bytes(width.get(..4)?.try_into().ok()?) as usize;
    let (_, fields) = elements.next()?;
    if width == 0 || !fields.len().is_multiple_of(width) {
        return None;
    }
    let fields: Vec<&[u8]> =
        fields.chunks(width).map(|name| name.split(|&byte| byte == 0).next().unwrap_or(name)).collect();
    let position = |name: &[u8]| fields.iter().position(|field| *field == name);
    let (id, synset) = (position(b"ILSVRC2012_ID")?, position(b"WNID")?);
    let count = dimensions.chunks_exact(4).map(|n| u64::from(u32::from_le_bytes([n[0], n[1], n[2], n[3]])));
    let count = count.fold(1_u64, u64::saturating_mul);
    let mut found = BTreeMap::new();
    for _ in 0..count {
        let structure = (0..fields.len()).map(|_| elements.next()).collect::<Option<Vec<_>>>()?;
        found.insert(number(structure[id].1)?, characters(structure[synset].1)?);
    }
    Some(found)
}

/// The first number of an array.
fn number(array: &[u8]) -> Option<u32> {
    let (kind, data) = content(array)?;
    match kind {
        // Small whole numbers are kept in smaller types than their array's.
        1 | 2 => Some(u32::from(*data.first()?)),
        3 | 4 => Some(u32::from(u16::from_le_bytes(data.get(..2)?.try_into().ok()?))),
        5 | 6 => Some(u32::from_le_bytes(data.get(..4)?.try_into().ok()?)),
        12 | 13 => u32::try_from(u64::from_le_bytes(data.get(..8)?.try_into().ok()?)).ok(),
        9 => Some(f64::from_le_bytes(data.get(..8)?.try_into().ok()?) as u32),
        _ => None,
    }
}

/// An array of characters.
fn characters(array: &[u8]) -> Option<String> {
    let (kind, data) = content(array)?;
    match kind {
        1 | 2 | 16 => String::from_utf8(data.to_vec()).ok(),
        4 | 17 => {
            let units: Vec<u16> = data.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}

/// Type and bytes of an array's content, which follows its flags, dimensions and name.
fn content(array: &[u8]) -> Option<(u32, &[u8])> {
    Elements(array).nth(3)
}

/// The elements of a file or an array: type and bytes.
struct Elements<'a>(&'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = (u32, &'a [u8]);

    fn next(&mut self) -> Option<(u32, &'a [u8])> {
        let word = |at: usize| Some(u32::from_le_bytes(self.0.get(at..at + 4)?.try_into().ok()?));
        let first = word(0)?;
        // Up to four bytes may share their tag's eight.
        if first >> 16 != 0 {
            let data = self.0.get(4..4 + (first >> 16) as usize)?;
            self.0 = self.0.get(8..)?;
            return Some((first & 0xffff, data));
        }
        let length = word(4)? as usize;
        let data = self.0.get(8..8_usize.checked_add(length)?)?;
        let padded = if first == COMPRESSED { length } else { length.next_multiple_of(8) };
        self.0 = self.0.get(8 + padded..).unwrap_or(&[]);
        Some((first, data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by SciPy: `scripts/golden/meta.py`.
    const META: &[u8] = include_bytes!("../../../tests/data/meta.mat");

    #[test]
    fn the_table_is_read() {
        let expected = [(1, "n02119789"), (2, "n02100735"), (3, "n02110185"), (1000, "n03255030"), (1001, "n00001740")];
        let expected: BTreeMap<u32, String> = expected.map(|(id, synset)| (id, synset.to_owned())).into();
        assert_eq!(synsets(META), Some(expected));
    }

    #[test]
    fn damaged_files_hold_none_or_less() {
        for end in 0..META.len() {
            let _ = synsets(&META[..end]);
        }
        for bit in 0..META.len() * 8 {
            let mut changed = META.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            let _ = synsets(&changed);
        }
        assert_eq!(synsets(b""), None);
    }
}
