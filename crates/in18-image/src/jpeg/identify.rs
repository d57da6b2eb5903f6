//! The checks that Pillow makes before it decodes a file: the walk over markers in
//! `JpegImageFile._open` (JpegImagePlugin.py).
//!
//! The walk is laxer than the decoder in some things and stricter in others, so both must accept a
//! file. The walk also reads the size, before anything is allocated.

use std::borrow::Cow;

use crate::error::Error;
use crate::geometry::Size;
use crate::metadata::Metadata;

use super::{FORMAT, damaged, truncated, unsupported};

/// Reads the size from the first frame header. Reads nothing after it.
pub(super) fn size(bytes: &[u8]) -> Result<Size, Error> {
    walk(bytes, true, |_, _| {})
}

/// Checks everything before the first scan and returns the size.
pub(super) fn check(bytes: &[u8]) -> Result<Size, Error> {
    walk(bytes, false, |_, _| {})
}

/// The metadata before the first scan. The file need not be correct.
pub(super) fn metadata(bytes: &[u8]) -> Metadata<'_> {
    let mut metadata = Metadata::default();
    // If the walk fails, the metadata found so far count.
    let _ = walk(bytes, false, |marker, segment| match marker {
        0xe1 if segment.starts_with(EXIF) => match &mut metadata.exif {
            // Several segments are parts of one. The later ones lose their names.
            exif if exif.is_empty() => *exif = Cow::Borrowed(segment),
            exif => exif.to_mut().extend(&segment[EXIF.len()..]),
        },
        0xe1 => metadata.xmp = segment.strip_prefix(XMP).or(metadata.xmp),
        _ => {}
    });
    metadata
}

/// The start of a segment of EXIF.
const EXIF: &[u8] = b"Exif\0\0";
/// The start of a segment of XMP.
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";

/// Walks over the markers after `ff d8 ff`, up to the first frame header or the first scan. Passes
/// application segments to `note`.
fn walk<'a>(bytes: &'a [u8], to_frame: bool, mut note: impl FnMut(u8, &'a [u8])) -> Result<Size, Error> {
    let mut at = 2;
    let mut size = None;
    let mut profile: Option<&[u8]> = None;
    loop {
        let byte = |at: usize| bytes.get(at).copied().ok_or_else(|| truncated(bytes));
        // Bytes before a marker are skipped, including stuffed zeros. Any number of 0xff may
        // precede a marker.
        if byte(at)? != 0xff || byte(at + 1)? == 0xff {
            at += 1;
            continue;
        }
        let marker = byte(at + 1)?;
        at += 2;
        match marker {
            0x00 | 0xc8 | 0xd0..=0xd9 | 0xf0..=0xfd => continue,
            0x01..=0xbf | 0xff => return Err(damaged(&format!("a marker 0x{marker:02x} that no JPEG has"))),
            _ => {}
        }
        let length = usize::from(u16::from_be_bytes([byte(at)?, byte(at + 1)?]));
        let segment = bytes.get(at + 2..at + length.max(2)).ok_or_else(|| truncated(bytes))?;
        at += length.max(2);
        match marker {
            0xc4 | 0xcc | 0xdc | 0xdd | 0xdf | 0xfe => {}
            0xdb => quantization(segment)?,
            0xda => return size.ok_or_else(|| damaged("a scan before the frame header")),
            0xe0..=0xef => {
                note(marker, segment);
                application(marker, segment)?;
                if marker == 0xe2 && segment.starts_with(b"ICC_PROFILE\0") {
                    profile = Some(profile.map_or(segment, |first| first.min(segment)));
                }
            }
            _ => {
                size = Some(frame(marker, segment)?);
                if profile.take().is_some_and(|first| first.len() < 14) {
                    return Err(damaged("a colour profile cut short"));
                }
                if let (Some(size), true) = (size, to_frame) {
                    return Ok(size);
                }
            }
        }
    }
}

/// The size in a frame header, which has the precision, height, width, number of components, and
/// three bytes per component.
fn frame(marker: u8, segment: &[u8]) -> Result<Size, Error> {
    let &[precision, h1, h0, w1, w0, colours, ref components @ ..] = segment else {
        return Err(damaged(&format!("a frame header of {} bytes", segment.len())));
    };
    match marker {
        0xc0..=0xc2 => {}
        0xc9 | 0xca => return Err(unsupported("arithmetic coding".to_owned())),
        0xc3 | 0xc7 | 0xcb | 0xcf => return Err(unsupported("lossless coding".to_owned())),
        _ => return Err(unsupported("hierarchical coding".to_owned())),
    }
    if precision != 8 {
        return Err(unsupported(format!("{precision} bits a channel")));
    }
    if !matches!(colours, 1 | 3 | 4) {
        return Err(unsupported(format!("{colours} channels")));
    }
    if components.len() != usize::from(colours) * 3 {
        return Err(damaged(&format!("a frame header of {} bytes for {colours} channels", segment.len())));
    }
    let size = Size::new(u32::from(u16::from_be_bytes([w1, w0])), u32::from(u16::from_be_bytes([h1, h0])));
    if size.pixels() == 0 {
        return Err(Error::Damaged { format: FORMAT, reason: format!("a size of {size}") });
    }
    Ok(size)
}

