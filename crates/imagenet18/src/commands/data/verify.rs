//! `data verify`: decodes every image whole, and compares all bytes that have checksums.

use anyhow::Result;

use super::{name, opening, sets};
use crate::cli::DataSetArgs;
use crate::exit::BadImages;
use crate::{cores, output};

/// Names each damaged image or shard. Fails if there is any.
pub(super) fn verify(arguments: &DataSetArgs) -> Result<()> {
    let threads = arguments.threads.unwrap_or_else(cores::available);
    let (mut bad, mut seen) = (0, 0);
    for (half, set) in sets(&arguments.folder, &opening(&arguments.reading))? {
        let found = set.verify(threads);
        found.iter().for_each(|error| output::complain(&error.to_string()));
        bad += found.len();
        seen += set.len();
        let intact = set.len().saturating_sub(found.len());
        output::print(&format!("{}: {intact} images decoded, {} damaged\n", name(half), found.len()))?;
    }
    if bad > 0 { Err(BadImages { bad, seen }.into()) } else { Ok(()) }
}
