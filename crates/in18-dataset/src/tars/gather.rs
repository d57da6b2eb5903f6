//! The samples of archives: images and what labels them.

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread::available_parallelism;

use super::Window;
use super::labels::{Label, Labelled, number_labels};
use super::members::{Member, members};
use super::truth::Truth;
use crate::each::each;
use crate::error::Error;
use crate::index::{Index, PackedImage, Shard, printable};
use crate::open::open_image;
use crate::place::{Half, Place};
use crate::read::size_in_header;

/// Endings of the files that are images.
const IMAGES: [&str; 3] = ["jpg", "jpeg", "png"];
/// Bytes that a label has at most.
const MAX_LABEL: u64 = 256;

/// An archive, which may lie in another one.
struct Range {
    shard: usize,
    start: u64,
    length: u64,
    /// Its name without the ending.
    stem: String,
}

/// An image, and its label if something in the archive says it.
struct Sample {
    image: PackedImage,
    name: String,
    label: Option<Label>,
}

/// Lists all samples; and whether the archives alone say all of it.
pub(super) fn gather(place: &Place, shards: Vec<Shard>, truth: Option<&Path>) -> Result<(Index, bool), Error> {
    let folder = place.folder.as_path();
    // Anew for each task: there may be more archives than a process may have open files.
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
    let ranges = flatten(each(shards.len(), 1, threads, || (), |(), shard| list(shard)))?;
    let read = |range: &Range| {
        open(range.shard).and_then(|file| samples(range, &file)).map_err(|error| damaged(range.shard, error))
    };
    let of_ranges = each(ranges.len(), 1, threads, || (), |(), range| read(&ranges[range]));
    let of_ranges = of_ranges.into_iter().collect::<Result<Vec<_>, _>>()?;
    let all = || ranges.iter().zip(&of_ranges).flat_map(|(range, samples)| samples.iter().map(move |one| (range, one)));

    if all().next().is_none() {
        let got = format!("none in {} tar files", shards.len());
        return Err(Error::Archive { path: folder.to_owned(), expected: "images (.jpg, .jpeg, .png)", got });
    }
    let unlabelled = all().find(|(_, sample)| sample.label.is_none());
    // A list that lies beside the archives of both halves is of the validation images.
    let may_be_listed = unlabelled.is_some() && place.part != Some(Half::Train);
    let truth = if may_be_listed { Truth::find(folder, truth)? } else { None };
    if let (Some((range, sample)), None) = (unlabelled, &truth) {
        // Archives are named after their class where none says labels, and there is more than one.
        let is_by_archive = ranges.len() > 1 && all().all(|(_, sample)| sample.label.is_none());
        if !is_by_archive {
            return Err(Error::Archive {
                path: folder.join(&shards[range.shard].name),
                expected: "a .cls file beside every image, an archive for each class, or a list of labels",
                got: format!(
                    "none for {}; put the list beside the archive or give it to `imagenet18 data prepare` by --ground-truth",
                    sample.name
                ),
            });
        }
    }
    let label = |(range, sample): (&Range, &Sample)| match (&sample.label, &truth) {
        (Some(label), _) => Ok(label.clone()),
        (None, Some(truth)) => truth.label(&sample.name),
        (None, None) => Ok(Label::Class(range.stem.clone())),
    };
    let labels = all().map(label).collect::<Result<Vec<Label>, Error>>()?;
    let above = all().map(|(_, sample)| sample.name.rsplit_once('/').map(|(folder, _)| folder));
    let Labelled { classes, numbers } = number_labels(&labels, above).map_err(|got| Error::Archive {
        path: folder.to_owned(),
        expected: "labels that are all numbers or all names of classes",
        got,
    })?;
    let mut labelled: Vec<(&Sample, u32)> = all().map(|(_, sample)| sample).zip(numbers).collect();
    if matches!(labels[0], Label::Class(_)) {
        // As if they were unpacked into class folders.
        labelled.sort_by_key(|(sample, label)| (*label, &sample.name));
    }
    let mut index = Index::new(classes, shards.clone());
    for (sample, label) in labelled {
        index.push(PackedImage { label, ..sample.image }, &sample.name);
    }
    Ok((index, truth.is_none()))
}

fn flatten<T>(results: Vec<Result<Vec<T>, Error>>) -> Result<Vec<T>, Error> {
    Ok(results.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
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

/// The images of an archive. Files that belong together follow one another, and their names differ behind the first dot; where
/// none of them is a label, each image is by itself.
fn samples(range: &Range, file: &File) -> io::Result<Vec<Sample>> {
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

/// A name without what follows the first dot of its last part, and that in lower case. None for hidden files and folders.
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
