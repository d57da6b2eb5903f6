//! TFRecord: the framing of event files.
//!
//! A record is its length (u64, little-endian), the masked CRC-32C of those 8 bytes, the bytes, and their masked CRC-32C
//! (`tensorflow/core/lib/io/record_writer.cc`).

/// Bytes of a record beside its content.
pub const OVERHEAD: usize = 16;

/// Bytes before the content.
const HEADER: usize = 12;

/// Appends a record to `file`.
pub fn append(file: &mut Vec<u8>, content: &[u8]) {
    let length = (content.len() as u64).to_le_bytes();
    file.extend(length);
    file.extend(masked_crc(&length).to_le_bytes());
    file.extend(content);
    file.extend(masked_crc(content).to_le_bytes());
}

/// What stands at the start of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// A whole record.
    Record {
        /// What it holds.
        content: &'a [u8],
        /// Bytes that it takes, framing included.
        length: usize,
    },
    /// Nothing.
    End,
    /// The start of a record whose rest is not there: it is still being written, or its writer was stopped.
    Partial,
    /// Something that is no record.
    Damaged(&'static str),
}

/// Looks at the start of `bytes`. Allocates nothing, whatever length a record claims.
pub fn next(bytes: &[u8]) -> Next<'_> {
    if bytes.is_empty() {
        return Next::End;
    }
    let Some((&length, rest)) = bytes.split_first_chunk::<8>() else { return Next::Partial };
    let Some((&crc, rest)) = rest.split_first_chunk::<4>() else { return Next::Partial };
    if u32::from_le_bytes(crc) != masked_crc(&length) {
        return Next::Damaged("the checksum of its length is wrong");
    }
    let Ok(length) = usize::try_from(u64::from_le_bytes(length)) else { return Next::Partial };
    let Some((content, rest)) = rest.split_at_checked(length) else { return Next::Partial };
    let Some((&crc, _)) = rest.split_first_chunk::<4>() else { return Next::Partial };
    if u32::from_le_bytes(crc) != masked_crc(content) {
        return Next::Damaged("the checksum of its content is wrong");
    }
    Next::Record { content, length: HEADER + length + 4 }
}

/// TensorFlow rotates and shifts checksums, since a CRC of data that hold their own CRC is problematic.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_as_tensorflow_writes_it() {
        // The first record of every event file of TensorFlow at wall time 0: `file_version: "brain.Event:2"`.
        let mut file = Vec::new();
        append(&mut file, b"\x1a\x0dbrain.Event:2");
        assert_eq!(file[..8], [15, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(next(&file), Next::Record { content: b"\x1a\x0dbrain.Event:2", length: 31 });
        // CRC-32C of nine digits is the check value of its specification (RFC 3720, B.4 has others): e3069283.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn every_cut_is_a_start_and_every_flip_is_damage() {
        let mut file = Vec::new();
        append(&mut file, b"content");
        for cut in 1..file.len() {
            assert_eq!(next(&file[..cut]), Next::Partial, "{cut}");
        }
        for byte in 0..file.len() {
            let mut flipped = file.clone();
            flipped[byte] ^= 0x10;
            assert!(matches!(next(&flipped), Next::Damaged(_)), "{byte}");
        }
        let mut huge = Vec::new();
        huge.extend(u64::MAX.to_le_bytes());
        huge.extend(masked_crc(&u64::MAX.to_le_bytes()).to_le_bytes());
        assert_eq!(next(&huge), Next::Partial);
    }
}
