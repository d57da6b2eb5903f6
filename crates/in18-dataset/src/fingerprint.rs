//! Whether two listings are the same set.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::source::Source;

/// See [`ImageSet::fingerprint`](crate::ImageSet::fingerprint).
pub(crate) fn fingerprint(source: &dyn Source) -> String {
    let mut digest = Sha256::new();
    let mut name = PathBuf::new();
    for image in 0..source.len() {
        name.clear();
        source.push_name(image, &mut name);
        // No name holds a zero byte, so a zero byte ends one.
        digest.update(name.as_os_str().as_bytes());
        digest.update([0]);
        if !source.has_class_folders() {
            digest.update(source.classes()[source.label(image)].as_bytes());
            digest.update([0]);
        }
    }
    hex(digest)
}

/// The start of the SHA-256 of some bytes, as 16 hex digits.
pub(crate) fn hex_digest(bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(bytes))
}

fn hex(digest: Sha256) -> String {
    digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
