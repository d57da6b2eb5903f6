//! The digest that a file of ours carries of itself, so that a flipped bit or a cut is seen before it is used.
//!
//! The description in a file's header holds `"checksum":"sha256:<64 hexadecimal digits>"`. The digest is SHA-256 of the whole
//! file with those 64 digits replaced by `0`. It guards against damage, not against intent: whoever can change a file can
//! also seal it again.

use std::fmt::Write;
use std::ops::Range;

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::save::DESCRIPTION;

/// The digest's key in the description.
pub const KEY: &str = "checksum";

/// How the value starts: the name of the digest.
const SCHEME: &str = "sha256:";

/// Hexadecimal digits of the digest.
const DIGITS: usize = 64;

/// The entry as its bytes stand in a header: a JSON object inside a JSON string. A name in the same object that holds the
/// entry's text is escaped twice, so that it does not look like this.
const ENTRY: &[u8] = br#"\"checksum\":\"sha256:"#;

/// What is wrong with a file's seal.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChecksumError {
    /// The file has no header to look into.
    #[error("expected a safetensors header, got {bytes} bytes without a whole one")]
    NoHeader {
        /// Length of the file.
        bytes: usize,
    },
    /// There is a description without a checksum.
    #[error("expected a checksum of 64 digits in its `imagenet18` entry, got none")]
    NoEntry,
    /// The content is not what was sealed.
    #[error("damaged: expected SHA-256 {expected}, got {got}")]
    Mismatch {
        /// The digest that the file carries.
        expected: String,
        /// The digest of what it holds.
        got: String,
    },
}

/// The value that a description holds before it is sealed.
pub fn placeholder() -> String {
    format!("{SCHEME}{}", "0".repeat(DIGITS))
}

/// Fills in the digest of a file whose description holds the [`placeholder`] (or an older digest).
///
/// # Errors
/// [`ChecksumError::NoHeader`], [`ChecksumError::NoEntry`].
pub fn seal(file: &mut [u8]) -> Result<(), ChecksumError> {
    let digits = digits(file)?.ok_or(ChecksumError::NoEntry)?;
    let digest = digest(file, &digits);
    file[digits].copy_from_slice(digest.as_bytes());
    Ok(())
}

/// Compares a file with the digest that it carries. Files without a description pass: they come from elsewhere.
///
/// # Errors
/// [`ChecksumError`].
pub fn verify(file: &[u8]) -> Result<(), ChecksumError> {
    let Some(digits) = digits(file)? else {
        let described = find(header(file)?, format!("\"{DESCRIPTION}\"").as_bytes()).is_some();
        return if described { Err(ChecksumError::NoEntry) } else { Ok(()) };
    };
    let got = digest(file, &digits);
    let expected = &file[digits];
    if expected == got.as_bytes() {
        return Ok(());
    }
    Err(ChecksumError::Mismatch { expected: String::from_utf8_lossy(expected).into_owned(), got })
}

/// Where the digits stand in a file.
fn digits(file: &[u8]) -> Result<Option<Range<usize>>, ChecksumError> {
    let header = header(file)?;
    let Some(entry) = find(header, ENTRY) else { return Ok(None) };
    let start = LENGTH + entry + ENTRY.len();
    let digits = start..start + DIGITS;
    // The header goes on after them: they are inside of a JSON string.
    if digits.end > LENGTH + header.len() { Err(ChecksumError::NoEntry) } else { Ok(Some(digits)) }
}

/// Bytes of the header's length, with which a file starts.
const LENGTH: usize = size_of::<u64>();

fn header(file: &[u8]) -> Result<&[u8], ChecksumError> {
    let none = ChecksumError::NoHeader { bytes: file.len() };
    let (length, rest) = file.split_first_chunk::<LENGTH>().ok_or(none.clone())?;
    let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| none.clone())?;
    rest.get(..length).ok_or(none)
}

fn digest(file: &[u8], digits: &Range<usize>) -> String {
    let mut sha = Sha256::new();
    sha.update(&file[..digits.start]);
    sha.update([b'0'; DIGITS]);
    sha.update(&file[digits.end..]);
    sha.finalize().iter().fold(String::with_capacity(DIGITS), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::save::{StoredTensor, description, to_bytes};

    fn sealed(classes: &[&str]) -> Vec<u8> {
        let classes: Vec<String> = classes.iter().map(|&class| class.to_owned()).collect();
        to_bytes(&[StoredTensor::f32("x", &[2], &[1.0, 2.0])], description("resnet18", &classes)).unwrap()
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
        let tensor = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![1], &[0; 4]).unwrap();
        let foreign = safetensors::serialize([("x", tensor)], None).unwrap();
        assert_eq!(verify(&foreign), Ok(()));
        let tensor = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![1], &[0; 4]).unwrap();
        let about = std::collections::HashMap::from([(DESCRIPTION.to_owned(), "{}".to_owned())]);
        let ours = safetensors::serialize([("x", tensor)], Some(about)).unwrap();
        assert_eq!(verify(&ours), Err(ChecksumError::NoEntry));
    }
}
