//! The samples of archives: images and what the archives say of their labels.

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread::available_parallelism;

use super::labels::Label;
use super::members::{Member, members};
use super::window::Window;
use crate::each::each;
use crate::error::Error;
use crate::image_file::{open_image, size_in_header};
use crate::packed::{PackedImage, Shard};
use crate::printable::printable;

/// Endings of the files that are images.
const IMAGES: [&str; 3] = ["jpg", "jpeg", "png"];
/// Bytes that a label has at most.
const MAX_LABEL: u64 = 256;

/// An archive, which may lie in another one.
pub(super) struct Range {
    /// The file that it lies in, by number.
    pub shard: usize,
    start: u64,
    length: u64,
    /// Its name without the ending.
    pub stem: String,
}

/// An image, and its label if something in the archive says it.
pub(super) struct Sample {
    /// With label 0.
    pub image: PackedImage,
    pub name: String,
    pub label: Option<Label>,
}

/// The samples of all archives, which may lie in one another.
///
/// # Errors
/// [`Error::Archive`], naming the shard that is damaged.
pub(super) fn samples(folder: &Path, shards: &[Shard]) -> Result<Vec<(Range, Vec<Sample>)>, Error> {
    // Opened anew for each task: there may be more archives than a process may have open files.
    let open = |shard: usize| open_image(&folder.join(&shards[shard].name));
    let threads = available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let damaged = |shard: usize, error: io::Error| Error::Archive {
        path: folder.join(&shards[shard].name),
        expected: "a whole tar archive of images and labels",
        got: error.to_string(),
    };
    let list = |shard: usize| {
        open(shard).and_then(|file| ranges(shard, &shards[shard], &file)).map_err(|error| damaged(shard, error))
    };
    let ranges = each(shards.len(), 1, threads, || (), |(), shard| list(shard));
    let ranges: Vec<Range> = ranges.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    let read = |range: &Range| {
        open(range.shard).and_then(|file| samples_in(range, &file)).map_err(|error| damaged(range.shard, error))
    };
    let found = each(ranges.len(), 1, threads, || (), |(), range| read(&ranges[range]));
    ranges.into_iter().zip(found).map(|(range, samples)| Ok((range, samples?))).collect()
}

/// The archive itself, or those that it consists of.
fn ranges(shard: usize, Shard { name, bytes, .. }: &Shard, file: &File) -> io::Result<Vec<Range>> {
    let is_archive = |member: &Member| ending(&member.name).is_some_and(|(_, ending)| ending == "tar");
    let outer = members(Window::new(file, 0, *bytes), *bytes)?;
    if outer.is_empty() || !outer.iter().all(is_archive) {
        let stem = name.strip_suffix(".tar").unwrap_or(name).to_owned();
        return Ok(vec![Range { shard, start: 0, length: *bytes, stem }]);
    }
    let inner = outer.iter().map(|member| {
        let name = printable(&member.name);
        let name = name.rsplit('/').next().unwrap_or(&name);
        let stem = name.strip_suffix(".tar").unwrap_or(name).to_owned();
        Range { shard, start: member.offset, length: member.length, stem }
    });
    Ok(inner.collect())
}

/// The images of an archive. Files that belong together follow one another, and their names differ
/// behind the first dot. Where none of them is a label, each image is a sample of its own.
fn samples_in(range: &Range, file: &File) -> io::Result<Vec<Sample>> {
    let listed = members(Window::new(file, range.start, range.length), range.length)?;
    let named = listed.iter().filter_map(|member| ending(&member.name).map(|(key, ending)| (member, key, ending)));
    let named: Vec<(&Member, &[u8], String)> = named.collect();
    let mut found = Vec::new();
    for together in named.chunk_by(|(_, one, _), (_, other, _)| one == other) {
        let last = |ending: &str| ending.rsplit('.').next().unwrap_or(ending).to_owned();
        let images =
            together.iter().filter(|(member, _, ending)| member.length > 0 && IMAGES.contains(&&*last(ending)));
        let label = together.iter().find(|(.., ending)| last(ending) == "cls");
        let Some((label, ..)) = label else {
            for (image, ..) in images {
                found.push(sample(range, file, image, None)?);
            }
            continue;
        };
        // `0001.jpg` rather than `0001.mask.png`.
        if let Some((image, ..)) = images.min_by_key(|(.., ending)| ending.contains('.')) {
            found.push(sample(range, file, image, Some(read_label(range, file, label)?))?);
        }
    }
    Ok(found)
}

/// A name up to the first dot of its last part, and what follows the dot in lower case. None for
/// names without a dot there, and for hidden ones.
fn ending(name: &[u8]) -> Option<(&[u8], String)> {
    let start = name.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1);
    let dot = start + name[start..].iter().position(|&byte| byte == b'.')?;
    let ending = String::from_utf8_lossy(&name[dot + 1..]).to_lowercase();
    (dot > start).then_some((&name[..dot], ending))
}

fn sample(range: &Range, file: &File, member: &Member, label: Option<Label>) -> io::Result<Sample> {
    let name = printable(&member.name);
    let length = u32::try_from(member.length)
        .map_err(|_| io::Error::other(format!("{name} of {} bytes, which is no photo", member.length)))?;
    let offset = range.start + member.offset;
    let image = PackedImage {
        shard: range.shard as u32,
        offset,
        length,
        label: 0,
        size: size_in_header(file, offset, u64::from(length))?.ok(),
        checksums: None,
    };
    Ok(Sample { image, name, label })
}

fn read_label(range: &Range, file: &File, member: &Member) -> io::Result<Label> {
    let mut text = vec![0; member.length.min(MAX_LABEL + 1) as usize];
    file.read_exact_at(&mut text, range.start + member.offset)?;
    let label = if text.len() as u64 > MAX_LABEL { None } else { Label::parse(&text) };
    label.ok_or_else(|| io::Error::other(format!("{}, which is no label", printable(&member.name))))
}
