//! The odd files of other projects' test suites, against Pillow: the same are refused, the others have the same pixels.
//!
//! `cargo xtask golden` has Pillow make the goldens (`scripts/golden/odd.py` explains them). Without them, the files
//! still must not make the decoder panic.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use in18_jpeg::{Crop, Decoder, Error, Orientation, Rgb8Image, header};

/// Pillow's verdict on a file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// It has the pixels of this PNG, and turned upright those of that one.
    Pixels(PathBuf, PathBuf),
    /// It is refused.
    Refused,
}

/// Files that end differently here than in Pillow, and why. None is known.
const EXCEPTIONS: [(&str, &str); 0] = [];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The odd files, by name, if they are there.
fn files() -> Option<BTreeMap<String, Vec<u8>>> {
    let folder = root().join("../shared/data/odd");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: no folder {}", folder.display());
        return None;
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    Some(paths.map(|p| (p.file_name().unwrap().display().to_string(), std::fs::read(&p).unwrap())).collect())
}

/// Pillow's verdicts, by the name of the file, if they were made.
fn verdicts() -> Option<BTreeMap<String, Verdict>> {
    let folder = root().join("target/golden/odd");
    let Ok(lines) = std::fs::read_to_string(folder.join("verdicts.tsv")) else {
        eprintln!("skipped: no goldens in {}; scripts/golden/odd.py makes them", folder.display());
        return None;
    };
    let verdicts = lines.lines().map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        let verdict = match fields[1] {
            "ok" => Verdict::Pixels(folder.join(fields[2]), folder.join(fields[3])),
            "refused" => Verdict::Refused,
            other => panic!("unknown verdict {other}"),
        };
        (fields[0].to_owned(), verdict)
    });
    Some(verdicts.collect())
}

fn decode(bytes: &[u8]) -> Result<Rgb8Image, Error> {
    let mut image = Rgb8Image::new();
    Decoder::new().decode(bytes, &mut image).map(|()| image)
}

#[test]
fn odd_files_decode_or_are_refused() {
    let Some(files) = files() else { return };
    for (name, bytes) in files {
        match catch_unwind(AssertUnwindSafe(|| decode(&bytes))) {
            Ok(Ok(image)) => assert_eq!(header(&bytes), Ok(image.size()), "{name}"),
            Ok(Err(error)) => assert!(!error.to_string().contains('\n'), "{name}: {error}"),
            Err(_) => panic!("{name} panics"),
        }
    }
}

#[test]
fn odd_files_are_pillows() {
    let (Some(files), Some(verdicts)) = (files(), verdicts()) else { return };
    let (mut equal, mut refused, mut turned, mut different) = (0, 0, 0, BTreeMap::new());
    for (name, bytes) in &files {
        let verdict = verdicts.get(name).unwrap_or_else(|| panic!("{name} has no golden; make them again"));
        match (decode(bytes), verdict) {
            (Err(_), Verdict::Refused) => refused += 1,
            (Ok(image), Verdict::Pixels(golden, upright)) => {
                turned += usize::from(golden != upright);
                let (orientation, mut turned) = (Orientation::of(bytes), Rgb8Image::new());
                orientation.turn(&image, Crop::whole(image.size()), &mut turned);
                let golden = decode(&std::fs::read(golden).unwrap()).unwrap();
                if image == golden && turned != decode(&std::fs::read(upright).unwrap()).unwrap() {
                    different.insert(name.as_str(), format!("turned otherwise, by {orientation:?}"));
                } else if image == golden {
                    equal += 1;
                } else if image.size() == golden.size() {
                    let differences = image.pixels().iter().zip(golden.pixels()).map(|(a, b)| a.abs_diff(*b));
                    let count = differences.clone().filter(|&d| d > 0).count();
                    let most = differences.max().unwrap_or(0);
                    different.insert(name.as_str(), format!("{count} values differ, by up to {most}"));
                } else {
                    different.insert(name, format!("{} instead of {}", image.size(), golden.size()));
                }
            }
            (Ok(_), Verdict::Refused) => drop(different.insert(name, "decoded, where Pillow refuses".to_owned())),
            (Err(error), Verdict::Pixels(..)) => drop(different.insert(name, format!("refused: {error}"))),
        }
    }
    assert!(turned >= 20, "{turned} files are not upright: make the goldens again");
    eprintln!(
        "{} odd files: {equal} equal, {turned} turned upright, {refused} refused as by Pillow, {} differ",
        files.len(),
        different.len()
    );
    let expected: Vec<&str> = EXCEPTIONS.iter().map(|&(name, _)| name).collect();
    assert!(different.keys().copied().eq(expected), "{different:#?}");
}
