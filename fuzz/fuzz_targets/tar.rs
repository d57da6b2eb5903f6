//! The lister of tar archives: never panics, and every file that it lists lies inside of the archive.
#![no_main]

use std::io::Cursor;

use in18_dataset::members;
use libfuzzer_sys::fuzz_target;

/// Bytes of a header, and where its checksum is (POSIX ustar).
const BLOCK: usize = 512;
const CHECKSUM: std::ops::Range<usize> = 148..156;

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    // Past the checksums, which no fuzzer gets right: every block that has the place of one gets it.
    let mut archive = bytes.to_vec();
    archive.resize(bytes.len().next_multiple_of(BLOCK), 0);
    for block in archive.chunks_exact_mut(BLOCK) {
        if block.iter().any(|&byte| byte != 0) {
            block[CHECKSUM].fill(b' ');
            let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
            block[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
    check(&archive);
});

fn check(archive: &[u8]) {
    let length = archive.len() as u64;
    if let Ok(found) = members(Cursor::new(archive), length) {
        for member in found {
            assert!(member.offset.checked_add(member.length).is_some_and(|end| end <= length), "{member:?}");
        }
    }
}
