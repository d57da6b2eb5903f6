//! Prepared images in tar shards with their index.
//!
//! ```text
//! 000000.tar    CLASS/00000123-NAME.cls, CLASS/00000123-NAME.jpg, …   00000123 is the number
//! index.tsv     what lies where, written last
//! ```
//! The layout is WebDataset's. A shard appears whole, and then the hidden list of what is in it: a
//! shard with its list is done. When all shards are done, the lists become the index.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use in18_image::Format;
use in18_system::WholeFile;
use tar::Header;

use super::encode::{Encoded, Worker};
use super::error::PrepareError;
use super::in_order::in_order;
use super::list::ShardList;
use super::{Preparation, Prepared, Target, names};
use crate::packed::{BLOCK, Checksums, Index, PackedImage, Shard, check_shards};
use crate::printable::printable;
use crate::sources::shards::INDEX;

/// Zero bytes at an archive's end.
const END: [u8; 2 * BLOCK as usize] = [0; 2 * BLOCK as usize];

/// A preparation that makes shards of `images` images each.
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
        let there = targets.iter().map(|target| There::of(&target.folder)).collect::<Result<Vec<There>, _>>()?;
        for (shard, images) in order.chunks(self.images.get()).enumerate() {
            let numbers = there.iter().map(|there| there.numbers(shard)).collect::<Result<Vec<_>, _>>()?;
            let missing = targets.iter().zip(&numbers).filter(|(_, numbers)| numbers.is_none());
            let missing: Vec<&Target> = missing.map(|(target, _)| target).collect();
            let go_on = if missing.is_empty() {
                let is_there = |image: &u32| numbers.iter().flatten().all(|numbers| numbers.contains(image));
                images.iter().all(|image| report(self.kept(*image, is_there(image))))
            } else {
                self.shard(shard, images, &missing, threads, report)?
            };
            if !go_on {
                return Ok(());
            }
        }
        let shards = order.len().div_ceil(self.images.get());
        let open = targets.iter().zip(&there).filter(|(_, there)| there.whole.is_none());
        open.into_iter().try_for_each(|(target, _)| self.index(&target.folder, shards))
    }

    /// What became of an image of a shard that is there.
    fn kept(&self, image: u32, is_there: bool) -> Prepared {
        if is_there {
            return Prepared::Kept;
        }
        let path = self.preparation.set.path(image as usize);
        Prepared::Bad(format!("{}: left out before, since it could not be read then", path.display()))
    }

    /// Makes one shard of each size that lacks it; false if `report` does not want to go on.
    fn shard(
        &self,
        shard: usize,
        images: &[u32],
        targets: &[&Target],
        threads: NonZeroUsize,
        report: &mut dyn FnMut(Prepared) -> bool,
    ) -> Result<bool, PrepareError> {
        let Preparation { set, options, .. } = self.preparation;
        let start = |target: &&Target| ShardWriter::new(&target.folder, shard);
        let mut writers = targets.iter().map(start).collect::<Result<Vec<ShardWriter>, _>>()?;
        let (mut result, mut go_on) = (Ok(()), true);
        let encode = |worker: &mut Worker, image: u32| {
            worker.encode(set, image as usize, targets.iter().map(|target| target.size), options.quality)
        };
        in_order(images, threads, Worker::default, encode, |number, encoded| {
            let prepared = match encoded {
                Err(line) => Prepared::Bad(line),
                Ok(all) => {
                    let label = set.label(number as usize);
                    let stem = names::stem(&set.name(number as usize), number);
                    let key = format!("{}/{stem}", names::class_folder(&set.classes()[label], label));
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
        let writing = |source| PrepareError::writing(folder, source);
        let classes = self.preparation.set.classes().iter().map(|class| printable(class.as_bytes())).collect();
        let mut index = Index::new(classes, Vec::new());
        let mut images = Vec::new();
        for shard in 0..shards {
            let list = ShardList::read(folder, shard).map_err(writing)?;
            let ShardList { bytes, images: listed } =
                list.ok_or_else(|| PrepareError::damaged(folder, "a list is gone"))?;
            let end = Some(crc32c::crc32c(&END));
            index.shards.push(Shard { name: file_name(shard), bytes, modified: None, end });
            images.extend(listed);
        }
        images.sort_by_key(|(number, ..)| *number);
        images.iter().for_each(|(_, image, name)| index.push(*image, name));
        let path = folder.join(INDEX);
        WholeFile::resumable(&path).and_then(|file| file.write_durably(index.text().as_bytes())).map_err(writing)?;
        (0..shards).try_for_each(|shard| ShardList::remove(folder, shard)).map_err(writing)
    }
}

/// What an earlier preparation has left in a folder.
struct There<'a> {
    folder: &'a Path,
    /// Numbers of the images, if all shards and the index are there.
    whole: Option<HashSet<u32>>,
}

impl<'a> There<'a> {
    fn of(folder: &'a Path) -> Result<Self, PrepareError> {
        let path = folder.join(INDEX);
        if !path.exists() {
            return Ok(Self { folder, whole: None });
        }
        let damaged = |got: String| PrepareError::damaged(folder, &got);
        let text = fs::read(&path).map_err(|source| PrepareError::writing(&path, source))?;
        let index = Index::parse(&text).map_err(|error| damaged(format!("{INDEX}, {error}")))?;
        check_shards(folder, &index.shards).map_err(|error| damaged(error.to_string()))?;
        let numbers = (0..index.images.len()).map(|image| names::number(index.name(image)));
        let whole = numbers.collect::<Option<HashSet<u32>>>();
        Ok(Self { folder, whole: Some(whole.ok_or_else(|| damaged("other names".to_owned()))?) })
    }

    /// Numbers of the images in a shard, or in all of them; none if it is not finished.
    fn numbers(&self, shard: usize) -> Result<Option<Cow<'_, HashSet<u32>>>, PrepareError> {
        if let Some(whole) = &self.whole {
            return Ok(Some(Cow::Borrowed(whole)));
        }
        let list = ShardList::read(self.folder, shard).map_err(|source| PrepareError::writing(self.folder, source))?;
        let is_whole = |list: &ShardList| {
            fs::metadata(self.folder.join(file_name(shard))).is_ok_and(|found| found.len() == list.bytes)
        };
        let list = list.filter(is_whole);
        Ok(list.map(|list| Cow::Owned(list.images.into_iter().map(|(number, ..)| number).collect())))
    }
}

fn file_name(shard: usize) -> String {
    format!("{shard:06}.tar")
}

/// A shard that is being written.
struct ShardWriter {
    folder: PathBuf,
    shard: usize,
    file: BufWriter<File>,
    /// What was written; its length is a multiple of a block's between files.
    list: ShardList,
}

impl ShardWriter {
    fn new(folder: &Path, shard: usize) -> Result<Self, PrepareError> {
        let path = folder.join(file_name(shard));
        let file = WholeFile::resumable(&path)
            .and_then(|file| file.create())
            .map_err(|source| PrepareError::writing(&path, source))?;
        let file = BufWriter::with_capacity(1 << 18, file);
        Ok(Self { folder: folder.to_owned(), shard, file, list: ShardList::default() })
    }

    /// Adds an image with its label.
    fn add(&mut self, number: u32, label: u32, key: &str, image: &Encoded) -> Result<(), PrepareError> {
        let written = self.write(number, label, key, image);
        written.map_err(|source| PrepareError::writing(&self.folder.join(file_name(self.shard)), source))
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
            shard: self.shard as u32,
            offset: self.list.bytes + before.len() as u64,
            length: u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::FileTooLarge)?,
            label,
            size: Some(*size),
            checksums: Some(Checksums { image: crc32c::crc32c(bytes), before: crc32c::crc32c(&before) }),
        };
        self.list.bytes += (before.len() + bytes.len() + padding) as u64;
        self.list.images.push((number, packed, name));
        Ok(())
    }

    /// Puts the shard in its place, and then its list.
    fn finish(mut self) -> Result<(), PrepareError> {
        let path = self.folder.join(file_name(self.shard));
        let done = || -> io::Result<()> {
            self.file.write_all(&END)?;
            self.list.bytes += END.len() as u64;
            let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
            // The list must not reach the disk before what it lists.
            WholeFile::resumable(&path)?.finish_durably(&file)?;
            self.list.write(&self.folder, self.shard)
        };
        done().map_err(|source| PrepareError::writing(&path, source))
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
