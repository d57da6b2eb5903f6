//! One checkpoint as a file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use in18_program::{Entry, Model, ModelState, Network, PARAMETERS, Role, STATISTICS, Slot, StateTables};
use in18_record::Marks;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{CheckpointError, TrainError};
use crate::progress::Progress;
use in18_weights::checksum::{self, PLACEHOLDER};
use in18_weights::{DESCRIPTION, STATE, Stored, write_sealed};

/// The version of the format. A reader refuses other versions.
pub const VERSION: u32 = 1;

/// Everything of a checkpoint but its tensors.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct About {
    /// Such as `resnet50`.
    pub arch: String,
    /// Names of the classes, by label.
    pub classes: Vec<String>,
    /// The checksum of the whole file. Its digits are filled in when the file is written.
    pub checksum: String,
    /// The format's [`VERSION`].
    pub version: u32,
    /// What the run is; see [`identity`](mod@crate::identity).
    pub identity: Value,
    /// How far the run has come.
    pub progress: Progress,
    /// How long the run's logs were.
    pub marks: Marks,
}

impl About {
    /// What a checkpoint of a run says at a place in the run.
    pub(crate) fn new(identity: Value, arch: &str, classes: &[String], progress: Progress, marks: Marks) -> Self {
        let (arch, classes, checksum) = (arch.to_owned(), classes.to_vec(), PLACEHOLDER.to_owned());
        About { arch, classes, checksum, version: VERSION, identity, progress, marks }
    }
}

/// The slots of a model's state, with the names and places of their entries.
#[derive(Clone, Debug)]
pub struct Tables {
    tables: StateTables,
    slots: Vec<Slot>,
}

impl Tables {
    /// The slots of a model.
    pub fn of(model: &Model) -> Self {
        Tables { tables: StateTables::of(model.network()), slots: model.slots() }
    }

    /// The slots of a network without an optimizer. When a file is read, all other slots in it are
    /// left out.
    pub fn of_network(network: &Network) -> Self {
        Tables { tables: StateTables::of(network), slots: vec![PARAMETERS, STATISTICS] }
    }

    /// The entries of a slot, with the names that their tensors have in a file.
    fn tensors(&self, slot: Slot) -> impl Iterator<Item = (String, &Entry)> {
        self.tables.table(slot).entries().iter().map(move |entry| (format!("{}{}", slot.prefix, entry.name), entry))
    }

    /// A state of the right lengths, all zeros.
    fn zeros(&self) -> ModelState {
        ModelState::zeros(&self.tables, &self.slots)
    }
}

/// A checkpoint in memory.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Its file.
    pub path: PathBuf,
    /// All but the tensors.
    pub about: About,
    /// The tensors.
    pub state: ModelState,
}

