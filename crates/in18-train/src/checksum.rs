//! A file's checksum inside the file itself.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};

/// Stands before the digits.
const PREFIX: &[u8] = b"sha256:";

/// Hex digits of a SHA-256.
const DIGITS: usize = 64;

/// What a file holds until it is sealed.
pub const PLACEHOLDER: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// Where the digits are looked for: the header of any network's file is shorter.
const SEARCHED: u64 = 64 << 20;

/// Replaces the digits of the placeholder in a file by the SHA-256 of the whole file before.
///
/// # Errors
/// What the system says; [`io::ErrorKind::InvalidData`] for a file without the placeholder.
pub fn seal(file: &File) -> io::Result<()> {
    let mut length = [0; 8];
    file.read_exact_at(&mut length, 0)?;
    let header = u64::from_le_bytes(length).saturating_add(8).min(file.metadata()?.len()).min(SEARCHED);
    let mut start = vec![0; header as usize];
    file.read_exact_at(&mut start, 0)?;
    let place = find(&start, PLACEHOLDER.as_bytes())
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
    file.write_all_at(&hex(digest), (place + PREFIX.len()) as u64)
}

/// Checks the checksum of a file's bytes.
///
/// # Errors
/// What was expected and what came, for bytes without a checksum, too.
pub fn verify(bytes: &[u8]) -> Result<(), String> {
    let header = match bytes.first_chunk() {
        None => return Err(format!("a file of {} bytes", bytes.len())),
        Some(length) => u64::from_le_bytes(*length).saturating_add(8).min(bytes.len() as u64).min(SEARCHED),
    };
    let start = &bytes[..header as usize];
    let digits = find(start, PREFIX).map(|place| place + PREFIX.len()..place + PREFIX.len() + DIGITS);
    let digits = digits.filter(|digits| digits.end <= start.len()).ok_or("no checksum in its header")?;
    let mut digest = Sha256::new();
    digest.update(&bytes[..digits.start]);
    digest.update([b'0'; DIGITS]);
    digest.update(&bytes[digits.end..]);
    let (expected, got) = (&bytes[digits], hex(digest));
    if expected != got {
        let text = |digits: &[u8]| String::from_utf8_lossy(&digits[..8]).into_owned();
        return Err(format!("its checksum says {}…, its content has {}…", text(expected), text(&got)));
    }
    Ok(())
}

fn hex(digest: Sha256) -> Vec<u8> {
    digest.finalize().iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
