//! `data verify`: every image, decoded whole.

use std::io::Read;
use std::path::PathBuf;

use anyhow::Result;
use in18_dataset::{ImageSet, open_image};
use in18_jpeg::{Decoder, Rgb8Image};

use super::sets;
use crate::cli::DataSetArgs;
use crate::exit::BadImages;
use crate::{engine, output};

/// Names what cannot be decoded, and fails if there is any.
pub(super) fn verify(arguments: &DataSetArgs) -> Result<()> {
    let threads = arguments.threads.unwrap_or_else(engine::cores);
    let (mut bad, mut seen) = (0, 0);
    for (name, set) in sets(&arguments.folder)? {
        let complaints = set.each(threads, Reader::default, |reader, image| reader.complaint(&set, image));
        let found: Vec<String> = complaints.into_iter().flatten().collect();
        found.iter().for_each(|line| output::complain(line));
        bad += found.len();
        seen += set.len();
        output::print(&format!("{name}: {} images decoded, {} that are none\n", set.len() - found.len(), found.len()))?;
    }
    if bad > 0 { Err(BadImages { bad, seen }.into()) } else { Ok(()) }
}

/// Buffers of a thread.
#[derive(Default)]
struct Reader {
    path: PathBuf,
    file: Vec<u8>,
    decoder: Decoder,
    decoded: Rgb8Image,
}

impl Reader {
    /// What is wrong with an image, with its path.
    fn complaint(&mut self, set: &ImageSet, image: usize) -> Option<String> {
        set.path_into(image, &mut self.path);
        self.file.clear();
        let read = open_image(&self.path).and_then(|mut file| file.read_to_end(&mut self.file));
        let said = match read {
            Err(error) => error.to_string(),
            Ok(_) => self.decoder.decode(&self.file, &mut self.decoded).err()?.to_string(),
        };
        Some(format!("{}: {said}", self.path.display()))
    }
}
