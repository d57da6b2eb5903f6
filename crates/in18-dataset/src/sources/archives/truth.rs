//! Labels that lie beside the images, not among them: ImageNet's validation images come without.
//!
//! These lists are read:
//! * the development kit of ILSVRC2012, packed, or two files of it:
//!   `ILSVRC2012_validation_ground_truth.txt`, numbers by the kit's own count, and `meta.mat`,
//!   which gives the synset of each number;
//! * `LOC_val_solution.csv`, as Kaggle hands it out;
//! * lists of synsets, one a line, in the order of the images or behind the images' names.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use super::labels::Label;
use super::mat::synsets;
use crate::error::Error;

/// What such lists are called where the user names none.
const KNOWN: [&str; 4] = [
    "ILSVRC2012_devkit_t12.tar.gz",
    "ILSVRC2012_validation_ground_truth.txt",
    "LOC_val_solution.csv",
    "imagenet_2012_validation_synset_labels.txt",
];
const NUMBERS: &str = "ILSVRC2012_validation_ground_truth.txt";
const META: &str = "meta.mat";
/// The kit's two files together have a few hundred kilobytes.
const MAX_BYTES: u64 = 1 << 26;

/// Labels of images by name.
#[derive(Debug)]
pub(super) struct Truth {
    path: PathBuf,
    labels: Labels,
}

#[derive(Debug)]
enum Labels {
    /// By the image's name without folders and ending.
    Named(HashMap<String, String>),
    /// By the number at the end of the image's name, from 1.
    Numbered(Vec<String>),
}

impl Truth {
    /// Reads the list `given`, or one that lies in the folder of the images.
    pub(super) fn find(folder: &Path, given: Option<&Path>) -> Result<Option<Self>, Error> {
        let known = || KNOWN.iter().map(|name| folder.join(name)).find(|path| path.is_file());
        let Some(path) = given.map(Path::to_owned).or_else(known) else { return Ok(None) };
        let labels = read(&path).map_err(|error| match error {
            Failure::Read(source) => Error::Unreadable { path: path.clone(), source },
            Failure::Content(expected, got) => Error::Archive { path: path.clone(), expected, got },
        })?;
        Ok(Some(Self { path, labels }))
    }

    /// Whether a list lies in the folder of the images.
    pub(super) fn is_beside(folder: &Path) -> bool {
        KNOWN.iter().any(|name| folder.join(name).is_file())
    }

    /// The label of the image of this name.
    pub(super) fn label(&self, name: &str) -> Result<Label, Error> {
        let file = name.rsplit('/').next().unwrap_or(name);
        let stem = file.split('.').next().unwrap_or(file);
        let found = match &self.labels {
            Labels::Named(labels) => labels.get(stem),
            Labels::Numbered(labels) => {
                let digits = stem.rfind(|c: char| !c.is_ascii_digit()).map_or(stem, |at| &stem[at..][1..]);
                let number = digits.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
                number.and_then(|number| labels.get(number))
            }
        };
        match found {
            Some(class) => Ok(Label::Class(class.clone())),
            None => Err(Error::Archive {
                path: self.path.clone(),
                expected: "a label for every image",
                got: format!("none for {name}"),
            }),
        }
    }
}

