//! Reads a network from any safetensors file with torchvision's names: ours, a checkpoint, or one
//! that PyTorch saved.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use in18_program::{Arch, EMA_PREFIX, Entry, Model, Network, ParameterTable};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use crate::checksum;
use crate::checksum::DESCRIPTION;
use crate::error::WeightsError;
use crate::save::{Stored, description, write_sealed};

/// The description's key for a list of name prefixes. Tensors with these prefixes are not part of
/// the network, but further state of a checkpoint, such as velocities. Where [`EMA_PREFIX`] is among
/// them, its tensors are the network.
pub const STATE: &str = "state";

/// The prefix of further state in files without this list: PyTorch's name for SGD's velocities.
const STATE_OF_OLD: &str = "momentum_buffer.";

/// PyTorch's name for the step count of a batch normalisation.
const COUNT: &str = "num_batches_tracked";

/// The prefix of all names in PyTorch's data parallel wrapper.
const WRAPPER: &str = "module.";

/// The prefix of the classifier's names.
const HEAD: &str = "fc.";

/// What to do with the classifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// Use the classifier of the file.
    Keep,
    /// Leave the model's classifier as it is, whatever the file has.
    Replace,
}

/// A whole safetensors file in memory, not yet fitted to a network.
#[derive(Debug)]
pub struct WeightFile {
    path: PathBuf,
    bytes: Vec<u8>,
    /// Tensors by torchvision's name, without the further state of a checkpoint.
    tensors: BTreeMap<String, Place>,
    arch: Option<String>,
    classes: Option<Vec<String>>,
}

#[derive(Debug)]
struct Place {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Range<usize>,
}

impl WeightFile {
    /// Reads a file and checks that it is whole. Nothing in the file is executed, whatever it is.
    ///
    /// # Errors
    /// [`WeightsError::Unreadable`], [`WeightsError::NotSafetensors`], [`WeightsError::Damaged`].
    pub fn read(path: &Path) -> Result<Self, WeightsError> {
        let bytes = fs::read(path).map_err(|cause| WeightsError::Unreadable { path: path.to_owned(), cause })?;
        Self::parse(path, bytes)
    }

