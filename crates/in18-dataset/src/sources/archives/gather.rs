//! The index of archives: all their samples, each with the number of its class.

use std::path::Path;

use super::labels::{Label, Labelled, number_labels};
use super::samples::{Range, Sample, samples};
use super::truth::Truth;
use crate::error::Error;
use crate::location::{Half, Location};
use crate::packed::{Index, PackedImage, Shard};

/// Lists all samples, with the labels of the list `truth` where the archives have none; and whether
/// the archives alone say all of it.
pub(super) fn gather(location: &Location, shards: Vec<Shard>, truth: Option<&Path>) -> Result<(Index, bool), Error> {
    let folder = location.folder.as_path();
    let archives = samples(folder, &shards)?;
    let all = || archives.iter().flat_map(|(range, samples)| samples.iter().map(move |sample| (range, sample)));
    if all().next().is_none() {
        let got = format!("none in {} tar files", shards.len());
        return Err(Error::Archive { path: folder.to_owned(), expected: "images (.jpg, .jpeg, .png)", got });
    }
    let unlabelled = all().find(|(_, sample)| sample.label.is_none());
    // A list that lies beside the archives of both halves is of the validation images.
    let may_be_listed = unlabelled.is_some() && location.half != Some(Half::Train);
    let truth = if may_be_listed { Truth::find(folder, truth)? } else { None };
    // Archives are named after their class where none says labels, and there is more than one.
    let are_by_class = || archives.len() > 1 && all().all(|(_, sample)| sample.label.is_none());
    if let (Some((range, sample)), None) = (unlabelled, &truth)
        && !are_by_class()
    {
        return Err(Error::Archive {
            path: folder.join(&shards[range.shard].name),
            expected: "a .cls file beside every image, an archive for each class, or a list of labels",
            got: format!(
                "none for {}; put the list beside the archive or give it to `imagenet18 data prepare` by --ground-truth",
                sample.name
            ),
        });
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
    let mut index = Index::new(classes, shards);
    for (sample, label) in labelled {
        index.push(PackedImage { label, ..sample.image }, &sample.name);
    }
    Ok((index, truth.is_none()))
}
