//! From photos to files: threads, temporary names, and the marker that says a set is whole.
//!
//! Deliberately absent: deleting. A folder that holds anything else, or another set, is refused,
//! because a folder named by mistake may be somebody's data.

use crate::error::DemoError;
use crate::photo::{Photo, draw};
use crate::{Class, DemoSpec, Split};
use in18_system::WholeFile;
use jpeg_encoder::{ColorType, Encoder};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Present, with the specification in it, once every photo is in place.
const COMPLETE: &str = "demo-photos.txt";
/// The same while photos are being written; it proves that the folder is the generator's.
const UNFINISHED: &str = "demo-photos.unfinished.txt";

/// What a call of [`generate`] left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The folder that holds `train/` and `validation/`.
    pub dir: PathBuf,
    /// Photos under `train/`.
    pub train_images: usize,
    /// Photos under `validation/`.
    pub val_images: usize,
    /// Class folders in each.
    pub classes: usize,
    /// Bytes written, 0 if the set was there already.
    pub bytes: u64,
    /// Whether the set was there already and was left as it is.
    pub reused: bool,
}

/// Writes a set to `dir/train/CLASS/NNNNN.jpg` and `dir/validation/CLASS/NNNNN.jpg` with up to
/// `threads` threads (0 counts as 1), or does nothing if that very set is there.
///
/// `dir` may be absent, empty, or hold this set in whole or in part: an interrupted run is taken up
/// again. Every photo appears whole, under a temporary name first.
///
/// # Errors
/// [`DemoError::Spec`] if a class would have no photo; [`DemoError::NotOurs`] and
/// [`DemoError::OtherSet`] if `dir` holds something else, which is left alone;
/// [`DemoError::File`] and [`DemoError::Encode`] if writing fails.
pub fn generate(dir: &Path, spec: &DemoSpec, threads: usize) -> Result<Summary, DemoError> {
    spec.check()?;
    let mut summary = Summary {
        dir: dir.to_path_buf(),
        train_images: spec.train_images,
        val_images: spec.val_images,
        classes: Class::ALL.len(),
        bytes: 0,
        reused: true,
    };
    if is_complete(dir, spec)? {
        return Ok(summary);
    }
    summary.reused = false;

    let unfinished = dir.join(UNFINISHED);
    create_dir(dir)?;
    fs::write(&unfinished, spec.fingerprint() + "\n").map_err(file("write", &unfinished))?;
    for split in Split::ALL {
        for class in Class::ALL {
            create_dir(&dir.join(split.folder()).join(class.name()))?;
        }
    }
    summary.bytes = write_photos(dir, spec, threads)?;
    let complete = dir.join(COMPLETE);
    fs::rename(&unfinished, &complete).map_err(file("write", &complete))?;
    Ok(summary)
}

/// Whether the set is there in whole; an error if something else is there.
fn is_complete(dir: &Path, spec: &DemoSpec) -> Result<bool, DemoError> {
    for (marker, complete) in [(COMPLETE, true), (UNFINISHED, false)] {
        let path = dir.join(marker);
        match fs::read_to_string(&path) {
            Ok(found) if found.trim_end() == spec.fingerprint() => return Ok(complete),
            // A run that was killed while it wrote its marker has made nothing else yet.
            Ok(found) if found.trim().is_empty() && !complete => return Ok(false),
            Ok(found) => {
                return Err(DemoError::OtherSet {
                    dir: dir.to_path_buf(),
                    found: found.lines().next().unwrap_or_default().to_owned(),
                    expected: spec.fingerprint(),
                });
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => return Err(file("read", &path)(cause)),
        }
    }
    match fs::read_dir(dir) {
        Ok(mut entries) => match entries.next() {
            None => Ok(false),
            Some(_) => Err(DemoError::NotOurs { dir: dir.to_path_buf() }),
        },
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(file("read", dir)(cause)),
    }
}

/// Writes all photos and returns their bytes. The first failure stops every thread.
fn write_photos(dir: &Path, spec: &DemoSpec, threads: usize) -> Result<u64, DemoError> {
    let total = spec.train_images + spec.val_images;
    let next = AtomicUsize::new(0);
    let bytes = AtomicU64::new(0);
    let failure = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, total) {
            scope.spawn(|| {
                loop {
                    let k = next.fetch_add(1, Ordering::Relaxed);
                    if k >= total {
                        return;
                    }
                    let (split, index) = match k.checked_sub(spec.train_images) {
                        None => (Split::Train, k),
                        Some(index) => (Split::Validation, index),
                    };
                    let photo = draw(spec.seed, split, index);
                    let path = dir.join(split.folder()).join(photo.class.name()).join(format!("{index:05}.jpg"));
                    match write_photo(&photo, &path) {
                        Ok(length) => {
                            bytes.fetch_add(length, Ordering::Relaxed);
                        }
                        Err(error) => {
                            next.store(total, Ordering::Relaxed);
                            // A poisoned lock only means that another thread panicked meanwhile.
                            let mut slot = failure.lock().unwrap_or_else(|e| e.into_inner());
                            slot.get_or_insert(error);
                            return;
                        }
                    }
                }
            });
        }
    });
    match failure.into_inner().unwrap_or_else(|e| e.into_inner()) {
        Some(error) => Err(error),
        None => Ok(bytes.into_inner()),
    }
}

fn write_photo(photo: &Photo, path: &Path) -> Result<u64, DemoError> {
    let mut encoded = Vec::new();
    let colour = if photo.grey { ColorType::Luma } else { ColorType::Rgb };
    // Sides are at most 400 pixels.
    let (width, height) = (photo.width as u16, photo.height as u16);
    Encoder::new(&mut encoded, photo.quality)
        .encode(&photo.pixels, width, height, colour)
        .map_err(|cause| DemoError::Encode { path: path.to_path_buf(), cause: cause.to_string() })?;
    WholeFile::new(path).and_then(|photo| photo.write(&encoded)).map_err(file("write", path))?;
    Ok(encoded.len() as u64)
}

fn create_dir(path: &Path) -> Result<(), DemoError> {
    fs::create_dir_all(path).map_err(file("create folder", path))
}

fn file(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DemoError {
    let path = path.to_path_buf();
    move |cause| DemoError::File { operation, path, cause }
}