    /// Like [`read`](Self::read), from bytes. `path` is only used in messages.
    ///
    /// # Errors
    /// [`WeightsError::NotSafetensors`], [`WeightsError::Damaged`].
    pub fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self, WeightsError> {
        if let Some(got) = other_format(&bytes) {
            return Err(WeightsError::NotSafetensors { path: path.to_owned(), got });
        }
        let damaged = |reason: String| WeightsError::Damaged { path: path.to_owned(), reason };
        checksum::verify(&bytes).map_err(&damaged)?;
        SafeTensors::deserialize(&bytes).map_err(|error| damaged(error.to_string()))?;
        let (header, metadata) = SafeTensors::read_metadata(&bytes).map_err(|error| damaged(error.to_string()))?;
        let about = metadata.metadata().as_ref().and_then(|metadata| metadata.get(DESCRIPTION));
        let about = about.map(|text| serde_json::from_str::<Value>(text)).transpose();
        let about = about.map_err(|error| damaged(format!("its {DESCRIPTION} entry is no JSON: {error}")))?;
        let state: Vec<&str> = match about.as_ref().and_then(|about| about[STATE].as_array()) {
            Some(prefixes) => prefixes.iter().filter_map(Value::as_str).filter(|prefix| !prefix.is_empty()).collect(),
            None => vec![STATE_OF_OLD],
        };
        let first = size_of::<u64>() + header;
        let (mut tensors, mut averaged) = (BTreeMap::new(), Vec::new());
        for (name, info) in metadata.tensors() {
            let (start, end) = info.data_offsets;
            let place = Place { dtype: info.dtype, shape: info.shape.clone(), bytes: first + start..first + end };
            if let Some(prefix) = state.iter().find(|prefix| name.starts_with(**prefix)) {
                averaged.extend((*prefix == EMA_PREFIX).then(|| (name[prefix.len()..].to_owned(), place)));
                continue;
            }
            let name = name.strip_prefix(WRAPPER).unwrap_or(&name).to_owned();
            if let Some(place) = tensors.insert(name.clone(), place) {
                return Err(damaged(format!("{name} is there twice, once of shape {:?}", place.shape)));
            }
        }
        // Of a run with a moving average, that is the network.
        tensors.extend(averaged);
        let arch = about.as_ref().and_then(|about| about["arch"].as_str()).map(str::to_owned);
        let classes: Option<Vec<String>> = match about.as_ref().map(|about| &about["classes"]) {
            None | Some(Value::Null) => None,
            Some(classes) => Some(
                serde_json::from_value(classes.clone())
                    .map_err(|error| damaged(format!("its classes are no list of names: {error}")))?,
            ),
        };
        let file = WeightFile { path: path.to_owned(), bytes, tensors, arch, classes };
        match (&file.classes, file.class_count()) {
            (Some(names), Some(rows)) if names.len() != rows => {
                Err(damaged(format!("it names {} classes and has a classifier of {rows}", names.len())))
            }
            _ => Ok(file),
        }
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of the classes by label, if the file has them.
    pub fn classes(&self) -> Option<&[String]> {
        self.classes.as_deref()
    }

    /// The number of classes of the file's classifier, if it has one.
    pub fn class_count(&self) -> Option<usize> {
        self.tensors.get("fc.weight").and_then(|place| place.shape.first().copied())
    }

    /// The network in the file: the one that the file names, else `told`.
    ///
    /// # Errors
    /// [`WeightsError::ArchNeeded`] if neither is known. [`WeightsError::OtherNetwork`] if they
    /// differ. [`WeightsError::Damaged`] if the file names a network that this program does not
    /// know.
    pub fn arch(&self, told: Option<Arch>) -> Result<Arch, WeightsError> {
        match (self.named()?, told) {
            (None, Some(told)) => Ok(told),
            (None, None) => {
                let hint = match self.fits() {
                    Some(arch) => format!("give --arch {arch}, which fits"),
                    None => "none of the networks of --arch fits it".to_owned(),
                };
                Err(WeightsError::ArchNeeded { path: self.path.clone(), hint })
            }
            (Some(arch), Some(told)) if arch != told => Err(self.named_otherwise(arch, told)),
            (Some(arch), _) => Ok(arch),
        }
    }

    /// Checks that `arch` may start from the values in the file, if the file names its network. The
    /// named network may have BlurPool in other places, since BlurPool has no parameters.
    ///
    /// # Errors
    /// [`WeightsError::OtherNetwork`], [`WeightsError::Damaged`], as [`arch`](Self::arch).
    pub fn check_start(&self, arch: Arch) -> Result<(), WeightsError> {
        match self.named()? {
            Some(named) if named.with_blur_pool(arch.blur_pool()) != arch => Err(self.named_otherwise(named, arch)),
            _ => Ok(()),
        }
    }

    /// The network that the file names.
    fn named(&self) -> Result<Option<Arch>, WeightsError> {
        self.arch.as_ref().map(|name| name.parse()).transpose().map_err(|known: String| {
            let reason = format!("its network: {known}");
            WeightsError::Damaged { path: self.path.clone(), reason }
        })
    }

    fn named_otherwise(&self, named: Arch, told: Arch) -> WeightsError {
        let mut hint = format!("give --arch {named}");
        if named.with_blur_pool(told.blur_pool()) == told {
            hint += &format!(", which train calls -o network.blurpool={}", named.blur_pool());
        }
        self.other(told, format!("a file that says it is a {named}"), hint)
    }

    /// Checks that the file has every tensor of a network with the right shape, and nothing else.
    /// With [`Head::Replace`], the classifier does not matter.
    ///
    /// # Errors
    /// [`WeightsError::OtherNetwork`], [`WeightsError::OtherClasses`].
    pub fn check(&self, arch: Arch, classes: usize, head: Head) -> Result<(), WeightsError> {
        let network = arch.network(classes);
        let Some(got) = self.misfit(&network) else {
            return match (head, self.class_count()) {
                (Head::Keep, Some(got)) if got != classes => {
                    Err(WeightsError::OtherClasses { path: self.path.clone(), expected: classes, got })
                }
                (Head::Keep, _) => match self.misfit_of(&network, |entry| entry.name.starts_with(HEAD)) {
                    Some(got) => Err(self.other(arch, got, self.hint())),
                    None => Ok(()),
                },
                (Head::Replace, _) => Ok(()),
            };
        };
        Err(self.other(arch, got, self.hint()))
    }

    /// Copies the network into a model of the same network, after [`check`](Self::check)ing the
    /// file.
    ///
    /// # Errors
    /// Those of [`check`](Self::check); [`WeightsError::Damaged`] for numbers that are not finite;
    /// [`WeightsError::Program`].
    pub fn load(&self, model: &mut Model, arch: Arch, head: Head) -> Result<(), WeightsError> {
        self.check(arch, model.network().classes(), head)?;
        let entries: Vec<Entry> =
            model.parameters().entries().iter().chain(model.statistics().entries()).cloned().collect();
        for entry in entries.iter().filter(|entry| head == Head::Keep || !entry.name.starts_with(HEAD)) {
            let values = self.values(&entry.name)?;
            if let Some(got) = values.iter().find(|value| !value.is_finite()) {
                let reason = format!("expected finite numbers in {}, got {got}", entry.name);
                return Err(WeightsError::Damaged { path: self.path.clone(), reason });
            }
            model.set(&entry.name, &values)?;
        }
        Ok(())
    }

    /// The values of a tensor as fp32, row-major.
    ///
    /// # Errors
    /// [`WeightsError::Damaged`] if the tensor is missing, or holds no floating-point numbers.
    pub fn values(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let values = self.tensors.get(name).and_then(|place| {
            let bytes = &self.bytes[place.bytes.clone()];
            Some(match place.dtype {
                Dtype::F32 => numbers(bytes, f32::from_le_bytes),
                Dtype::F16 => numbers(bytes, |bytes| f16::from_le_bytes(bytes).to_f32()),
                Dtype::BF16 => numbers(bytes, |bytes| bf16::from_le_bytes(bytes).to_f32()),
                Dtype::F64 => numbers(bytes, |bytes| f64::from_le_bytes(bytes) as f32),
                _ => return None,
            })
        });
        values.ok_or_else(|| WeightsError::Damaged {
            path: self.path.clone(),
            reason: format!("expected floating-point numbers named {name}"),
        })
    }

    /// Writes only the network, as fp32, to a sealed file. The file is like one that
    /// [`save_parameters`](crate::save_parameters) writes from a model.
    ///
    /// # Errors
    /// Those of [`check`](Self::check), and [`WeightsError::Write`].
    pub fn export(&self, out: &Path, arch: Arch, classes: &[String]) -> Result<(), WeightsError> {
        self.check(arch, classes.len(), Head::Keep)?;
        let network = arch.network(classes.len());
        let mut tensors = Vec::new();
        for entry in entries(&network) {
            if let Some(layer) = entry.name.strip_suffix("running_mean") {
                let name = format!("{layer}{COUNT}");
                tensors.push((name.clone(), Stored::count(self.count(&name))));
            }
            tensors.push((entry.name.clone(), Stored::f32(entry.shape.extents(), &self.values(&entry.name)?)));
        }
        write_sealed(out, tensors, description(&arch.to_string(), classes))
            .map_err(|cause| WeightsError::Write { path: out.to_owned(), cause })
    }

    /// The number of steps that a batch normalisation has seen; 0 if the file does not say.
    fn count(&self, name: &str) -> u64 {
        let place = self.tensors.get(name).filter(|place| place.dtype == Dtype::I64);
        let bytes = place.and_then(|place| self.bytes[place.bytes.clone()].first_chunk());
        bytes.map_or(0, |bytes| i64::from_le_bytes(*bytes).max(0) as u64)
    }

    /// The first difference between the file and a network, not counting the classifier.
    fn misfit(&self, network: &Network) -> Option<String> {
        let known: Vec<Entry> = entries(network).collect();
        let unknown = || {
            let foreign = |name: &&String| !name.ends_with(COUNT) && !known.iter().any(|entry| entry.name == **name);
            self.tensors.keys().find(foreign).map(|name| format!("a file with {name}, which it does not have"))
        };
        self.misfit_of(network, |entry| !entry.name.starts_with(HEAD)).or_else(unknown)
    }

    fn misfit_of(&self, network: &Network, of: impl Fn(&Entry) -> bool) -> Option<String> {
        entries(network).filter(of).find_map(|entry| {
            let Some(place) = self.tensors.get(&entry.name) else {
                return Some(format!("a file without {}", entry.name));
            };
            if place.shape != entry.shape.extents() {
                let (name, shape) = (&entry.name, entry.shape.extents());
                return Some(format!("{name} of shape {:?} where {shape:?} belongs", place.shape));
            }
            let floats = matches!(place.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16 | Dtype::F64);
            (!floats).then(|| format!("{} of type {:?} where F32, F16, BF16 or F64 belongs", entry.name, place.dtype))
        })
    }

    /// The network that the file holds, judged without the classifier.
    fn fits(&self) -> Option<Arch> {
        Arch::all().flat_map(Arch::forms).find(|arch| self.misfit(&arch.network(1)).is_none())
    }

    fn hint(&self) -> String {
        match self.fits() {
            Some(arch) => format!("--arch {arch} fits it"),
            None => "none of the networks of --arch fits it".to_owned(),
        }
    }

    fn other(&self, expected: Arch, got: String, hint: String) -> WeightsError {
        WeightsError::OtherNetwork { path: self.path.clone(), expected, got, hint }
    }
}

fn entries(network: &Network) -> impl Iterator<Item = Entry> {
    let tables = [ParameterTable::parameters(network), ParameterTable::statistics(network)];
    tables.into_iter().flat_map(|table| table.entries().to_vec())
}

fn numbers<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|&chunk| number(chunk)).collect()
}

/// A description of the file, if its first bytes are those of another format that people name by
/// mistake.
fn other_format(bytes: &[u8]) -> Option<String> {
    const CONVERT: &str = "convert it with safetensors.torch.save_file(torch.load(FILE, weights_only=True), OUT)";
    if bytes.is_empty() {
        Some("an empty file: take another copy of it".to_owned())
    } else if bytes.starts_with(b"PK\x03\x04") {
        Some(format!("a zip file, such as PyTorch's .pth: {CONVERT}"))
    } else if bytes.starts_with(b"\x80\x02") && bytes.get(8) != Some(&b'{') {
        Some(format!("a pickle, such as PyTorch's old .pth: {CONVERT}"))
    } else if bytes.len() > 8 && bytes[8] != b'{' {
        Some("something else (its header does not start with `{`): name a safetensors file".to_owned())
    } else {
        None
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
