//! How a camera was held: the EXIF orientation of a file, and turning an image upright.
//!
//! EXIF 2.32, tag 0x0112 of the first directory. Read where Pillow reads it: in a JPEG's first APP1 segment of EXIF, in a PNG's
//! `eXIf` chunk.

use crate::format::{Format, sniff};
use crate::image::{Crop, Rgb8Image, Size};

const TAG: u16 = 0x0112;
/// The type of a 16-bit number.
const SHORT: u16 = 3;

/// How a stored image becomes upright: its sides exchanged first, then mirrored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Orientation {
    /// Columns become rows.
    swap: bool,
    /// Whether stored columns count from the right.
    flip_x: bool,
    /// Whether stored rows count from the bottom.
    flip_y: bool,
}

impl Orientation {
    /// As it is stored.
    pub const UPRIGHT: Self = Self { swap: false, flip_x: false, flip_y: false };

    /// What a file says; upright where it says nothing that can be understood.
    pub fn of(file: &[u8]) -> Self {
        let tiff = match sniff(file) {
            Ok(Format::Jpeg) => exif_of_jpeg(file),
            Ok(Format::Png) => exif_of_png(file),
            Err(_) => None,
        };
        tiff.and_then(tag).map_or(Self::UPRIGHT, Self::from_number)
    }

    /// The orientation of an EXIF number, 1 to 8; upright for others.
    fn from_number(number: u16) -> Self {
        let (swap, flip_x, flip_y) = match number {
            2 => (false, true, false),
            3 => (false, true, true),
            4 => (false, false, true),
            5 => (true, false, false),
            6 => (true, false, true),
            7 => (true, true, true),
            8 => (true, true, false),
            _ => (false, false, false),
        };
        Self { swap, flip_x, flip_y }
    }

    /// Whether nothing is to be done.
    pub fn is_upright(self) -> bool {
        self == Self::UPRIGHT
    }

    /// The upright size of an image that is stored with size `stored`, and the other way round.
    pub fn turned(self, stored: Size) -> Size {
        if self.swap { Size::new(stored.height, stored.width) } else { stored }
    }

    /// Where a region of the upright image lies in the stored one, which has size `stored`.
    pub fn stored_region(self, upright: Crop, stored: Size) -> Crop {
        let Crop { left, top, width, height } = upright;
        let (left, top, width, height) =
            if self.swap { (top, left, height, width) } else { (left, top, width, height) };
        Crop {
            left: if self.flip_x { stored.width - left - width } else { left },
            top: if self.flip_y { stored.height - top - height } else { top },
            width,
            height,
        }
    }

    /// Turns a region of a stored image upright, in the place of what `upright` held.
    pub fn turn(self, stored: &Rgb8Image, region: Crop, upright: &mut Rgb8Image) {
        let to = self.turned(region.size());
        let stride = stored.size().width as usize * 3;
        let pixels = stored.pixels();
        for (y, row) in upright.reset(to).chunks_exact_mut(to.width as usize * 3).enumerate() {
            for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
                let (column, line) = if self.swap { (y, x) } else { (x, y) };
                let column = if self.flip_x { region.width as usize - 1 - column } else { column };
                let line = if self.flip_y { region.height as usize - 1 - line } else { line };
                let at = (region.top as usize + line) * stride + (region.left as usize + column) * 3;
                pixel.copy_from_slice(&pixels[at..at + 3]);
            }
        }
    }
}

/// The TIFF structure in a JPEG's first segment of EXIF.
fn exif_of_jpeg(file: &[u8]) -> Option<&[u8]> {
    let mut at = 2;
    loop {
        // Any number of 0xff may stand before a marker.
        while *file.get(at)? == 0xff && *file.get(at + 1)? == 0xff {
            at += 1;
        }
        let (0xff, marker) = (*file.get(at)?, *file.get(at + 1)?) else { return None };
        let length = usize::from(u16::from_be_bytes([*file.get(at + 2)?, *file.get(at + 3)?]));
        let segment = file.get(at + 4..at + 2 + length)?;
        match marker {
            0xe1 if segment.starts_with(b"Exif\0\0") => return segment.get(6..),
            // Metadata stands before the first scan.
            0xda | 0xd9 => return None,
            _ => at += 2 + length,
        }
    }
}

/// The TIFF structure in a PNG's `eXIf` chunk.
fn exif_of_png(file: &[u8]) -> Option<&[u8]> {
    let mut at = 8;
    loop {
        let length = u32::from_be_bytes(file.get(at..at + 4)?.try_into().ok()?) as usize;
        let end = at.checked_add(8)?.checked_add(length)?;
        match file.get(at + 4..at + 8)? {
            b"eXIf" => return file.get(at + 8..end),
            _ => at = end.checked_add(4)?,
        }
    }
}