/// Checks that quantisation tables are whole.
fn quantization(mut segment: &[u8]) -> Result<(), Error> {
    while let Some(&first) = segment.first() {
        let length = if first < 16 { 1 + 64 } else { 1 + 2 * 64 };
        segment = segment.get(length..).ok_or_else(|| damaged("a quantisation table cut short"))?;
    }
    Ok(())
}

/// Checks application segments for errors that make Pillow fail.
fn application(marker: u8, segment: &[u8]) -> Result<(), Error> {
    let is = |name: &[u8]| segment.starts_with(name);
    let stumbles = match marker {
        0xe0 => is(b"JFIF") && segment.len() < 7,
        0xed => is(b"Photoshop 3.0\0") && lacks_a_name(segment),
        0xee => is(b"Adobe") && segment.len() < 7,
        _ => false,
    };
    if stumbles {
        return Err(damaged("an application segment cut short"));
    }
    Ok(())
}

/// Whether a Photoshop segment ends where the length of a resource's name is expected. An end
/// anywhere else does no harm.
fn lacks_a_name(segment: &[u8]) -> bool {
    let mut at = 14;
    while segment.get(at..).is_some_and(|rest| rest.starts_with(b"8BIM")) {
        at += 4;
        let Some(code) = segment.get(at..at + 2) else { return false };
        at += 2;
        let Some(&name) = segment.get(at) else { return true };
        at += 1 + usize::from(name);
        at += at & 1;
        let Some(&[a, b, c, d]) = segment.get(at..at + 4) else { return false };
        at += 4;
        let size = u32::from_be_bytes([a, b, c, d]) as usize;
        let resolution = code == [0x03, 0xed] && size.min(segment.len().saturating_sub(at)) < 14;
        if resolution || size > segment.len() {
            return false;
        }
        at += size;
        at += at & 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A JPEG with some segments, a frame header of 8 x 9 pixels with `colours` components, and the
    /// start of a scan.
    fn file(segments: &[u8], colours: u8) -> Vec<u8> {
        let mut bytes = vec![0xff, 0xd8];
        bytes.extend(segments);
        bytes.extend([0xff, 0xc0, 0, 8 + 3 * colours, 8, 0, 9, 0, 8, colours]);
        bytes.extend((1..=colours).flat_map(|id| [id, 0x11, 0]));
        bytes.extend([0xff, 0xda, 0, 2]);
        bytes
    }

    #[test]
    fn files_are_opened_as_pillow_opens_them() {
        struct Case {
            name: &'static str,
            bytes: Vec<u8>,
            is_good: bool,
        }
        let mut photoshop = b"\xff\xed\0\x16Photoshop 3.0\x008BIM\x04\x04".to_vec();
        let mut two_frames = file(&[], 1);
        two_frames.truncate(two_frames.len() - 4);
        let cases = [
            Case { name: "plain", bytes: file(&[], 1), is_good: true },
            Case { name: "two channels", bytes: file(&[], 2), is_good: false },
            Case {
                name: "junk and stuffing",
                bytes: file(&[0xff, 0xff, 0, 1, 2, 0xff, 0xff, 0xff, 0xdc, 0, 2], 3),
                is_good: true,
            },
            Case { name: "a second start", bytes: file(&[0xff, 0xd8], 1), is_good: true },
            Case { name: "reserved", bytes: file(&[0xff, 0x02], 1), is_good: false },
            Case { name: "TEM", bytes: file(&[0xff, 0x01], 1), is_good: false },
            Case { name: "a length of 0", bytes: file(&[0xff, 0xfe, 0, 0], 1), is_good: true },
            Case { name: "JFIF of 5 bytes", bytes: file(b"\xff\xe0\0\x07JFIF\0", 1), is_good: false },
            Case { name: "JFIF of 7 bytes", bytes: file(b"\xff\xe0\0\x09JFIF\0\x01\x01", 1), is_good: true },
            Case { name: "Adobe of 6 bytes", bytes: file(b"\xff\xee\0\x08Adobe\0", 1), is_good: false },
            Case { name: "a profile cut short", bytes: file(b"\xff\xe2\0\x0fICC_PROFILE\0\x01", 1), is_good: false },
            Case { name: "half a table", bytes: file(&[0xff, 0xdb, 0, 4, 0, 1], 1), is_good: false },
            Case { name: "a resource without a name", bytes: file(&photoshop, 1), is_good: false },
            Case {
                name: "a resource without a size",
                bytes: {
                    photoshop[3] += 2;
                    photoshop.extend([0, 0]);
                    file(&photoshop, 1)
                },
                is_good: true,
            },
            Case { name: "no scan", bytes: two_frames, is_good: false },
            Case { name: "no frame", bytes: vec![0xff, 0xd8, 0xff, 0xda, 0, 2], is_good: false },
        ];
        for Case { name, bytes, is_good } in cases {
            let result = check(&bytes);
            assert_eq!(result.is_ok(), is_good, "{name}: {result:?}");
        }
    }
}
