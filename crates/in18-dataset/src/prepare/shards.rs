//! Prepared images in tar shards with their index.
//!
//! ```text
//! 000000.tar    CLASS/00000123-NAME.cls, CLASS/00000123-NAME.jpg, …   WebDataset's layout; 00000123 is the image's number
//! index.tsv     what lies where, written last
//! ```
//! A shard appears whole, and then the hidden list of what is in it: a shard with its list is done. When all are, the lists
//! become the index.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use in18_jpeg::Format;
use tar::Header;

use super::encode::{Encoded, Worker};
use super::error::PrepareError;
use super::in_order::in_order;
use super::{Preparation, Prepared, Target};
use crate::index::{Checksums, Index, PackedImage, Shard, printable};
use crate::packed::INDEX;
use crate::tars::BLOCK;
use crate::whole::{part_of, write_whole};

/// Zero bytes at an archive's end.
const END: [u8; 2 * BLOCK as usize] = [0; 2 * BLOCK as usize];
/// Bytes of a class's name in a path: with an image's name, `/` and ending they fit into a header's field.
const CLASS_BYTES: usize = 100;
const NAME_BYTES: usize = 80;

/// A preparation that makes shards of so many images.
pub(super) struct Shards<'a> {
    pub preparation: &'a Preparation<'a>,
    pub images: NonZeroUsize,
}

impl Shards<'_> {
    /// Makes the shards that are not there, and the indices.
    pub(super) fn run(
        &self,
        order: &[u32],
        threads: NonZeroUsize,
        report: &mut dyn FnMut(Prepared) -> bool,
    ) -> Result<(), PrepareError> {
        let targets = &self.preparation.targets;
        let open: Vec<&Target> = targets.iter().filter(|target| !target.folder.join(INDEX).exists()).collect();
        for (shard, images) in order.chunks(self.images.get()).enumerate() {
            let missing: Vec<&Target> =
                open.iter().copied().filter(|target| !list_path(&target.folder, shard).exists()).collect();
            let go_on = if missing.is_empty() {
                images.iter().all(|_| report(Prepared::Kept))
            } else {
                self.shard(shard, images, &missing, threads, report)?
            };
            if !go_on {
                return Ok(());
            }
        }
        let shards = order.len().div_ceil(self.images.get());
        open.into_iter().try_for_each(|target| self.index(&target.folder, shards))
    }

    /// Makes one shard of each size that has not got it; false if nobody wants to go on.
    fn shard(
        &self,
        shard: usize,
        images: &[u32],
        targets: &[&Target],
        threads: NonZeroUsize,
        report: &mut dyn FnMut(Prepared) -> bool,
    ) -> Result<bool, PrepareError> {
        let Preparation { set, options, .. } = self.preparation;
        let name = file_name(shard);
        let start = |target: &&Target| ShardWriter::new(&target.folder.join(&name), shard as u32);
        let mut writers = targets.iter().map(start).collect::<Result<Vec<ShardWriter>, _>>()?;
        let (mut result, mut go_on) = (Ok(()), true);
        let encode = |worker: &mut Worker, image: u32| {
            worker.encode(set, image as usize, targets.iter().map(|target| target.size), options.quality)
        };
        in_order(images, threads, Worker::default, encode, |number, encoded| {
            let prepared = match encoded {
                Err(line) => Prepared::Bad(line),
                Ok(all) => {
                    let image = number as usize;
                    let (label, stem) = (set.label(image), stem(&set.name(image), number));
                    let key = format!("{}/{stem}", plain(&set.classes()[label], CLASS_BYTES));
                    let mut pairs = writers.iter_mut().zip(&all);
                    result = pairs.try_for_each(|(writer, encoded)| writer.add(number, label as u32, &key, encoded));
                    Prepared::Written
                }
            };
            go_on = result.is_ok() && report(prepared);
            go_on
        });
        result?;
        if go_on {
            writers.into_iter().try_for_each(ShardWriter::finish)?;
        }
        Ok(go_on)
    }

    /// Makes one index of the lists of all shards. The order is that of the source.
    fn index(&self, folder: &Path, shards: usize) -> Result<(), PrepareError> {
        let classes = self.preparation.set.classes().iter().map(|class| printable(class.as_bytes())).collect();
        let mut index = Index::new(classes, Vec::new());
        let mut images = Vec::new();
        for shard in 0..shards {
            let path = list_path(folder, shard);
            let read = fs::read_to_string(&path).and_then(|list| ShardList::parse(&list).ok_or_else(damaged));
            let ShardList { bytes, images: listed } = read.map_err(|source| PrepareError::writing(&path, source))?;
            let end = Some(crc32c::crc32c(&END));
            index.shards.push(Shard { name: file_name(shard), bytes, modified: None, end });
            images.extend(listed);
        }
        images.sort_by_key(|(number, ..)| *number);
        images.iter().for_each(|(_, image, name)| index.push(*image, name));
        let path = folder.join(INDEX);
        write_whole(&path, index.text().as_bytes()).map_err(|source| PrepareError::writing(&path, source))?;
        for shard in 0..shards {
            let path = list_path(folder, shard);
            fs::remove_file(&path).map_err(|source| PrepareError::writing(&path, source))?;
        }
        Ok(())
    }
}