impl Checkpoint {
    /// Writes a checkpoint under a temporary name, with its checksum, syncs the file and renames
    /// it. Needs no memory for another copy of `state`.
    ///
    /// # Errors
    /// [`TrainError::Write`]. An earlier file of this name is then still there.
    pub(crate) fn write(path: &Path, tables: &Tables, about: &About, state: &ModelState) -> Result<(), TrainError> {
        let failed = |cause| TrainError::Write { path: path.to_owned(), cause };
        let mut tensors: Vec<(String, Stored<'_>)> = Vec::new();
        for (slot, buffer) in &state.slots {
            for (name, entry) in tables.tensors(*slot) {
                let bytes = (&buffer[entry.offset..entry.offset + entry.bytes()]).into();
                if let (true, Role::RunningMean, Some(layer)) =
                    (slot.prefix.is_empty(), entry.role, name.strip_suffix("running_mean"))
                {
                    tensors.push((format!("{layer}num_batches_tracked"), Stored::count(about.progress.steps)));
                }
                tensors.push((name, Stored { dtype: Dtype::F32, shape: entry.shape.extents().to_vec(), bytes }));
            }
        }
        let prefixes: Vec<&str> =
            tables.slots.iter().map(|slot| slot.prefix).filter(|prefix| !prefix.is_empty()).collect();
        let about = match serde_json::to_value(about) {
            Ok(Value::Object(mut about)) => {
                about.insert(STATE.to_owned(), prefixes.into());
                about
            }
            Ok(other) => return Err(failed(io::Error::other(format!("expected an object, got {other}")))),
            Err(error) => return Err(failed(error.into())),
        };
        write_sealed(path, tensors, about).map_err(failed)
    }

    /// Reads a checkpoint of a network with the same tables.
    ///
    /// # Errors
    /// [`CheckpointError`], unless the file was written whole for such a network.
    pub fn read(path: &Path, tables: &Tables) -> Result<Self, CheckpointError> {
        let bytes = fs::read(path).map_err(|cause| CheckpointError::Unreadable { path: path.to_owned(), cause })?;
        Self::parse(path, &bytes, tables)
    }

    /// Like [`read`](Self::read), from bytes. `path` is only for messages.
    ///
    /// # Errors
    /// As those of [`read`](Self::read).
    pub fn parse(path: &Path, bytes: &[u8], tables: &Tables) -> Result<Self, CheckpointError> {
        let damaged = |reason: String| CheckpointError::Damaged { path: path.to_owned(), reason };
        checksum::verify(bytes).map_err(&damaged)?;
        let file = SafeTensors::deserialize(bytes).map_err(|error| damaged(error.to_string()))?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| damaged(error.to_string()))?;
        let about = header.metadata().as_ref().and_then(|metadata| metadata.get(DESCRIPTION));
        let other = |got: String| CheckpointError::NotACheckpoint { path: path.to_owned(), got };
        let about = about.ok_or_else(|| other("a safetensors file of another program".to_owned()))?;
        let about: Value = serde_json::from_str(about).map_err(|error| damaged(error.to_string()))?;
        match about.get("version").and_then(Value::as_u64) {
            None => return Err(other("a network without its training's state".to_owned())),
            Some(version) if version != u64::from(VERSION) => {
                return Err(CheckpointError::Version { path: path.to_owned(), got: version });
            }
            Some(_) => {}
        }
        let about: About = serde_json::from_value(about).map_err(|error| damaged(error.to_string()))?;
        let mut state = tables.zeros();
        for (slot, buffer) in &mut state.slots {
            for (name, entry) in tables.tensors(*slot) {
                let network = |got: String| CheckpointError::Network {
                    path: path.to_owned(),
                    expected: format!("{name} of shape {:?}", entry.shape.extents()),
                    got,
                };
                let tensor = file.tensor(&name).map_err(|_| network(format!("a {} without it", about.arch)))?;
                if tensor.dtype() != Dtype::F32 || tensor.shape() != entry.shape.extents() {
                    let (dtype, shape) = (tensor.dtype(), tensor.shape());
                    return Err(network(format!("{dtype:?} of shape {shape:?} in a {}", about.arch)));
                }
                buffer[entry.offset..entry.offset + entry.bytes()].copy_from_slice(tensor.data());
            }
        }
        Ok(Checkpoint { path: path.to_owned(), about, state })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use in18_program::{Arch, Layout};
    use serde_json::json;

    /// As in training: with a slot beside the network's own.
    fn tables(classes: usize) -> Tables {
        let velocity = Slot { name: "velocity", layout: Layout::Parameters, prefix: "momentum_buffer." };
        let mut tables = Tables::of_network(&Arch::RESNET18.network(classes));
        tables.slots.push(velocity);
        tables
    }

    fn written(folder: &Path) -> (PathBuf, About, ModelState) {
        let tables = tables(3);
        let mut state = tables.zeros();
        for (_, buffer) in &mut state.slots {
            // Only bytes inside entries are stored. Padding stays zero.
            buffer.iter_mut().step_by(4096).enumerate().for_each(|(index, byte)| *byte = index as u8);
        }
        let progress = Progress { epoch: 2, step: 3, seconds: 0.1 + 0.2, ..Progress::default() };
        let classes: Vec<String> = ["a", "b", "ç\"\n"].map(str::to_owned).to_vec();
        let about = About::new(json!({"seed": 1}), "resnet18", &classes, progress, Marks::default());
        let path = folder.join("step.safetensors");
        Checkpoint::write(&path, &tables, &about, &state).unwrap();
        (path, about, state)
    }

    #[test]
    fn what_is_written_is_read_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let (path, about, state) = written(folder.path());
        let read = Checkpoint::read(&path, &tables(3)).unwrap();
        assert!(read.state == state);
        assert_eq!((read.about.classes, read.about.progress), (about.classes, about.progress));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn damage_is_found_wherever_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (path, ..) = written(folder.path());
        let whole = fs::read(&path).unwrap();
        let tables = tables(3);
        let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
        let checksum = whole.windows(7).position(|window| window == b"sha256:").unwrap();
        let places = [0, 7, 8, 20, checksum, checksum + 10, header - 1, header, whole.len() / 2, whole.len() - 1];
        for (place, bit) in places.into_iter().flat_map(|place| [0, 3, 7].map(|bit| (place, bit))) {
            let mut bytes = whole.clone();
            bytes[place] ^= 1 << bit;
            let error =
                Checkpoint::parse(&path, &bytes, &tables).map(|_| ()).expect_err(&format!("byte {place}, bit {bit}"));
            assert!(error.to_string().starts_with(path.to_str().unwrap()), "{error}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
        for length in [0, 1, 7, 8, 100, header, whole.len() - 1] {
            Checkpoint::parse(&path, &whole[..length], &tables).map(|_| ()).expect_err("cut short");
        }
        let longer = [whole.as_slice(), b"x"].concat();
        Checkpoint::parse(&path, &longer, &tables).map(|_| ()).expect_err("with a tail");
    }

    #[test]
    fn hostile_headers_are_refused() {
        let path = Path::new("hostile.safetensors");
        let file = |length: u64, header: &str| [&length.to_le_bytes(), header.as_bytes()].concat();
        let tensor = |shape: &str, offsets: &str| {
            let header = format!(r#"{{"x":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#);
            file(header.len() as u64, &header)
        };
        for bytes in [
            file(u64::MAX, "{}"),
            file(1 << 40, "{}"),
            file(2, "[]"),
            tensor("[18446744073709551615,18446744073709551615]", "[0,4]"),
            tensor("[4611686018427387904]", "[0,18446744073709551615]"),
            tensor("[1]", "[4,0]"),
        ] {
            let error = Checkpoint::parse(path, &bytes, &tables(3)).map(|_| ()).expect_err("hostile");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }

    #[test]
    fn another_network_class_count_or_version_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (path, mut about, state) = written(folder.path());
        let says = |tables: &Tables| Checkpoint::read(&path, tables).map(|_| ()).unwrap_err().to_string();
        assert!(says(&tables(4)).contains("fc.weight of shape [4, 512]"), "{}", says(&tables(4)));
        let larger = Tables::of_network(&Arch::RESNET50.network(3));
        assert!(says(&larger).contains("resnet18"), "{}", says(&larger));
        about.version = 2;
        Checkpoint::write(&path, &tables(3), &about, &state).unwrap();
        assert!(says(&tables(3)).contains("version 2"), "{}", says(&tables(3)));
    }
}
