//! The orientation in EXIF (EXIF 2.32, tag 0x0112 of the first directory), read like Pillow's
//! TiffImagePlugin.py reads it.
//!
//! The reader is written by hand because what Pillow makes of unusual EXIF decides which way up a
//! network sees an image. Of the test kit's odd files, the crate `kamadak-exif` 0.6 turns 14
//! otherwise than Pillow: values of other types, lists that are cut short, two blocks of EXIF.

const TAG: u16 = 0x0112;

/// What EXIF says about the orientation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Said {
    /// EXIF says nothing, so XMP may.
    Nothing,
    /// A number. A value that is not a number becomes NaN, which means no orientation.
    Number(f64),
    /// EXIF cannot be read at all. XMP is not asked then.
    Broken,
}

/// What the contents of EXIF segments, one after the other, say.
pub(crate) fn orientation(mut exif: &[u8]) -> Said {
    while let Some(rest) = exif.strip_prefix(b"Exif\0\0") {
        exif = rest;
    }
    if exif.is_empty() {
        return Said::Nothing;
    }
    let is_little = match exif.get(..8) {
        Some([b'I', b'I', b'*', 0, ..] | [b'I', b'I', 0, b'*', ..]) => true,
        Some([b'M', b'M', 0, b'*' | b'+', ..] | [b'M', b'M', b'*', 0, ..]) => false,
        _ => return Said::Broken,
    };
    Tiff { bytes: exif, is_little }.orientation()
}

/// A TIFF structure.
struct Tiff<'a> {
    bytes: &'a [u8],
    is_little: bool,
}

impl Tiff<'_> {
    /// The number in the first directory. If several entries have one, the last counts. A truncated
    /// entry ends the directory.
    fn orientation(&self) -> Said {
        let mut said = Said::Nothing;
        let Some(directory) = self.unsigned(4, 4).map(|at| at as usize) else { return Said::Broken };
        let entries = self.unsigned(directory, 2).unwrap_or(0) as usize;
        for entry in (0..entries).map(|number| directory + 2 + 12 * number) {
            let (Some(tag), Some(kind), Some(count), Some(_)) = (
                self.unsigned(entry, 2),
                self.unsigned(entry + 2, 2),
                self.unsigned(entry + 4, 4),
                self.unsigned(entry + 8, 4),
            ) else {
                break;
            };
            let Some(length) = length_of(kind) else { continue };
            let size = length * count;
            let at = if size > 4 { self.unsigned(entry + 8, 4).unwrap_or(0) as usize } else { entry + 8 };
            if size > 4 && self.bytes.len().saturating_sub(at) < size as usize {
                break;
            }
            if tag == u64::from(TAG) && size > 0 {
                said = Said::Number(self.value(kind, at));
            }
        }
        said
    }

    /// The first value of type `kind` at an offset. NaN if the value is text or bytes.
    fn value(&self, kind: u64, at: usize) -> f64 {
        let whole = |length| self.unsigned(at, length).unwrap_or(0);
        let parts = || (self.unsigned(at, 4).unwrap_or(0), self.unsigned(at + 4, 4).unwrap_or(0));
        match kind {
            3 => whole(2) as f64,
            4 | 13 => whole(4) as f64,
            5 => parts().0 as f64 / parts().1 as f64,
            6 => f64::from(whole(1) as i8),
            8 => f64::from(whole(2) as i16),
            9 => f64::from(whole(4) as i32),
            10 => f64::from(parts().0 as i32) / f64::from(parts().1 as i32),
            11 => f64::from(f32::from_bits(whole(4) as u32)),
            12 => f64::from_bits(whole(8)),
            16 => whole(8) as f64,
            _ => f64::NAN,
        }
    }

    /// A whole number of up to eight bytes.
    fn unsigned(&self, at: usize, length: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..at.checked_add(length)?)?;
        let join = |number: u64, &byte: &u8| number << 8 | u64::from(byte);
        Some(if self.is_little { bytes.iter().rev().fold(0, join) } else { bytes.iter().fold(0, join) })
    }
}

/// The size in bytes of a value, if its type is known.
fn length_of(kind: u64) -> Option<u64> {
    match kind {
        1 | 2 | 6 | 7 => Some(1),
        3 | 8 => Some(2),
        4 | 9 | 11 | 13 => Some(4),
        5 | 10 | 12 | 16 => Some(8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A structure with one entry. Its value is `value`, which lies after the directory if it is
    /// longer than four bytes.
    fn tiff(kind: u16, count: u32, value: &[u8]) -> Vec<u8> {
        let mut bytes = b"II*\0\x08\0\0\0\x01\0\x12\x01".to_vec();
        bytes.extend(kind.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        let field = if value.len() > 4 { &[26, 0, 0, 0] } else { value };
        bytes.extend(field);
        bytes.resize(26, 0);
        bytes.extend(if value.len() > 4 { value } else { &[] });
        bytes
    }

    #[test]
    fn numbers_of_every_type_are_read() {
        let cases: [(u16, u32, &[u8], f64); 12] = [
            (3, 1, &[6, 0], 6.0),
            (3, 2, &[6, 0, 3, 0], 6.0),
            (3, 3, &[5, 0, 3, 0, 1, 0], 5.0),
            (4, 1, &[6, 0, 0, 0], 6.0),
            (4, 1, &[6, 0, 1, 0], 65_542.0),
            (5, 1, &[18, 0, 0, 0, 3, 0, 0, 0], 6.0),
            (6, 1, &[255], -1.0),
            (8, 1, &[6, 0], 6.0),
            (9, 1, &[254, 255, 255, 255], -2.0),
            (10, 1, &[244, 255, 255, 255, 254, 255, 255, 255], 6.0),
            (11, 1, &6_f32.to_le_bytes(), 6.0),
            (12, 1, &6_f64.to_le_bytes(), 6.0),
        ];
        for (kind, count, value, expected) in cases {
            assert_eq!(orientation(&tiff(kind, count, value)), Said::Number(expected), "type {kind}, {value:?}");
        }
        for kind in [1, 2, 7] {
            assert!(matches!(orientation(&tiff(kind, 1, &[6])), Said::Number(number) if number.is_nan()));
        }
    }

    #[test]
    fn what_cannot_be_read_says_nothing_or_is_broken() {
        assert_eq!(orientation(b""), Said::Nothing);
        assert_eq!(orientation(b"Exif\0\0Exif\0\0"), Said::Nothing);
        assert_eq!(orientation(&tiff(99, 1, &[6])), Said::Nothing);
        assert_eq!(orientation(&tiff(3, 0, &[6, 0])), Said::Nothing);
        assert_eq!(orientation(&tiff(3, 9, &[6, 0, 3, 0, 3, 0])), Said::Nothing);
        assert_eq!(orientation(b"Exif\0\0II+\0\x08\0\0\0"), Said::Broken);
        assert_eq!(orientation(b"Exif\0\0II*\0\x08"), Said::Broken);
        let whole = tiff(5, 1, &[18, 0, 0, 0, 3, 0, 0, 0]);
        for end in 0..whole.len() {
            assert!(!matches!(orientation(&whole[..end]), Said::Number(_)), "cut at {end}");
        }
        for bit in 0..whole.len() * 8 {
            let mut changed = whole.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let _ = orientation(&changed);
        }
    }
}
