//! How a camera was held: the orientation in a file's metadata, and turning an image upright.
//!
//! The orientation is read where Pillow reads it: in EXIF (a JPEG's APP1 segments, a PNG's `eXIf`
//! chunk), or else in XMP (a JPEG's APP1 segment, a PNG's `iTXt` chunk unless it is compressed).
//! EXIF in a PNG's text chunks, which is older than `eXIf`, is not read.

mod exif;

use memchr::memmem;

use crate::format::{Format, sniff};
use crate::geometry::{Crop, Size};
use crate::image::Rgb8Image;
use crate::metadata::Metadata;
use crate::{jpeg, png};

use exif::Said;

/// How a stored image becomes upright: first its sides are exchanged, then it is mirrored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Orientation {
    /// Whether columns become rows.
    swap: bool,
    /// Whether stored columns count from the right.
    flip_x: bool,
    /// Whether stored rows count from the bottom.
    flip_y: bool,
}

impl Orientation {
    /// The orientation of an image that is stored upright.
    pub const UPRIGHT: Self = Self { swap: false, flip_x: false, flip_y: false };

    /// The orientation of a file. Upright if the file says nothing that can be understood.
    pub fn of(file: &[u8]) -> Self {
        let Metadata { exif, xmp } = match sniff(file) {
            Ok(Format::Jpeg) => jpeg::metadata(file),
            Ok(Format::Png) => png::metadata(file),
            Err(_) => return Self::UPRIGHT,
        };
        match exif::orientation(&exif) {
            Said::Number(number) => (2..=8).find(|&n| f64::from(n) == number).map_or(Self::UPRIGHT, Self::from_number),
            Said::Nothing => xmp.and_then(in_xmp).map_or(Self::UPRIGHT, Self::from_number),
            Said::Broken => Self::UPRIGHT,
        }
    }

    /// The orientation of an EXIF number, 1 to 8. Other numbers mean upright.
    fn from_number(number: u8) -> Self {
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

    /// Whether the image need not be turned.
    pub fn is_upright(self) -> bool {
        self == Self::UPRIGHT
    }

    /// The upright size of an image that is stored with size `stored`. Also gives the stored size
    /// for an upright size.
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

    /// Turns a region of a stored image upright, and writes it to `upright`, whose old content is
    /// lost.
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

/// The first digit that XMP gives for an orientation, as an attribute or an element.
fn in_xmp(xmp: &[u8]) -> Option<u8> {
    const NAME: &[u8] = b"tiff:Orientation";
    memmem::find_iter(xmp, NAME).find_map(|at| {
        let rest = &xmp[at + NAME.len()..];
        let value = rest.strip_prefix(b"=\"").or_else(|| rest.strip_prefix(b">"))?;
        value.first().filter(|byte| byte.is_ascii_digit()).map(|digit| digit - b'0')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: u16 = 0x0112;
    /// The type of a 16-bit number.
    const SHORT: u16 = 3;

    /// A TIFF structure with an orientation after another tag.
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
                assert_eq!(Orientation::of(&jpeg(&tiff)), Orientation::from_number(number as u8));
                let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x01abcdx\0\0\0\0".to_vec();
                png.extend((tiff.len() as u32).to_be_bytes());
                png.extend(b"eXIf");
                png.extend(&tiff);
                assert_eq!(Orientation::of(&png), Orientation::from_number(number as u8));
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
        // Pixels 0 to 5, three columns and two rows. Expected are the rows of Pillow's
        // `ImageOps.exif_transpose`.
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
            // A turned region is the same region of the turned image.
            let region = Crop { left: 1, top: 0, width: 1, height: 2 };
            orientation.turn(&stored, orientation.stored_region(region, stored.size()), &mut part);
            let width = whole.size().width as usize;
            let at = [1, width + 1].map(|pixel| whole.pixels()[pixel * 3]);
            assert_eq!([part.pixels()[0], part.pixels()[3]], at, "{number}");
        }
    }
}
