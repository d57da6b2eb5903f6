//! PNG, through the `png` crate, converted like Pillow's `convert("RGB")`: alpha is dropped,
//! palettes and greys become RGB, 16-bit channels keep their high byte. (Only 16-bit grey differs:
//! Pillow clips it at 255, which turns nearly every such image white.)
//!
//! Pillow also decides whether a file is read or refused. So [`chunks`] reads the file as Pillow
//! does, and the `png` crate gets another file with only the header, the palette and the pixels. By
//! itself the `png` crate is stricter than Pillow in some things, laxer in others, and panics if a
//! palette's length is no multiple of three.

mod chunks;

use std::io::Cursor;

use ::png::{ColorType, DecodeOptions, Limits, Transformations};

use crate::error::Error;
use crate::geometry::{MAX_PIXELS, Size};
use crate::image::Rgb8Image;
use crate::metadata::Metadata;

use chunks::Chunks;

const FORMAT: &str = "PNG";

/// A file's metadata.
pub(crate) fn metadata(bytes: &[u8]) -> Metadata<'_> {
    chunks::metadata(bytes)
}

/// Reads the size from the IHDR chunk, which the format puts first.
pub(crate) fn header(bytes: &[u8]) -> Result<Size, Error> {
    // Signature (8 bytes), chunk length (4), chunk kind (4), width (4), height (4).
    if bytes.len() < 24 {
        return Err(truncated(bytes));
    }
    if &bytes[12..16] != b"IHDR" {
        return Err(damaged("its first chunk is not IHDR".to_owned()));
    }
    let field = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let size = Size::new(field(16), field(20));
    if size.pixels() == 0 {
        return Err(damaged(format!("a size of {size}")));
    }
    Ok(size)
}

/// Decodes to RGB. `scratch` holds the channels as the file has them, if they are not RGB.
pub(crate) fn decode(bytes: &[u8], scratch: &mut Vec<u8>, image: &mut Rgb8Image) -> Result<(), Error> {
    let size = header(bytes)?.checked()?;
    let chunks = chunks::read(bytes)?;
    if chunks.header[..8] != bytes[16..24] {
        return Err(damaged("two headers of two sizes".to_owned()));
    }
    let failed = |error: ::png::DecodingError| match chunks.is_cut {
        true => truncated(bytes),
        false => damaged(error.to_string().replace('\n', " ")),
    };
    let mut options = DecodeOptions::default();
    options.set_ignore_crc(true);
    options.set_ignore_adler32(false);
    let mut decoder = ::png::Decoder::new_with_options(Cursor::new(essence(&chunks)), options);
    decoder.set_limits(Limits { bytes: MAX_PIXELS as usize });
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(failed)?;
    let channels = match reader.output_color_type().0 {
        ColorType::Grayscale => 1,
        ColorType::GrayscaleAlpha => 2,
        // EXPAND turns palettes into RGB.
        ColorType::Rgb | ColorType::Indexed => 3,
        ColorType::Rgba => 4,
    };
    let rgb = image.reset(size);
    if channels == 3 {
        reader.next_frame(rgb).map_err(failed)?;
        return Ok(());
    }
    scratch.resize(size.pixels() as usize * channels, 0);
    reader.next_frame(scratch).map_err(failed)?;
    let (rgb, _) = rgb.as_chunks_mut::<3>();
    for (rgb, pixel) in rgb.iter_mut().zip(scratch.chunks_exact(channels)) {
        *rgb = match *pixel {
            [red, green, blue, _] => [red, green, blue],
            _ => [pixel[0]; 3],
        };
    }
    Ok(())
}

/// A file with the same pixels and nothing else. Its checksums are left out.
fn essence(chunks: &Chunks<'_>) -> Vec<u8> {
    let length: usize = chunks.data.iter().map(|data| data.len()).sum();
    let mut file = Vec::with_capacity(length + chunks.palette.len() + 80);
    let start = |file: &mut Vec<u8>, name: &[u8; 4], length: usize| {
        file.extend((length as u32).to_be_bytes());
        file.extend(name);
    };
    file.extend(b"\x89PNG\r\n\x1a\n");
    start(&mut file, b"IHDR", 13);
    let [ref sizes @ .., _, _, interlacing] = chunks.header;
    file.extend(sizes);
    file.extend([0, 0, u8::from(interlacing != 0), 0, 0, 0, 0]);
    if chunks.header[9] == chunks::INDEXED {
        // Missing colours are black, so an empty palette gets its first colour. Colours after the
        // 256th do not count.
        let colours = &chunks.palette[..chunks.palette.len() / 3 * 3];
        let colours = if colours.is_empty() { &[0; 3] } else { &colours[..colours.len().min(256 * 3)] };
        start(&mut file, b"PLTE", colours.len());
        file.extend(colours);
        file.extend([0; 4]);
    }
    start(&mut file, b"IDAT", length);
    chunks.data.iter().for_each(|data| file.extend(*data));
    file.extend([0; 4]);
    start(&mut file, b"IEND", 0);
    file.extend([0; 4]);
    file
}

fn damaged(reason: String) -> Error {
    Error::Damaged { format: FORMAT, reason }
}

fn truncated(bytes: &[u8]) -> Error {
    Error::Truncated { format: FORMAT, bytes: bytes.len() }
}
