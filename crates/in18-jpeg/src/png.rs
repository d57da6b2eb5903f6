//! PNG, by way of the `png` crate, converted as Pillow's `convert("RGB")` converts: alpha is dropped, palettes
//! and greys become RGB, 16-bit channels keep their high byte. (16-bit grey alone differs: Pillow clips it at 255,
//! which turns nearly every such image white.)

use std::io::Cursor;

use ::png::{ColorType, DecodingError, Limits, Transformations};

use crate::error::Error;
use crate::image::{MAX_PIXELS, Rgb8Image, Size};

const FORMAT: &str = "PNG";

/// Reads the size from the IHDR chunk, which the format puts first.
pub(crate) fn header(bytes: &[u8]) -> Result<Size, Error> {
    // Signature (8 bytes), chunk length (4), chunk kind (4), width (4), height (4).
    if bytes.len() < 24 {
        return Err(Error::Truncated { format: FORMAT, bytes: bytes.len() });
    }
    if &bytes[12..16] != b"IHDR" {
        return Err(Error::Damaged { format: FORMAT, reason: "its first chunk is not IHDR".to_owned() });
    }
    let field = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let size = Size::new(field(16), field(20));
    if size.pixels() == 0 {
        return Err(Error::Damaged { format: FORMAT, reason: format!("a size of {size}") });
    }
    Ok(size)
}

/// Decodes to RGB; `scratch` holds the channels as the file has them where those are not RGB.
pub(crate) fn decode(bytes: &[u8], scratch: &mut Vec<u8>, image: &mut Rgb8Image) -> Result<(), Error> {
    let size = header(bytes)?.checked()?;
    let damaged = |error: DecodingError| decoding_error(bytes.len(), &error);
    let limits = Limits { bytes: MAX_PIXELS as usize };
    let mut decoder = ::png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(damaged)?;
    let channels = match reader.output_color_type().0 {
        ColorType::Grayscale => 1,
        ColorType::GrayscaleAlpha => 2,
        // EXPAND turns palettes into RGB, or RGBA where they have transparent entries.
        ColorType::Rgb | ColorType::Indexed => 3,
        ColorType::Rgba => 4,
    };
    let rgb = image.reset(size);
    if channels == 3 {
        reader.next_frame(rgb).map_err(damaged)?;
        return Ok(());
    }
    scratch.resize(size.pixels() as usize * channels, 0);
    reader.next_frame(scratch).map_err(damaged)?;
    let (rgb, _) = rgb.as_chunks_mut::<3>();
    for (rgb, pixel) in rgb.iter_mut().zip(scratch.chunks_exact(channels)) {
        *rgb = match *pixel {
            [red, green, blue, _] => [red, green, blue],
            _ => [pixel[0]; 3],
        };
    }
    Ok(())
}

fn decoding_error(bytes: usize, error: &DecodingError) -> Error {
    match error {
        DecodingError::IoError(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => {
            Error::Truncated { format: FORMAT, bytes }
        }
        other => Error::Damaged { format: FORMAT, reason: other.to_string().replace('\n', " ") },
    }
}
