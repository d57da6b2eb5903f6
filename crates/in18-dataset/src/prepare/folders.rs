//! Prepared images as a file each, in class folders.

use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use in18_system::WholeFile;

use super::encode::{Encoded, Worker};
use super::error::PrepareError;
use super::in_order::in_order;
use super::{Preparation, Prepared, Target, names};
use crate::set::ImageSet;

/// Writes the files that are not there.
pub(super) fn run(
    preparation: &Preparation<'_>,
    order: &[u32],
    threads: NonZeroUsize,
    report: &mut dyn FnMut(Prepared) -> bool,
) -> Result<(), PrepareError> {
    let mut done = Ok(());
    in_order(
        order,
        threads,
        Worker::default,
        |worker, image| write(preparation, worker, image as usize),
        |_, result| match result {
            Ok(prepared) => report(prepared),
            Err(error) => {
                done = Err(error);
                false
            }
        },
    );
    done
}

fn write(preparation: &Preparation<'_>, worker: &mut Worker, image: usize) -> Result<Prepared, PrepareError> {
    let Preparation { set, options, targets, .. } = preparation;
    let name = target_name(set, image);
    let missing: Vec<&Target> = targets.iter().filter(|target| !is_there(&target.folder, &name)).collect();
    if missing.is_empty() {
        return Ok(Prepared::Kept);
    }
    let sizes = missing.iter().map(|target| target.size);
    let encoded = match worker.encode(set, image, sizes, options.quality) {
        Ok(encoded) => encoded,
        Err(line) => return Ok(Prepared::Bad(line)),
    };
    for (Target { folder, .. }, Encoded { bytes, is_copy, .. }) in missing.into_iter().zip(encoded) {
        let path = folder.join(if is_copy { name.clone() } else { as_jpeg(&name) });
        put(&path, &bytes).map_err(|source| PrepareError::writing(&path, source))?;
    }
    Ok(Prepared::Written)
}

fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    WholeFile::resumable(path)?.write(bytes)
}

/// Where an image goes, below the folder of class folders. Names out of archives may be anything,
/// and two images may share one.
fn target_name(set: &ImageSet, image: usize) -> PathBuf {
    let name = set.name(image);
    if set.source().has_class_folders() {
        return name;
    }
    let label = set.label(image);
    let ending = name.extension().map_or("jpg".into(), |ending| ending.to_string_lossy());
    let file = format!("{}.{ending}", names::stem(&name, image as u32));
    Path::new(&names::class_folder(&set.classes()[label], label)).join(file)
}

/// An image's name as a JPEG's: that of a PNG gets an ending.
fn as_jpeg(name: &Path) -> PathBuf {
    let ending = name.extension().map(|ending| ending.to_ascii_lowercase());
    if ending.is_some_and(|ending| ending == "jpg" || ending == "jpeg") {
        return name.to_owned();
    }
    let mut longer = name.as_os_str().to_owned();
    longer.push(".jpg");
    PathBuf::from(longer)
}

/// Whether an image was written, as it was or reduced.
fn is_there(folder: &Path, name: &Path) -> bool {
    folder.join(name).exists() || folder.join(as_jpeg(name)).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reduced_images_are_jpegs_by_name() {
        let named = |name: &str| as_jpeg(Path::new(name)).to_str().unwrap().to_owned();
        assert_eq!(named("dogs/a.JPEG"), "dogs/a.JPEG");
        assert_eq!((named("dogs/a.png"), named("dogs/a")), ("dogs/a.png.jpg".to_owned(), "dogs/a.jpg".to_owned()));
    }
}
