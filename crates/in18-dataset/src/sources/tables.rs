//! Images in Parquet tables, as Hugging Face's hub has them: a column of files and one of labels.
//!
//! A table can only be read a group of rows at a time, so these sets are for preparing, not for
//! training.

use std::ffi::OsString;
use std::fs::File;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::available_parallelism;

use parquet::basic::Type;
use parquet::column::reader::ColumnReader;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::error::Error;
use crate::printable::printable;
use crate::source::{Candidate, Kind, MAX_CLASSES, OpenOptions, Recognised, Source};

pub(super) const KIND: Kind = Kind { archives: Some(ENDING), recognise };

const ENDING: &str = ".parquet";

/// Names that a column of labels has.
const LABELS: [&str; 4] = ["label", "labels", "fine_label", "cls"];
/// What a group of rows may unpack to: several are in memory at once.
const MAX_GROUP_BYTES: i64 = 1 << 29;
/// Groups of rows that are kept in memory, beside one for each core: threads that read in order are
/// in at most one group for each core.
const KEPT_GROUPS: usize = 2;

/// Tables of images.
#[derive(Debug)]
struct Tables {
    classes: Vec<String>,
    files: Vec<PathBuf>,
    groups: Vec<Group>,
    /// Of every image.
    labels: Vec<u32>,
    kept: Mutex<Vec<(usize, Arc<Unpacked>)>>,
}

/// A group of rows.
#[derive(Debug)]
struct Group {
    file: usize,
    /// Its number in the file.
    number: usize,
    /// The column of images, and the definition level of those that are there.
    column: usize,
    defined: i16,
    /// Its first image.
    first: usize,
}

/// The images of a group, once a thread has read them.
type Unpacked = OnceLock<Result<Vec<Option<ByteArray>>, Unfit>>;

/// Takes folders of tables. Refuses them with [`Error::Sequential`] where images must be read in
/// any order.
fn recognise(candidate: &Candidate<'_>, options: &OpenOptions) -> Recognised {
    let files = candidate.archives(ENDING)?;
    if files.is_empty() {
        return Ok(None);
    }
    if !options.sequential {
        return Err(Error::Sequential { path: candidate.folder().to_owned() });
    }
    Ok(Some(Box::new(Tables::open(candidate.folder(), &files)?)))
}

impl Tables {
    /// Opens the tables `files` of a folder. Reads their labels and no image.
    fn open(folder: &Path, files: &[OsString]) -> Result<Self, Error> {
        let mut tables = Self {
            classes: Vec::new(),
            files: files.iter().map(|file| folder.join(file)).collect(),
            groups: Vec::new(),
            labels: Vec::new(),
            kept: Mutex::new(Vec::new()),
        };
        let mut names = None;
        for file in 0..tables.files.len() {
            let path = tables.files[file].clone();
            let found = tables.add(file);
            let found = found.map_err(|unfit| unfit.at(&path))?;
            names = names.or(found);
        }
        if tables.labels.is_empty() {
            let got = format!("none in {} Parquet files", files.len());
            return Err(Error::Archive { path: folder.to_owned(), expected: "images", got });
        }
        let count = tables.labels.iter().max().map_or(0, |&most| most as usize + 1);
        let names = names.filter(|names| names.len() >= count);
        tables.classes = names.unwrap_or_else(|| (0..count).map(|n| n.to_string()).collect());
        Ok(tables)
    }

    /// Puts an image's bytes in the place of what `bytes` held; or says what the table has instead.
    fn copy(&self, image: usize, bytes: &mut Vec<u8>) -> Result<(), Unfit> {
        let group = self.group(image);
        let unpacked = self.unpacked(group);
        let images = unpacked.get_or_init(|| self.unpack(group)).as_ref().map_err(Unfit::clone)?;
        let found = &images[image - self.groups[group].first];
        let found = found.as_ref().ok_or(Unfit { expected: "an image in every row", got: "none".to_owned() })?;
        bytes.clear();
        bytes.extend_from_slice(found.data());
        Ok(())
    }

    fn group(&self, image: usize) -> usize {
        self.groups.partition_point(|group| group.first <= image).saturating_sub(1)
    }

