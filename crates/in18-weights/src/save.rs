//! Writes tensors as a sealed safetensors file, and a model's state as such a file.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;

use in18_program::{Model, Role};
use in18_system::WholeFile;
use safetensors::tensor::View;
use safetensors::{Dtype, SafeTensorError};
use serde_json::{Map, Value};

use crate::checksum::{self, DESCRIPTION};
use crate::error::WeightsError;

/// A tensor to write.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored<'a> {
    /// Element type.
    pub dtype: Dtype,
    /// Extents, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// Row-major, little-endian.
    pub bytes: Cow<'a, [u8]>,
}

impl Stored<'static> {
    /// An fp32 tensor of row-major `values`.
    pub fn f32(shape: &[usize], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Stored { dtype: Dtype::F32, shape: shape.to_vec(), bytes }
    }

    /// An i64 scalar: `num_batches_tracked`, as PyTorch's batch normalisation keeps it.
    pub fn count(value: u64) -> Self {
        let bytes = Cow::Owned((value as i64).to_le_bytes().to_vec());
        Stored { dtype: Dtype::I64, shape: vec![], bytes }
    }
}

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// The description of a file: its `arch`, and its `classes` by label. Writers may add keys.
pub fn description(arch: &str, classes: &[String]) -> Map<String, Value> {
    Map::from_iter([("arch".to_owned(), arch.into()), ("classes".to_owned(), classes.into())])
}

/// Writes named tensors with a [`description`] as a sealed safetensors file. The file is written as
/// a whole or not at all, without another copy of the tensors in memory. The same input gives the
/// same bytes.
///
/// # Errors
/// The system's errors, and tensors that a file cannot hold. An earlier file is then still there.
pub fn write_sealed(
    path: &Path,
    tensors: Vec<(String, Stored<'_>)>,
    mut description: Map<String, Value>,
) -> io::Result<()> {
    description.insert(checksum::KEY.to_owned(), checksum::PLACEHOLDER.into());
    // Only one entry: safetensors writes entries in the order of a hash map, and the same network
    // must give the same file.
    let metadata = HashMap::from([(DESCRIPTION.to_owned(), Value::Object(description).to_string())]);
    WholeFile::new(path)?.make_durably(|temporary| {
        // safetensors makes files that only their owner may read. Ours get the permissions of any
        // other new file.
        let permissions = File::create(temporary)?.metadata()?.permissions();
        safetensors::serialize_to_file(tensors, Some(metadata), temporary).map_err(|error| match error {
            SafeTensorError::IoError(cause) => cause,
            other => io::Error::other(other.to_string()),
        })?;
        let file = File::options().read(true).write(true).open(temporary)?;
        file.set_permissions(permissions)?;
        checksum::seal(&file)?;
        file.sync_all()
    })
}

/// Writes a model's parameters and running statistics, as evaluations see them, as a sealed file,
/// under torchvision's names and shapes, fp32, with `num_batches_tracked` (i64) as PyTorch's batch
/// normalisation keeps it.
///
/// # Errors
/// [`WeightsError::Write`], [`WeightsError::Program`]. Then there is no file, or the earlier one.
pub fn save_parameters(
    path: &Path,
    model: &Model,
    arch: &str,
    classes: &[String],
    steps: u64,
) -> Result<(), WeightsError> {
    let mut tensors = Vec::new();
    for entry in model.parameters().entries().iter().chain(model.statistics().entries()) {
        tensors.push((entry.name.clone(), Stored::f32(entry.shape.extents(), &model.evaluated(&entry.name)?)));
        if let (Role::RunningMean, Some(layer)) = (entry.role, entry.name.strip_suffix("running_mean")) {
            tensors.push((format!("{layer}num_batches_tracked"), Stored::count(steps)));
        }
    }
    write_sealed(path, tensors, description(arch, classes))
        .map_err(|cause| WeightsError::Write { path: path.to_owned(), cause })
}