/// The orientation in a TIFF structure's first directory.
fn tag(tiff: &[u8]) -> Option<u16> {
    let is_little = match tiff.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let short = |at: usize| {
        let bytes = [*tiff.get(at)?, *tiff.get(at + 1)?];
        Some(if is_little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let long = |at: usize| {
        let (first, second) = (u32::from(short(at)?), u32::from(short(at + 2)?));
        Some(if is_little { second << 16 | first } else { first << 16 | second })
    };
    let directory = long(4)? as usize;
    let entries = usize::from(short(directory)?);
    let entry = |number: usize| directory + 2 + 12 * number;
    let found = (0..entries).map(entry).find(|&at| short(at) == Some(TAG))?;
    if short(found + 2)? == SHORT && long(found + 4)? == 1 { short(found + 8) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A TIFF structure with an orientation behind another tag.
    fn tiff(number: u16, is_little: bool) -> Vec<u8> {
        let short = |n: u16| if is_little { n.to_le_bytes() } else { n.to_be_bytes() };
        let long = |n: u32| if is_little { n.to_le_bytes() } else { n.to_be_bytes() };
        let mut tiff = if is_little { b"II*\0".to_vec() } else { b"MM\0*".to_vec() };
        tiff.extend(long(8));
        tiff.extend(short(2));
        for (tag, value) in [(0x0100, 7), (TAG, number)] {
            tiff.extend([short(tag), short(SHORT)].concat());
            tiff.extend(long(1));
            tiff.extend([short(value), short(0)].concat());
        }
        tiff
    }

    fn jpeg(tiff: &[u8]) -> Vec<u8> {
        let mut file = b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xe1".to_vec();
        file.extend((tiff.len() as u16 + 8).to_be_bytes());
        file.extend(b"Exif\0\0");
        file.extend(tiff);
        file.extend(b"\xff\xda\0\x02");
        file
    }

    #[test]
    fn the_number_is_read_in_both_byte_orders_and_formats() {
        for number in 1..=8 {
            for is_little in [true, false] {
                let tiff = tiff(number, is_little);
                assert_eq!(Orientation::of(&jpeg(&tiff)), Orientation::from_number(number));
                let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x01abcdx\0\0\0\0".to_vec();
                png.extend((tiff.len() as u32).to_be_bytes());
                png.extend(b"eXIf");
                png.extend(&tiff);
                assert_eq!(Orientation::of(&png), Orientation::from_number(number));
            }
        }
    }

    #[test]
    fn what_says_nothing_is_upright() {
        let whole = jpeg(&tiff(6, true));
        assert!(!Orientation::of(&whole).is_upright());
        for end in 0..whole.len() - 8 {
            assert!(Orientation::of(&whole[..end]).is_upright(), "cut at {end}");
        }
        for bit in 0..whole.len() * 8 {
            let mut changed = whole.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let _ = Orientation::of(&changed);
        }
        assert!(Orientation::of(&jpeg(&tiff(9, true))).is_upright());
    }

    #[test]
    fn regions_and_pixels_turn_as_pillow_turns_them() {
        // Pixels 0 to 5, three columns and two rows; rows of Pillow's `ImageOps.exif_transpose`.
        let pixels: Vec<u8> = (0..6).flat_map(|n| [n; 3]).collect();
        let stored = Rgb8Image::from_pixels(Size::new(3, 2), pixels).unwrap();
        let expected: [&[u8]; 8] = [
            &[0, 1, 2, 3, 4, 5],
            &[2, 1, 0, 5, 4, 3],
            &[5, 4, 3, 2, 1, 0],
            &[3, 4, 5, 0, 1, 2],
            &[0, 3, 1, 4, 2, 5],
            &[3, 0, 4, 1, 5, 2],
            &[5, 2, 4, 1, 3, 0],
            &[2, 5, 1, 4, 0, 3],
        ];
        for (number, expected) in (1..).zip(expected) {
            let orientation = Orientation::from_number(number);
            let (mut whole, mut part) = (Rgb8Image::new(), Rgb8Image::new());
            orientation.turn(&stored, Crop::whole(stored.size()), &mut whole);
            let got: Vec<u8> = whole.pixels().chunks(3).map(|pixel| pixel[0]).collect();
            assert_eq!((got.as_slice(), whole.size()), (expected, orientation.turned(stored.size())), "{number}");
            // A region turned is the region of the turned image.
            let region = Crop { left: 1, top: 0, width: 1, height: 2 };
            orientation.turn(&stored, orientation.stored_region(region, stored.size()), &mut part);
            let width = whole.size().width as usize;
            let at = [1, width + 1].map(|pixel| whole.pixels()[pixel * 3]);
            assert_eq!([part.pixels()[0], part.pixels()[3]], at, "{number}");
        }
    }
}
