//! `imagenet18 data`: inspects, checks and prepares images before training.

mod info;
mod prepare;
mod verify;

use std::path::Path;

use anyhow::Result;
use in18_dataset::{DataRoot, Error, Half, ImageSet, OpenOptions};

use crate::cli::{DataArgs, DataCommand, ReadingArgs};

/// Runs the chosen command.
pub fn data(arguments: &DataArgs) -> Result<()> {
    match &arguments.what {
        DataCommand::Info(arguments) => info::info(arguments),
        DataCommand::Prepare(arguments) => prepare::prepare(arguments),
        DataCommand::Verify(arguments) => verify::verify(arguments),
    }
}

/// The sets in a data folder: training and validation, or the folder itself if it has neither.
fn sets(folder: &Path, options: &OpenOptions) -> Result<Vec<(Option<Half>, ImageSet)>> {
    let root = DataRoot::new(folder);
    let mut sets = Vec::new();
    for (half, place) in [(Half::Train, root.train("")), (Half::Validation, root.validation(""))] {
        match place {
            Ok(place) => {
                let mut options = options.clone();
                // Training images get their labels from the folders that they lie in.
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

/// How image folders are opened for commands that do not train.
fn opening(reading: &ReadingArgs) -> OpenOptions {
    OpenOptions { sequential: true, ..reading.options() }
}

/// The printed name of one of the [`sets`].
fn name(half: Option<Half>) -> String {
    half.map_or_else(|| "images".to_owned(), |half| half.to_string())
}
