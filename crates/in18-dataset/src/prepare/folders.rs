//! Prepared images as a file each, in class folders.

use std::num::NonZeroUsize;
use std::path::{Component, Path, PathBuf};

use super::encode::{Encoded, Worker};
use super::error::PrepareError;
use super::in_order::in_order;
use super::{Preparation, Prepared, Target};
use crate::whole::write_whole;

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
    let name = below_class(set.classes(), set.label(image), &set.name(image));
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
        write_whole(&path, &bytes).map_err(|source| PrepareError::writing(&path, source))?;
    }
    Ok(Prepared::Written)
}

/// A path whose first folder is the class: as it is where it begins so, as it does in class folders.
fn below_class(classes: &[String], label: usize, name: &Path) -> PathBuf {
    let class = &classes[label];
    let parts: Vec<Component<'_>> = name.components().collect();
    let is_below = parts.len() > 1 && parts[0].as_os_str().to_string_lossy() == class.as_str();
    if is_below && parts.iter().all(|part| matches!(part, Component::Normal(_))) {
        return name.to_owned();
    }
    // Names out of archives may be anything.
    let plain = |text: &str| text.replace(['/', '\0'], "_").trim_start_matches('.').to_owned();
    Path::new(&plain(class)).join(plain(&name.to_string_lossy()))
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

    #[test]
    fn images_go_into_their_classes_folder() {
        let classes = ["dogs".to_owned(), "../cats".to_owned()];
        let below = |label, name: &str| below_class(&classes, label, Path::new(name)).to_str().unwrap().to_owned();
        assert_eq!(below(0, "dogs/a/1.jpg"), "dogs/a/1.jpg");
        assert_eq!(below(0, "000001.jpg"), "dogs/000001.jpg");
        assert_eq!(below(0, "../../etc/x.jpg"), "dogs/_.._etc_x.jpg");
        assert_eq!(below(0, "dogs/../../x.jpg"), "dogs/dogs_.._.._x.jpg");
        assert_eq!(below(1, "/1.jpg"), "_cats/_1.jpg");
    }
}
