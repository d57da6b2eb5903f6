//! Recognises the format by the first bytes alone, because names lie (ImageNet itself holds a PNG
//! called .JPEG).

use crate::error::Error;

/// The formats that this crate reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JPEG: baseline or progressive, greyscale, YCbCr, RGB, CMYK or YCCK.
    Jpeg,
    /// PNG: any colour type and depth.
    Png,
}

const PNG_MAGIC: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The format that the first bytes show.
///
/// # Errors
/// [`Error::Format`]. It names the format found if that is a common one.
pub fn sniff(bytes: &[u8]) -> Result<Format, Error> {
    if bytes.starts_with(b"\xff\xd8\xff") {
        return Ok(Format::Jpeg);
    }
    if bytes.starts_with(PNG_MAGIC) {
        return Ok(Format::Png);
    }
    Err(Error::Format { got: describe(bytes) })
}

/// A description of bytes that are neither JPEG nor PNG.
fn describe(bytes: &[u8]) -> String {
    let known: &[(&[u8], &str)] = &[
        (b"GIF8", "a GIF"),
        (b"BM", "a BMP"),
        (b"II*\0", "a TIFF"),
        (b"MM\0*", "a TIFF"),
        (b"%PDF", "a PDF"),
        (b"<svg", "an SVG"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\x1f\x8b", "a gzip file"),
        (b"\xff\x0a", "a JPEG XL"),
        (b"\0\0\0\x0cJXL ", "a JPEG XL"),
        (b"\0\0\0\x0cjP  ", "a JPEG 2000"),
        (b"\xff\x4f\xff\x51", "a JPEG 2000"),
    ];
    if bytes.is_empty() {
        return "an empty file".to_owned();
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return "a WebP".to_owned();
    }
    if bytes.get(4..8) == Some(b"ftyp") {
        return match bytes.get(8..12) {
            Some(b"avif" | b"avis") => "an AVIF".to_owned(),
            Some(b"heic" | b"heix" | b"mif1" | b"msf1") => "a HEIC".to_owned(),
            _ => "an MP4 or another ISO media file".to_owned(),
        };
    }
    if let Some((_, name)) = known.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return (*name).to_owned();
    }
    if b"\xff\xd8\xff".starts_with(bytes) || PNG_MAGIC.starts_with(bytes) {
        return format!("a file of {} bytes, too short for any image", bytes.len());
    }
    let head = &bytes[..bytes.len().min(8)];
    let hex: String = head.iter().map(|b| format!("{b:02x}")).collect();
    format!("an unknown format starting 0x{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        struct Case {
            bytes: &'static [u8],
            expected: Result<Format, &'static str>,
        }
        let cases = [
            Case { bytes: b"\xff\xd8\xff\xe0rest", expected: Ok(Format::Jpeg) },
            Case { bytes: b"\x89PNG\r\n\x1a\nrest", expected: Ok(Format::Png) },
            Case { bytes: b"", expected: Err("an empty file") },
            Case { bytes: b"\xff\xd8", expected: Err("a file of 2 bytes, too short for any image") },
            Case { bytes: b"GIF89a....", expected: Err("a GIF") },
            Case { bytes: b"RIFF\x10\0\0\0WEBPVP8 ", expected: Err("a WebP") },
            Case { bytes: b"RIFF\x10\0\0\0WAVE", expected: Err("an unknown format starting 0x5249464610000000") },
            Case { bytes: b"\0\0\0\x1cftypavif", expected: Err("an AVIF") },
            Case { bytes: b"BM1234", expected: Err("a BMP") },
            Case { bytes: b"abc", expected: Err("an unknown format starting 0x616263") },
        ];
        for case in cases {
            let got = sniff(case.bytes);
            match case.expected {
                Ok(format) => assert_eq!(got, Ok(format)),
                Err(name) => {
                    assert_eq!(got.unwrap_err().to_string(), format!("expected a JPEG or PNG image, got {name}"))
                }
            }
        }
    }
}