    /// A place for a group's images that other threads share.
    fn unpacked(&self, group: usize) -> Arc<Unpacked> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.iter().position(|(number, _)| *number == group).map(|at| kept.remove(at).1);
        let most = KEPT_GROUPS + available_parallelism().map_or(1, NonZeroUsize::get);
        if kept.len() == most {
            kept.remove(0);
        }
        // The one that was used last goes last.
        let unpacked = known.unwrap_or_default();
        kept.push((group, Arc::clone(&unpacked)));
        unpacked
    }

    fn unpack(&self, group: usize) -> Result<Vec<Option<ByteArray>>, Unfit> {
        let next = self.groups.get(group + 1).map_or(self.labels.len(), |next| next.first);
        let Group { file, number, column, defined, first } = self.groups[group];
        let reader = SerializedFileReader::new(File::open(&self.files[file])?)?;
        let ColumnReader::ByteArrayColumnReader(mut images) =
            reader.get_row_group(number)?.get_column_reader(column)?
        else {
            return Err(Unfit { expected: "files of images", got: "a column of something else".to_owned() });
        };
        let (mut levels, mut values) = (Vec::new(), Vec::new());
        let rows = next - first;
        let (read, ..) = images.read_records(rows, Some(&mut levels), None, &mut values)?;
        let mut values = values.into_iter();
        // A column that must be there has no levels.
        let levels = if defined == 0 { vec![0; read] } else { levels };
        let images: Vec<Option<ByteArray>> =
            levels.iter().map(|&level| if level == defined { values.next() } else { None }).collect();
        if images.len() == rows {
            return Ok(images);
        }
        Err(Unfit { expected: "as many images as rows", got: format!("{} of {rows}", images.len()) })
    }

    /// Adds a file's groups of rows and labels; gives the classes' names, if it has them.
    fn add(&mut self, file: usize) -> Result<Option<Vec<String>>, Unfit> {
        let reader = SerializedFileReader::new(File::open(&self.files[file])?)?;
        let metadata = reader.metadata();
        let columns: Vec<(String, Type)> = metadata
            .file_metadata()
            .schema_descr()
            .columns()
            .iter()
            .map(|column| (column.path().string(), column.physical_type()))
            .collect();
        let position = |fits: &dyn Fn(&str) -> bool| columns.iter().position(|(path, _)| fits(path));
        let is_image = |path: &str| path == "image" || path == "jpg" || path.ends_with(".bytes");
        let shown = || columns.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>().join(", ");
        let image = position(&is_image).filter(|&at| columns[at].1 == Type::BYTE_ARRAY);
        let image = image.ok_or_else(|| Unfit { expected: "a column image.bytes of files", got: shown() })?;
        let label = position(&|path| LABELS.contains(&path));
        let label = label.ok_or_else(|| Unfit { expected: "a column `label` of numbers", got: shown() })?;
        let defined = metadata.file_metadata().schema_descr().column(image).max_def_level();
        for number in 0..metadata.num_row_groups() {
            let group = metadata.row_group(number);
            let bytes = group.column(image).uncompressed_size();
            if bytes > MAX_GROUP_BYTES {
                let expected = "groups of rows of at most 512 MiB: write the file again with smaller ones";
                return Err(Unfit { expected, got: format!("one of {bytes} bytes") });
            }
            if group.num_rows() <= 0 {
                continue;
            }
            self.groups.push(Group { file, number, column: image, defined, first: self.labels.len() });
            let column = reader.get_row_group(number)?.get_column_reader(label)?;
            self.labels.extend(labels(column, group.num_rows() as usize)?);
        }
        Ok(class_names(metadata))
    }
}

impl Source for Tables {
    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn len(&self) -> usize {
        self.labels.len()
    }

    fn label(&self, image: usize) -> usize {
        self.labels[image] as usize
    }

    /// The table's file and the image's row in it.
    fn push_path(&self, image: usize, path: &mut PathBuf) {
        let group = &self.groups[self.group(image)];
        let first_of_file = self.groups.iter().find(|other| other.file == group.file).map_or(0, |first| first.first);
        path.push(self.files[group.file].file_name().unwrap_or_default());
        path.push(format!("row-{}", image - first_of_file));
    }

    fn read(&self, image: usize, path: &Path, bytes: &mut Vec<u8>) -> Result<(), Error> {
        self.copy(image, bytes).map_err(|unfit| unfit.at(path))
    }

    fn is_sequential(&self) -> bool {
        true
    }
}

/// What a table has, and what it should have.
#[derive(Debug, Clone)]
struct Unfit {
    expected: &'static str,
    got: String,
}

impl Unfit {
    fn at(self, path: &Path) -> Error {
        Error::Archive { path: path.to_owned(), expected: self.expected, got: self.got }
    }
}

impl From<ParquetError> for Unfit {
    fn from(error: ParquetError) -> Self {
        Self { expected: "a Parquet table of images and labels", got: error.to_string() }
    }
}

impl From<std::io::Error> for Unfit {
    fn from(error: std::io::Error) -> Self {
        Self { expected: "to read it", got: error.to_string() }
    }
}

/// Reads a column of labels.
fn labels(column: ColumnReader, rows: usize) -> Result<Vec<u32>, Unfit> {
    let levels = &mut Vec::new();
    let numbers: Vec<i64> = match column {
        ColumnReader::Int64ColumnReader(mut column) => {
            let mut values = Vec::new();
            column.read_records(rows, Some(levels), None, &mut values)?;
            values
        }
        ColumnReader::Int32ColumnReader(mut column) => {
            let mut values = Vec::new();
            column.read_records(rows, Some(levels), None, &mut values)?;
            values.into_iter().map(i64::from).collect()
        }
        _ => return Err(Unfit { expected: "labels that are whole numbers", got: "others".to_owned() }),
    };
    let label = |number: i64| match u32::try_from(number) {
        Ok(label) if label < MAX_CLASSES => Ok(label),
        // The hub's test splits are labelled -1.
        _ => Err(Unfit { expected: "labels from 0 on", got: number.to_string() }),
    };
    if numbers.len() != rows {
        return Err(Unfit { expected: "a label in every row", got: format!("{} in {rows} rows", numbers.len()) });
    }
    numbers.into_iter().map(label).collect()
}

/// The names that Hugging Face's libraries note in a table. Classes of the same name, as two pairs
/// of ImageNet's are, get their numbers added.
fn class_names(metadata: &ParquetMetaData) -> Option<Vec<String>> {
    let pairs = metadata.file_metadata().key_value_metadata()?;
    let noted = pairs.iter().find(|pair| pair.key == "huggingface")?.value.as_ref()?;
    let noted: serde_json::Value = serde_json::from_str(noted).ok()?;
    let features = noted.pointer("/info/features")?;
    let names = LABELS.iter().find_map(|label| features.pointer(&format!("/{label}/names"))?.as_array())?;
    let names: Vec<String> =
        names.iter().map(|name| Some(printable(name.as_str()?.as_bytes()))).collect::<Option<_>>()?;
    let different = |(number, name): (usize, &String)| {
        let is_twice = names.iter().filter(|other| *other == name).count() > 1;
        if is_twice { format!("{name} ({number})") } else { name.clone() }
    };
    Some(names.iter().enumerate().map(different).collect())
}
