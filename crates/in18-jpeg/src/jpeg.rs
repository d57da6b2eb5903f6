//! JPEG: a walk over the markers for what must be known before decoding, then zune-jpeg.
//!
//! The walk is ours because it is cheap (no tables are built), because the pixel limit must hold before anything
//! is allocated, and because zune-jpeg fills what a cut-off file lacks with grey and reports success.

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use crate::error::Error;
use crate::image::{Rgb8Image, Size};

const FORMAT: &str = "JPEG";

/// Reads the size from the frame header, touching no other data than the markers before it.
pub(crate) fn header(bytes: &[u8]) -> Result<Size, Error> {
    Ok(frame(bytes)?.size)
}

/// Decodes to RGB as Pillow does; `cmyk` is scratch for four-channel images without an Adobe marker.
pub(crate) fn decode(bytes: &[u8], cmyk: &mut Vec<u8>, image: &mut Rgb8Image) -> Result<(), Error> {
    let Frame { size, sos, adobe } = scan(bytes)?;
    size.checked()?;
    if !has_end_marker(&bytes[sos..]) {
        return Err(Error::Truncated { format: FORMAT, bytes: bytes.len() });
    }
    let options = DecoderOptions::default()
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(damaged)?;
    let colorspace = decoder.input_colorspace().unwrap_or(ColorSpace::Unknown);
    if matches!(colorspace, ColorSpace::MultiBand(_) | ColorSpace::Unknown) {
        return Err(Error::Unsupported { format: FORMAT, got: format!("colour space {colorspace:?}") });
    }
    if colorspace == ColorSpace::CMYK && !adobe {
        // Adobe stores inverted inks, which is what zune-jpeg's own conversion takes; without its marker they
        // are as they are named.
        decoder.set_options(options.jpeg_set_out_colorspace(ColorSpace::CMYK));
        cmyk.resize(size.pixels() as usize * 4, 0);
        decoder.decode_into(cmyk).map_err(damaged)?;
        let (inks, _) = cmyk.as_chunks::<4>();
        let (rgb, _) = image.reset(size).as_chunks_mut::<3>();
        for (rgb, &[c, m, y, k]) in rgb.iter_mut().zip(inks) {
            *rgb = [c, m, y].map(|ink| under_black(ink, k));
        }
        return Ok(());
    }
    decoder.decode_into(image.reset(size)).map_err(damaged)
}

/// What stands before the entropy-coded data.
struct Frame {
    size: Size,
    /// Offset of the first start-of-scan marker.
    sos: usize,
    /// Whether an Adobe APP14 marker precedes the scan.
    adobe: bool,
}

/// Walks the markers up to the frame header; `sos` is where the walk ended.
fn frame(bytes: &[u8]) -> Result<Frame, Error> {
    walk(bytes, false)
}

/// Walks the markers up to the first scan.
fn scan(bytes: &[u8]) -> Result<Frame, Error> {
    walk(bytes, true)
}

fn walk(bytes: &[u8], to_scan: bool) -> Result<Frame, Error> {
    let truncated = || Error::Truncated { format: FORMAT, bytes: bytes.len() };
    let damaged = |reason: &str| Error::Damaged { format: FORMAT, reason: reason.to_owned() };
    let mut at = 2;
    let mut size = None;
    let mut colours: &[u8] = &[];
    let mut adobe = false;
    loop {
        // As in libjpeg, bytes before a marker are skipped, and a marker may be preceded by any number of 0xff.
        at += find(&bytes[at.min(bytes.len())..], 0xff).ok_or_else(truncated)?;
        while *bytes.get(at).ok_or_else(truncated)? == 0xff {
            at += 1;
        }
        let marker = bytes[at];
        at += 1;
        match marker {
            // A stuffed zero, TEM, restarts and a repeated SOI carry no length.
            0x00 | 0x01 | 0xd0..=0xd8 => continue,
            0xd9 => return Err(damaged("it ends before its first scan")),
            _ => {}
        }
        let length = match bytes.get(at..at + 2) {
            Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
            _ => return Err(truncated()),
        };
        if length < 2 {
            return Err(damaged("a segment shorter than its own length field"));
        }
        let segment = bytes.get(at + 2..at + length);
        match marker {
            // SOF0 … SOF15, without DHT (c4), JPG (c8) and DAC (cc), which share the range.
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                let segment = segment.ok_or_else(truncated)?;
                size = Some(frame_size(marker, segment)?);
                // A progressive frame has many scans by nature.
                colours = if marker == 0xc2 { &[] } else { segment.get(6..).unwrap_or_default() };
            }
            0xda => {
                let size = size.ok_or_else(|| damaged("a scan before the frame header"))?;
                refuse_lone_scans(colours, segment.unwrap_or_default())?;
                let sos = at;
                return Ok(Frame { size, sos, adobe });
            }
            0xee => adobe |= segment.is_some_and(|s| s.starts_with(b"Adobe")),
            _ => {}
        }
        if let (Some(size), false) = (size, to_scan) {
            let sos = at;
            return Ok(Frame { size, sos, adobe });
        }
        at += length;
    }
}

