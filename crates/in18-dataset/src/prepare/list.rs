//! The hidden list of what is in a finished shard, which is there until the index is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use in18_system::WholeFile;

use crate::packed::PackedImage;

/// What is in a shard.
#[derive(Debug, Default)]
pub(super) struct ShardList {
    /// Its length.
    pub bytes: u64,
    /// Images with their numbers in the source, and their names.
    pub images: Vec<(u32, PackedImage, String)>,
}

impl ShardList {
    /// Reads the list of a shard; none if the shard is not finished, or if the list is damaged, so
    /// that both are made again.
    pub fn read(folder: &Path, shard: usize) -> io::Result<Option<Self>> {
        match fs::read_to_string(path(folder, shard)) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Leaves the list of a shard that is in its place.
    pub fn write(&self, folder: &Path, shard: usize) -> io::Result<()> {
        WholeFile::resumable(&path(folder, shard))?.write_durably(self.text().as_bytes())
    }

    /// Removes the list of a shard, if it is there.
    pub fn remove(folder: &Path, shard: usize) -> io::Result<()> {
        match fs::remove_file(path(folder, shard)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    /// The shard's length, a line an image, and the checksum of all that.
    fn text(&self) -> String {
        let mut text = format!("{}\n", self.bytes);
        for (number, image, name) in &self.images {
            text.push_str(&format!("{number}\t{}\n", image.line(name)));
        }
        let checksum = crc32c::crc32c(text.as_bytes());
        text + &format!("{checksum:08x}\n")
    }

    fn parse(text: &str) -> Option<Self> {
        let start = text.trim_end_matches('\n').rfind('\n')? + 1;
        let (listed, checksum) = text.split_at(start);
        if checksum != format!("{:08x}\n", crc32c::crc32c(listed.as_bytes())) {
            return None;
        }
        let mut lines = listed.lines();
        let bytes = lines.next()?.parse().ok()?;
        let image = |line: &str| {
            let mut fields = line.split('\t');
            let number = fields.next()?.parse().ok()?;
            if fields.next()? != "image" {
                return None;
            }
            let (image, name) = PackedImage::parse(&mut fields).ok()?;
            Some((number, image, name))
        };
        Some(Self { bytes, images: lines.map(image).collect::<Option<_>>()? })
    }
}

fn path(folder: &Path, shard: usize) -> PathBuf {
    folder.join(format!(".{shard:06}.list"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_back_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        assert!(ShardList::read(folder.path(), 3).unwrap().is_none());
        let image = PackedImage { shard: 3, offset: 512, length: 7, label: 1, size: None, checksums: None };
        let list = ShardList { bytes: 2048, images: vec![(9, image, "a/00000009-x.jpg".to_owned())] };
        list.write(folder.path(), 3).unwrap();
        let read = ShardList::read(folder.path(), 3).unwrap().unwrap();
        assert_eq!((read.bytes, read.images), (list.bytes, list.images.clone()));
        let text = list.text();
        for end in 0..text.len() {
            assert!(ShardList::parse(&text[..end]).is_none(), "cut at {end}");
        }
        ShardList::remove(folder.path(), 3).unwrap();
        ShardList::remove(folder.path(), 3).unwrap();
        assert!(ShardList::read(folder.path(), 3).unwrap().is_none());
    }
}