fn damaged() -> io::Error {
    io::Error::other("a damaged list, which is to be removed")
}

fn file_name(shard: usize) -> String {
    format!("{shard:06}.tar")
}

/// Where it is noted what is in a shard, until the index is written.
fn list_path(folder: &Path, shard: usize) -> PathBuf {
    folder.join(format!(".{shard:06}.list"))
}

/// What an image is called in shards, without folder and ending: its number, and what it was called.
fn stem(name: &Path, number: u32) -> String {
    let stem = name.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    // A copy of shards keeps the number of the first copy out.
    let stem = match stem.split_once('-') {
        Some((digits, rest)) if digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit()) => rest,
        _ => &stem,
    };
    format!("{number:08}-{}", plain(stem, NAME_BYTES))
}

/// A name that means nothing special in a path or to WebDataset, which splits names at dots.
fn plain(name: &str, most: usize) -> String {
    let mut plain: String =
        name.chars().map(|c| if c.is_alphanumeric() || "-_".contains(c) { c } else { '_' }).collect();
    plain.truncate(plain.floor_char_boundary(most));
    plain
}

/// A shard that is being written.
struct ShardWriter {
    path: PathBuf,
    file: BufWriter<File>,
    shard: u32,
    /// Bytes written, a multiple of a block's between files.
    at: u64,
    list: String,
}

impl ShardWriter {
    fn new(path: &Path, shard: u32) -> Result<Self, PrepareError> {
        let file = part_of(path).and_then(File::create).map_err(|source| PrepareError::writing(path, source))?;
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::with_capacity(1 << 18, file),
            shard,
            at: 0,
            list: String::new(),
        })
    }

    /// Adds an image with its label.
    fn add(&mut self, number: u32, label: u32, key: &str, image: &Encoded) -> Result<(), PrepareError> {
        self.write(number, label, key, image).map_err(|source| PrepareError::writing(&self.path, source))
    }

    fn write(&mut self, number: u32, label: u32, key: &str, image: &Encoded) -> io::Result<()> {
        let Encoded { bytes, size, format, .. } = image;
        let ending = match format {
            Format::Jpeg => "jpg",
            Format::Png => "png",
        };
        let (name, text) = (format!("{key}.{ending}"), label.to_string());
        let mut before = header(&format!("{key}.cls"), text.len() as u64)?.as_bytes().to_vec();
        before.extend_from_slice(text.as_bytes());
        before.resize(before.len().next_multiple_of(BLOCK as usize), 0);
        before.extend_from_slice(header(&name, bytes.len() as u64)?.as_bytes());
        self.file.write_all(&before)?;
        self.file.write_all(bytes)?;
        let padding = bytes.len().next_multiple_of(BLOCK as usize) - bytes.len();
        self.file.write_all(&END[..padding])?;
        let packed = PackedImage {
            shard: self.shard,
            offset: self.at + before.len() as u64,
            length: u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::FileTooLarge)?,
            label,
            size: Some(*size),
            checksums: Some(Checksums { image: crc32c::crc32c(bytes), before: crc32c::crc32c(&before) }),
        };
        self.at += (before.len() + bytes.len() + padding) as u64;
        self.list.push_str(&format!("{number}\t{}\n", packed.line(&name)));
        Ok(())
    }

    /// Puts the shard in its place, and its list.
    fn finish(mut self) -> Result<(), PrepareError> {
        let done = || -> io::Result<()> {
            self.file.write_all(&END)?;
            let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
            // The list must not reach the disk before what it lists.
            file.sync_all()?;
            fs::rename(part_of(&self.path)?, &self.path)?;
            let list = format!("{}\n{}", self.at + END.len() as u64, self.list);
            let folder = self.path.parent().ok_or(io::ErrorKind::InvalidFilename)?;
            write_whole(&list_path(folder, self.shard as usize), list.as_bytes())
        };
        done().map_err(|source| PrepareError::writing(&self.path, source))
    }
}

/// A header of ours: the same for the same name and length, whoever prepares when.
fn header(name: &str, length: u64) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(name)?;
    header.set_size(length);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_cksum();
    Ok(header)
}

/// What is in a shard.
struct ShardList {
    bytes: u64,
    /// With their numbers in the source, and their names.
    images: Vec<(u32, PackedImage, String)>,
}

impl ShardList {
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_fit() {
        assert_eq!(stem(Path::new("n01/a.b c.JPEG"), 7), "00000007-a_b_c");
        assert_eq!(stem(Path::new("n01/00000042-a.jpg"), 7), "00000007-a");
        let long = "ü".repeat(300);
        let key = format!("{}/{}.jpg", plain(&long, CLASS_BYTES), stem(Path::new(&long), u32::MAX));
        assert_eq!(header(&key, 1).unwrap().path().unwrap().to_str(), Some(key.as_str()));
    }
}
