//! A model's state as a sealed safetensors file.

use std::collections::HashMap;
use std::path::Path;

use in18_program::{Model, Role};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Map, Value};

use crate::checksum;
use crate::error::WeightsError;
use crate::whole::write_whole;

/// The metadata entry that describes a file of ours: a JSON object with at least `arch`, `classes` and `checksum`.
pub const DESCRIPTION: &str = "imagenet18";

/// A tensor as it stands in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTensor {
    /// Its name.
    pub name: String,
    /// Element type.
    pub dtype: Dtype,
    /// Extents, outermost first; none of a scalar.
    pub shape: Vec<usize>,
    /// Row-major, little-endian.
    pub bytes: Vec<u8>,
}

impl StoredTensor {
    /// An fp32 tensor of row-major `values`.
    pub fn f32(name: impl Into<String>, shape: &[usize], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        StoredTensor { name: name.into(), dtype: Dtype::F32, shape: shape.to_vec(), bytes }
    }
}

/// The description of a file: its `arch` and its `classes` by label. Writers may add keys.
pub fn description(arch: &str, classes: &[String]) -> Map<String, Value> {
    Map::from_iter([("arch".to_owned(), arch.into()), ("classes".to_owned(), classes.into())])
}

/// A model's parameters and running statistics under torchvision's names and shapes, fp32, with `num_batches_tracked` (i64)
/// as PyTorch's batch normalisation keeps it.
///
/// # Errors
/// [`WeightsError::Program`].
pub fn network_tensors(model: &Model, steps: u64) -> Result<Vec<StoredTensor>, WeightsError> {
    let mut tensors = Vec::new();
    for entry in model.parameters().entries().iter().chain(model.statistics().entries()) {
        tensors.push(StoredTensor::f32(&entry.name, entry.shape.extents(), &model.get(&entry.name)?));
        if let (Role::RunningMean, Some(layer)) = (entry.role, entry.name.strip_suffix("running_mean")) {
            tensors.push(StoredTensor {
                name: format!("{layer}num_batches_tracked"),
                dtype: Dtype::I64,
                shape: vec![],
                bytes: (steps as i64).to_le_bytes().to_vec(),
            });
        }
    }
    Ok(tensors)
}

/// Lays tensors out as a safetensors file with a [`description`] and seals it. The same input gives the same bytes.
///
/// # Errors
/// [`WeightsError::Layout`], [`WeightsError::Seal`].
pub fn to_bytes(tensors: &[StoredTensor], mut description: Map<String, Value>) -> Result<Vec<u8>, WeightsError> {
    let layout = |error: safetensors::SafeTensorError| WeightsError::Layout { reason: error.to_string() };
    let views = tensors
        .iter()
        .map(|t| Ok((t.name.as_str(), TensorView::new(t.dtype, t.shape.clone(), &t.bytes)?)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(layout)?;
    description.insert(checksum::KEY.to_owned(), checksum::placeholder().into());
    // One entry: the crate writes them in the order of a hash map, and the same network shall be the same file.
    let metadata = HashMap::from([(DESCRIPTION.to_owned(), Value::Object(description).to_string())]);
    let mut bytes = safetensors::serialize(views, Some(metadata)).map_err(layout)?;
    checksum::seal(&mut bytes).map_err(WeightsError::Seal)?;
    Ok(bytes)
}

/// Writes a model's [`network_tensors`] as a sealed file.
///
/// # Errors
/// [`WeightsError`]; there is no file then, or the one that was there before.
pub fn save_parameters(
    path: &Path,
    model: &Model,
    arch: &str,
    classes: &[String],
    steps: u64,
) -> Result<(), WeightsError> {
    let bytes = to_bytes(&network_tensors(model, steps)?, description(arch, classes))?;
    write_whole(path, &bytes).map_err(|cause| WeightsError::Write { path: path.to_owned(), cause })
}
