//! The digest that a file of ours carries of itself, so that a flipped bit or a truncation is
//! noticed before the file is used.
//!
//! The description in a file's header holds `"checksum":"sha256:<64 hexadecimal digits>"`. The
//! digest is the SHA-256 of the whole file with these 64 digits replaced by `0`. It protects
//! against damage, not against intent: whoever can change a file can also seal it again.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};

/// The metadata entry that describes a file of ours: a JSON object with at least `arch`, `classes`
/// and `checksum`.
pub const DESCRIPTION: &str = "imagenet18";

/// The digest's key in the description.
pub const KEY: &str = "checksum";

/// The value that a description holds until its file is sealed.
pub const PLACEHOLDER: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// The number of hexadecimal digits of a SHA-256 digest.
const DIGITS: usize = 64;

/// The bytes of the entry in a header: a JSON object inside a JSON string. A class whose name
/// contains this text is escaped twice, so it does not look like the entry.
const ENTRY: &[u8] = br#"\"checksum\":\"sha256:"#;

/// Bytes at the start of a file that hold the header's length.
const LENGTH: usize = size_of::<u64>();

/// The longest header that is searched, in bytes. This is the safetensors format's own limit.
const MAX_HEADER: u64 = 100_000_000;

/// Writes the digest into a file whose description holds the [`PLACEHOLDER`].
///
/// # Errors
/// The system's errors; [`io::ErrorKind::InvalidData`] for a file without the placeholder.
pub fn seal(file: &File) -> io::Result<()> {
    let mut length = [0; LENGTH];
    file.read_exact_at(&mut length, 0)?;
    let header = u64::from_le_bytes(length).min(file.metadata()?.len()).min(MAX_HEADER);
    let mut start = vec![0; LENGTH + header as usize];
    file.read_exact_at(&mut start, 0)?;
    let digits = digits(&start)
        .filter(|digits| start[digits.clone()].iter().all(|&digit| digit == b'0'))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no place for a checksum"))?;
    let mut digest = Sha256::new();
    let mut block = vec![0; 1 << 20];
    let mut at = 0;
    loop {
        match file.read_at(&mut block, at)? {
            0 => break,
            read => {
                digest.update(&block[..read]);
                at += read as u64;
            }
        }
    }
    file.write_all_at(&hex(digest), digits.start as u64)
}

/// Compares the bytes of a file with the digest that they carry. Files without a description pass,
/// because they come from other programs.
///
/// # Errors
/// The expected digest and the digest found. Also an error: a description without a digest.
pub fn verify(bytes: &[u8]) -> Result<(), String> {
    let header = header_end(bytes).ok_or_else(|| format!("a file of {} bytes without a whole header", bytes.len()))?;
    let start = &bytes[..header];
    let Some(digits) = digits(start) else {
        let described = find(start, format!("\"{DESCRIPTION}\"").as_bytes()).is_some();
        return if described { Err("no checksum in its header".to_owned()) } else { Ok(()) };
    };
    let got = digest_around(bytes, &digits);
    let expected = &bytes[digits];
    if expected != got {
        let text = |digits: &[u8]| String::from_utf8_lossy(&digits[..8]).into_owned();
        return Err(format!("its checksum says {}…, its content has {}…", text(expected), text(&got)));
    }
    Ok(())
}

/// Writes the digest into bytes that have a place for one. Returns whether they have.
pub fn seal_bytes(bytes: &mut [u8]) -> bool {
    let Some(digits) = header_end(bytes).and_then(|header| digits(&bytes[..header])) else { return false };
    let digest = digest_around(bytes, &digits);
    bytes[digits].copy_from_slice(&digest);
    true
}

/// The digest of `bytes`, with zeros in the place of its own digits.
fn digest_around(bytes: &[u8], digits: &Range<usize>) -> Vec<u8> {
    let mut digest = Sha256::new();
    digest.update(&bytes[..digits.start]);
    digest.update([b'0'; DIGITS]);
    digest.update(&bytes[digits.end..]);
    hex(digest)
}

/// The end of a file's header. `None` if the file ends before it.
fn header_end(bytes: &[u8]) -> Option<usize> {
    let length = u64::from_le_bytes(*bytes.first_chunk()?);
    let end = usize::try_from(length.min(MAX_HEADER)).ok()? + LENGTH;
    (end <= bytes.len()).then_some(end)
}

/// The range of the digits in the start of a file.
fn digits(start: &[u8]) -> Option<Range<usize>> {
    let first = find(start, ENTRY)? + ENTRY.len();
    (first + DIGITS <= start.len()).then_some(first..first + DIGITS)
}

fn hex(digest: Sha256) -> Vec<u8> {
    digest.finalize().iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::save::{Stored, description, write_sealed};
    use std::collections::HashMap;

    fn sealed(classes: &[&str]) -> Vec<u8> {
        let classes: Vec<String> = classes.iter().map(|&class| class.to_owned()).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let tensors = vec![("x".to_owned(), Stored::f32(&[2], &[1.0, 2.0]))];
        write_sealed(&path, tensors, description("resnet18", &classes)).unwrap();
        std::fs::read(&path).unwrap()
    }

    #[test]
    fn every_single_flipped_bit_is_seen() {
        let file = sealed(&["a", "b"]);
        assert_eq!(verify(&file), Ok(()));
        for byte in 0..file.len() {
            for bit in 0..8 {
                let mut damaged = file.clone();
                damaged[byte] ^= 1 << bit;
                assert!(verify(&damaged).is_err(), "bit {bit} of byte {byte}");
            }
        }
    }

    #[test]
    fn every_cut_is_seen() {
        let file = sealed(&["a"]);
        for length in 0..file.len() {
            assert!(verify(&file[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn a_class_named_like_the_entry_is_no_entry() {
        let digits = "7".repeat(DIGITS);
        let file = sealed(&[&format!("\"checksum\":\"sha256:{digits}\""), "b"]);
        assert_eq!(verify(&file), Ok(()));
        assert!(find(&file, digits.as_bytes()).is_some(), "the name stays as it is");
    }

    #[test]
    fn files_from_elsewhere_pass_and_ours_without_a_digest_do_not() {
        let file = |metadata| safetensors::serialize([("x", Stored::f32(&[1], &[0.0]))], metadata).unwrap();
        assert_eq!(verify(&file(None)), Ok(()));
        let ours = HashMap::from([(DESCRIPTION.to_owned(), "{}".to_owned())]);
        assert_eq!(verify(&file(Some(ours))), Err("no checksum in its header".to_owned()));
    }
}
