//! `data`: what is known of images before anybody trains on them.

mod info;
mod prepare;
mod verify;

use std::path::Path;

use anyhow::Result;
use in18_dataset::{DataRoot, Error, ImageSet};

use crate::cli::{DataArgs, DataCommand};

/// Runs the one that was asked for.
pub fn data(arguments: &DataArgs) -> Result<()> {
    match &arguments.what {
        DataCommand::Info(arguments) => info::info(arguments),
        DataCommand::Prepare(arguments) => prepare::prepare(arguments),
        DataCommand::Verify(arguments) => verify::verify(arguments),
    }
}

/// The sets in a data folder, by name: its halves, or the folder itself where it holds class folders.
fn sets(folder: &Path) -> Result<Vec<(&'static str, ImageSet)>> {
    let root = DataRoot::new(folder);
    let mut sets = Vec::new();
    for (name, half) in [("train", root.train("")), ("validation", root.validation(""))] {
        match half {
            Ok(path) => sets.push((name, ImageSet::open(path)?)),
            Err(Error::NoSplit { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if sets.is_empty() {
        sets.push(("images", ImageSet::open(folder)?));
    }
    Ok(sets)
}