/// Refuses a sequential image with a scan for each colour whose rows are subsampled: zune-jpeg 0.5.15 puts such rows in
/// the wrong places without a word. `colours` are the frame's, three bytes each, `scan` is the first scan's segment.
fn refuse_lone_scans(colours: &[u8], scan: &[u8]) -> Result<(), Error> {
    let (colours, _) = colours.as_chunks::<3>();
    let rows = |colour: &[u8; 3]| colour[1] & 0x0f;
    let is_lone = scan.first().is_some_and(|&scanned| usize::from(scanned) < colours.len());
    let is_subsampled = colours.iter().any(|colour| rows(colour) != rows(&colours[0]));
    if is_lone && is_subsampled {
        let got = "a scan for each colour with rows subsampled".to_owned();
        return Err(Error::Unsupported { format: FORMAT, got });
    }
    Ok(())
}

/// The size in a start-of-frame segment: precision, height, width, components.
fn frame_size(marker: u8, segment: &[u8]) -> Result<Size, Error> {
    let &[precision, h1, h0, w1, w0, ..] = segment else {
        return Err(Error::Damaged { format: FORMAT, reason: format!("a frame header of {} bytes", segment.len()) });
    };
    let unsupported = |got: String| Error::Unsupported { format: FORMAT, got };
    match marker {
        0xc0..=0xc2 => {}
        0xc9 | 0xca => return Err(unsupported("arithmetic coding".to_owned())),
        0xc3 | 0xc7 | 0xcb | 0xcf => return Err(unsupported("lossless coding".to_owned())),
        _ => return Err(unsupported("hierarchical coding".to_owned())),
    }
    if precision != 8 {
        return Err(unsupported(format!("{precision} bits a channel")));
    }
    let size = Size::new(u32::from(u16::from_be_bytes([w1, w0])), u32::from(u16::from_be_bytes([h1, h0])));
    if size.pixels() == 0 {
        return Err(Error::Damaged { format: FORMAT, reason: format!("a size of {size}") });
    }
    Ok(size)
}

/// Whether an end-of-image marker follows. Looked for from the back, where it normally is: inside entropy-coded
/// data 0xff is only followed by 0x00 or a restart, so it cannot be met by accident.
fn has_end_marker(bytes: &[u8]) -> bool {
    bytes.windows(2).rev().any(|pair| pair == [0xff, 0xd9])
}

/// Pillow's CMYK to RGB: light left by an ink over black.
fn under_black(ink: u8, black: u8) -> u8 {
    let light = 255 - black;
    let product = u32::from(ink) * u32::from(light) + 128;
    light - ((product + (product >> 8)) >> 8) as u8
}

fn find(bytes: &[u8], wanted: u8) -> Option<usize> {
    bytes.iter().position(|&b| b == wanted)
}

fn damaged(error: DecodeErrors) -> Error {
    Error::Damaged {
        format: FORMAT,
        // zune-jpeg's messages may hold line breaks and quotes of its own.
        reason: format!("{error:?}").replace(['\n', '"'], ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header of 8 x 8 pixels in three colours, whose first scan has `scanned` of them.
    fn header_of(marker: u8, sampling: u8, scanned: u8) -> Vec<u8> {
        let mut bytes = vec![0xff, 0xd8, 0xff, marker, 0, 17, 8, 0, 8, 0, 8, 3];
        bytes.extend([1, sampling, 0, 2, 0x11, 1, 3, 0x11, 1]);
        bytes.extend([0xff, 0xda, 0, 6 + 2 * scanned, scanned]);
        bytes.extend((1..=scanned).flat_map(|colour| [colour, 0]));
        bytes.extend([0, 63, 0]);
        bytes
    }

    #[test]
    fn a_scan_for_each_colour_is_refused_where_rows_are_subsampled() {
        struct Case {
            marker: u8,
            sampling: u8,
            scanned: u8,
            refused: bool,
        }
        let cases = [
            Case { marker: 0xc0, sampling: 0x22, scanned: 1, refused: true },
            Case { marker: 0xc1, sampling: 0x12, scanned: 1, refused: true },
            Case { marker: 0xc0, sampling: 0x22, scanned: 3, refused: false },
            Case { marker: 0xc0, sampling: 0x21, scanned: 1, refused: false },
            Case { marker: 0xc0, sampling: 0x11, scanned: 1, refused: false },
            Case { marker: 0xc2, sampling: 0x22, scanned: 1, refused: false },
        ];
        for Case { marker, sampling, scanned, refused } in cases {
            let got = scan(&header_of(marker, sampling, scanned)).map(|_| ());
            assert_eq!(got.is_err(), refused, "{marker:x} {sampling:x} {scanned}: {got:?}");
            if let Err(error) = got {
                assert!(error.to_string().ends_with("a scan for each colour with rows subsampled"), "{error}");
            }
        }
    }
}