enum Failure {
    Read(io::Error),
    /// What was expected and what came.
    Content(&'static str, String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

fn read(path: &Path) -> Result<Labels, Failure> {
    if path.extension().is_some_and(|ending| ending == "gz") {
        let (mut numbers, mut meta) = (None, None);
        let mut kit = tar::Archive::new(GzDecoder::new(fs::File::open(path)?));
        for entry in kit.entries()? {
            let entry = entry?;
            let place = match entry.path()?.file_name().and_then(|name| name.to_str()) {
                Some(NUMBERS) => &mut numbers,
                Some(META) => &mut meta,
                _ => continue,
            };
            let mut bytes = Vec::new();
            entry.take(MAX_BYTES).read_to_end(&mut bytes)?;
            *place = Some(bytes);
        }
        return match (numbers, meta) {
            (Some(numbers), Some(meta)) => labels(&text(numbers)?, || Ok(meta)),
            _ => Err(Failure::Content("a kit that holds the ground truth and meta.mat", "one without them".to_owned())),
        };
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    labels(&text(bytes)?, || {
        let meta = path.with_file_name(META);
        fs::read(&meta).map_err(|error| {
            let got = format!("numbers and no {}: {error}", meta.display());
            Failure::Content("synsets, or the kit's meta.mat beside its numbers", got)
        })
    })
}

fn text(bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|_| Failure::Content("text", "bytes that are no UTF-8".to_owned()))
}

/// Reads a list; `meta` is asked for the kit's where there are only numbers.
fn labels(text: &str, meta: impl FnOnce() -> Result<Vec<u8>, Failure>) -> Result<Labels, Failure> {
    const EXPECTED: &str = "a label, or an image and its label, in every line";
    let bad = |number: usize, line: &str| {
        let shown: String = line.chars().take(40).collect();
        Failure::Content(EXPECTED, format!("`{shown}` in line {}", number + 1))
    };
    let is_csv = text.starts_with("ImageId,");
    let rows: Vec<(usize, Vec<&str>)> = text
        .lines()
        .enumerate()
        .skip(usize::from(is_csv))
        .map(|(number, line)| (number, line.split([' ', '\t', ',']).filter(|field| !field.is_empty()).collect()))
        .filter(|(_, fields): &(usize, Vec<&str>)| !fields.is_empty())
        .collect();
    let named = rows.first().is_some_and(|(_, fields)| fields.len() > 1);
    if named {
        let pair = |(number, fields): (usize, Vec<&str>)| match fields[..] {
            // Kaggle's has boxes behind the label.
            [image, label, ..] if is_csv || fields.len() == 2 => {
                let stem = image.rsplit('/').next().unwrap_or(image).split('.').next().unwrap_or(image);
                Ok((stem.to_owned(), label.to_owned()))
            }
            _ => Err(bad(number, &fields.join(" "))),
        };
        return Ok(Labels::Named(rows.into_iter().map(pair).collect::<Result<_, _>>()?));
    }
    let single = |(number, fields): (usize, Vec<&str>)| match fields[..] {
        [label] => Ok(label.to_owned()),
        _ => Err(bad(number, &fields.join(" "))),
    };
    let singles = rows.into_iter().map(single).collect::<Result<Vec<String>, Failure>>()?;
    let Ok(numbers) = singles.iter().map(|label| label.parse::<u32>()).collect::<Result<Vec<u32>, _>>() else {
        return Ok(Labels::Numbered(singles));
    };
    let synsets = synsets(&meta()?)
        .ok_or_else(|| Failure::Content("meta.mat with a table `synsets`", "a file that is none".to_owned()))?;
    let name = |number: u32| match synsets.get(&number) {
        Some(synset) => Ok(synset.clone()),
        None => Err(Failure::Content("numbers that meta.mat has a synset for", number.to_string())),
    };
    Ok(Labels::Numbered(numbers.into_iter().map(name).collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth(text: &str) -> Result<Truth, (&'static str, String)> {
        let no_meta = || Err(Failure::Content("meta.mat", "none".to_owned()));
        match labels(text, no_meta) {
            Ok(labels) => Ok(Truth { path: "list".into(), labels }),
            Err(Failure::Content(expected, got)) => Err((expected, got)),
            Err(Failure::Read(error)) => Err(("", error.to_string())),
        }
    }

    #[test]
    fn lists_of_three_kinds_are_read() {
        let lists = [
            "n03\nn01\n",
            "ImageId,PredictionString\nILSVRC2012_val_00000002,n01 85 1 499 272 n01 1 2 3 4\nILSVRC2012_val_00000001,n03 1 2 3 4\n",
            "val/ILSVRC2012_val_00000001.JPEG n03\r\nILSVRC2012_val_00000002.JPEG\tn01\r\n\n",
        ];
        for list in lists {
            let truth = truth(list).unwrap();
            let label = |name: &str| truth.label(name).map_err(|error| error.to_string());
            assert_eq!(label("ILSVRC2012_val_00000001.JPEG"), Ok(Label::Class("n03".to_owned())), "{list}");
            assert_eq!(label("val/ILSVRC2012_val_00000002.JPEG"), Ok(Label::Class("n01".to_owned())), "{list}");
            for none in ["ILSVRC2012_val_00000003.JPEG", "ILSVRC2012_val_00000000.JPEG", "x.jpg", ""] {
                assert!(label(none).unwrap_err().contains("a label for every image"), "{list}");
            }
        }
    }

    #[test]
    fn what_is_no_list_is_named() {
        assert_eq!(truth("n03\nn01 n02\n").unwrap_err().1, "`n01 n02` in line 2");
        assert_eq!(truth("a n03\nb\n").unwrap_err().1, "`b` in line 2");
        assert_eq!(truth("1\n2\n").unwrap_err(), ("meta.mat", "none".to_owned()));
    }

    #[test]
    fn the_kit_is_read_packed_and_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        let meta = include_bytes!("../../../tests/data/meta.mat");
        let mut kit = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        let files = [
            ("data/ILSVRC2012_validation_ground_truth.txt", &b"3\n1\n"[..]),
            ("data/meta.mat", meta),
            ("readme.txt", b""),
        ];
        for (name, content) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            kit.append_data(&mut header, format!("ILSVRC2012_devkit_t12/{name}"), content).unwrap();
        }
        let kit = kit.into_inner().unwrap().finish().unwrap();
        let label = |truth: Option<Truth>| truth.unwrap().label("ILSVRC2012_val_00000001.JPEG").unwrap();

        assert!(Truth::find(folder.path(), None).unwrap().is_none());
        fs::write(folder.path().join(NUMBERS), "3\n1\n").unwrap();
        let error = Truth::find(folder.path(), None).unwrap_err().to_string();
        assert!(error.contains("meta.mat beside its numbers"), "{error}");
        fs::write(folder.path().join(META), meta).unwrap();
        let unpacked = label(Truth::find(folder.path(), None).unwrap());
        fs::write(folder.path().join(KNOWN[0]), kit).unwrap();
        assert_eq!(label(Truth::find(folder.path(), None).unwrap()), unpacked);
        assert_eq!(unpacked, Label::Class("n02110185".to_owned()));
    }
}
