//! Files that appear whole or not at all, and a model's parameters as one of them.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use in18_program::{Model, Role};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::error::TrainError;

/// Ends the names of files that are not whole yet.
pub(crate) const TEMPORARY: &str = ".tmp";

/// Writes a model's parameters and running statistics under torchvision's names and shapes, fp32, with
/// `num_batches_tracked` (i64) as PyTorch's batch normalisation keeps it; architecture and class names are metadata, a JSON object
/// `{"arch": …, "classes": […]}` under `imagenet18`.
///
/// # Errors
/// [`TrainError::Write`], [`TrainError::Layout`]; there is no file then, or the one that was there before.
pub fn save_parameters(
    path: &Path,
    model: &Model,
    arch: &str,
    classes: &[String],
    steps: u64,
) -> Result<(), TrainError> {
    let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
    for entry in model.parameters().entries().iter().chain(model.statistics().entries()) {
        let bytes = model.get(&entry.name)?.into_iter().flat_map(f32::to_le_bytes).collect();
        tensors.push((entry.name.clone(), Dtype::F32, entry.shape.extents().to_vec(), bytes));
        if let (Role::RunningMean, Some(layer)) = (entry.role, entry.name.strip_suffix("running_mean")) {
            let bytes = (steps as i64).to_le_bytes().to_vec();
            tensors.push((format!("{layer}num_batches_tracked"), Dtype::I64, vec![], bytes));
        }
    }
    let layout = |reason: String| TrainError::Layout { path: path.to_owned(), reason };
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| Ok((name, TensorView::new(*dtype, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|error| layout(error.to_string()))?;
    // One entry: the crate writes them in the order of a hash map, and the same network shall be the same file.
    let about = serde_json::json!({ "arch": arch, "classes": classes }).to_string();
    let metadata = HashMap::from([("imagenet18".to_owned(), about)]);
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(|error| layout(error.to_string()))?;
    write_whole(path, &bytes).map_err(|cause| TrainError::Write { path: path.to_owned(), cause })
}

/// Writes a file whole or not at all; see [`replace`].
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, |temporary| {
        let mut file = File::create(temporary)?;
        file.write_all(bytes)?;
        file.sync_all()
    })
}

/// Has a file made under a temporary name beside its own, and renames it: whoever looks sees the old file or the new
/// one, whole, and after a power cut, too: `make` syncs the file, this its folder.
pub(crate) fn replace(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}{TEMPORARY}", std::process::id()));
    let temporary = Path::new(&temporary);
    make(temporary).and_then(|()| fs::rename(temporary, path)).inspect_err(|_| {
        // The error that is reported is the first one; a file that cannot be removed either changes nothing.
        let _ = fs::remove_file(temporary);
    })?;
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_whole(&path, b"one").unwrap();
        write_whole(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a folder");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), b"x").unwrap();
        assert!(write_whole(&path, b"one").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
