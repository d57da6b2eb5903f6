//! Whether two listings are the same set.

use std::os::unix::ffi::OsStrExt;

use sha2::{Digest, Sha256};

use crate::set::ImageSet;

impl ImageSet {
    /// 16 hex digits that depend on every image's path below the set's root, or its name in an archive and its class, in order: the start of their SHA-256. The
    /// same for a set that was moved or copied; blind to what the files hold.
    pub fn fingerprint(&self) -> String {
        let mut digest = Sha256::new();
        for image in 0..self.len() {
            // No name holds a zero byte, so it ends one.
            digest.update(self.name(image).as_os_str().as_bytes());
            digest.update([0]);
            if !self.is_in_folders() {
                // A path in class folders begins with the class; names in archives say nothing of it.
                digest.update(self.classes()[self.label(image)].as_bytes());
                digest.update([0]);
            }
        }
        hex(digest)
    }
}

/// The start of the SHA-256 of some bytes, as 16 hex digits.
pub(crate) fn hex_digest(bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(bytes))
}

fn hex(digest: Sha256) -> String {
    digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn set(folder: &Path, images: &[&str]) -> ImageSet {
        for image in images {
            let path = folder.join(image);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        ImageSet::open(folder).unwrap()
    }

    #[test]
    fn only_names_and_classes_count() {
        let folder = tempfile::tempdir().unwrap();
        let images = ["a/1.jpg", "a/2.jpg", "b/1.jpg"];
        let first = set(&folder.path().join("first"), &images).fingerprint();
        assert_eq!(first, set(&folder.path().join("moved"), &images).fingerprint());
        for (name, others) in [
            ("fewer", &["a/1.jpg", "b/1.jpg"][..]),
            ("renamed", &["a/1.jpg", "a/3.jpg", "b/1.jpg"]),
            ("another class", &["a/1.jpg", "a/2.jpg", "c/1.jpg"]),
        ] {
            assert_ne!(first, set(&folder.path().join(name), others).fingerprint(), "{name}");
        }
    }
}
