//! What Pillow asks of a file before it decodes: the marker walk of `JpegImageFile._open` (JpegImagePlugin.py).
//!
//! The walk is laxer than the decoder's in some things and stricter in others, so that both verdicts are needed. It is
//! also where the size is read: nothing is allocated before.

use crate::error::Error;
use crate::image::Size;

use super::{FORMAT, damaged, truncated, unsupported};

/// Reads the size from the first frame header, touching nothing behind it.
pub(super) fn size(bytes: &[u8]) -> Result<Size, Error> {
    walk(bytes, true)
}

/// Checks everything before the first scan and returns the size.
pub(super) fn check(bytes: &[u8]) -> Result<Size, Error> {
    walk(bytes, false)
}

/// Walks over the markers behind `ff d8 ff`, up to the first frame header or the first scan.
fn walk(bytes: &[u8], to_frame: bool) -> Result<Size, Error> {
    let mut at = 2;
    let mut size = None;
    let mut profile: Option<&[u8]> = None;
    loop {
        let byte = |at: usize| bytes.get(at).copied().ok_or_else(|| truncated(bytes));
        // Bytes before a marker are skipped, stuffed zeros among them; a marker may follow any number of 0xff.
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

/// The size in a frame header: precision, height, width, number of components, three bytes for each.
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

/// Checks of application segments what Pillow stumbles over.
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

/// Whether a Photoshop segment ends where the length of a resource's name should stand. An end anywhere else does no harm.
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
