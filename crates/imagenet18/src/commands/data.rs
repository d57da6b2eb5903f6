//! `data`: what is known of images before anybody trains on them.

mod info;
mod prepare;
mod verify;

use std::path::Path;

use anyhow::Result;
use in18_dataset::{DataRoot, Error, Half, ImageSet, OpenOptions};

use crate::cli::{DataArgs, DataCommand, ReadingArgs};

/// Runs the one that was asked for.
pub fn data(arguments: &DataArgs) -> Result<()> {
    match &arguments.what {
        DataCommand::Info(arguments) => info::info(arguments),
        DataCommand::Prepare(arguments) => prepare::prepare(arguments),
        DataCommand::Verify(arguments) => verify::verify(arguments),
    }
}

/// The sets in a data folder: its halves, or the folder itself where it is none of two halves.
fn sets(folder: &Path, options: &OpenOptions) -> Result<Vec<(Option<Half>, ImageSet)>> {
    let root = DataRoot::new(folder);
    let mut sets = Vec::new();
    for (half, place) in [(Half::Train, root.train("")), (Half::Validation, root.validation(""))] {
        match place {
            Ok(place) => {
                let mut options = options.clone();
                // Training images are labelled by where they lie.
                options.ground_truth = options.ground_truth.filter(|_| half == Half::Validation);
                sets.push((Some(half), ImageSet::open_with(place, &options)?));
            }
            Err(Error::NoSplit { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if sets.is_empty() {
        sets.push((None, ImageSet::open_with(folder, options)?));
    }
    Ok(sets)
}

/// How the images of a folder are opened that nobody trains on.
fn opening(reading: &ReadingArgs) -> OpenOptions {
    OpenOptions { sequential: true, ..reading.options() }
}

/// What a set of [`sets`] is called.
fn name(half: Option<Half>) -> String {
    half.map_or_else(|| "images".to_owned(), |half| half.to_string())
}
