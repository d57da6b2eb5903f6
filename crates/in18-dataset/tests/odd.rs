//! Odd and damaged files through every kind of source: each is an image or named, and the verdict
//! does not depend on where its bytes lie. Where Pillow's verdict is known, it is the same.

use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use in18_dataset::{
    DataRoot, Error, Half, ImageReader, ImageSet, OpenOptions, Preparation, PrepareOptions, Prepared, PreparedFormat,
};
use in18_testkit::odd::{Case, sets};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

const THREADS: NonZeroUsize = NonZeroUsize::new(2).unwrap();

/// Which of a set's images are damaged, by number.
fn damaged(set: &ImageSet) -> Vec<usize> {
    let names: Vec<String> = (0..set.len()).map(|image| set.path(image).display().to_string()).collect();
    let found = set.verify(THREADS);
    found
        .iter()
        .map(|error| {
            let said = error.to_string();
            assert!(!said.contains('\n'), "{said}");
            let named = |name: &String| said.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with(':'));
            names.iter().position(named).unwrap_or_else(|| panic!("{said}"))
        })
        .collect()
}

fn tar(members: impl Iterator<Item = (String, Vec<u8>)>) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, name, &content[..]).unwrap();
    }
    archive.into_inner().unwrap()
}

fn table(path: &Path, files: &[Case]) {
    let schema = "message rows { OPTIONAL GROUP image { OPTIONAL BYTE_ARRAY bytes; } OPTIONAL INT64 label; }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, properties).unwrap();
    for rows in files.chunks(50) {
        let mut group = writer.next_row_group().unwrap();
        let images: Vec<ByteArray> = rows.iter().map(|case| case.bytes.clone().into()).collect();
        let mut column = group.next_column().unwrap().unwrap();
        // Behind every group's rows one without an image.
        let levels = [vec![2; rows.len()], vec![0]].concat();
        column.typed::<ByteArrayType>().write_batch(&images, Some(&levels), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let labels = [vec![0; rows.len()], vec![1]].concat();
        column.typed::<Int64Type>().write_batch(&labels, Some(&vec![1; labels.len()]), None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
}

#[test]
fn the_same_files_are_refused_wherever_they_lie() {
    for mut set in sets() {
        // No archive takes an empty file for an image.
        set.cases.retain(|case| !case.bytes.is_empty());
        check(&set.cases, set.least);
    }
}

/// Checks files of which at least `least` are damaged, and at least as many are not.
fn check(files: &[Case], least: usize) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(&path).unwrap();
        path
    };
    let numbered =
        || files.iter().enumerate().map(|(number, case)| (format!("odd/{number:05}.jpg"), case.bytes.clone()));

    let folders = at("folders");
    fs::create_dir(folders.join("odd")).unwrap();
    numbered().for_each(|(name, bytes)| fs::write(folders.join(name), bytes).unwrap());
    let expected = damaged(&ImageSet::open(&folders).unwrap());
    assert!(expected.len() > least && expected.len() < files.len() - least, "{} of {}", expected.len(), files.len());
    for (number, case) in files.iter().enumerate() {
        let is_refused = expected.contains(&number);
        assert_eq!(is_refused, case.is_refused().unwrap_or(is_refused), "{}", case.name);
    }

    fs::write(at("class").join("odd.tar"), tar(numbered())).unwrap();
    fs::write(at("class").join("other.tar"), tar(numbered().take(1))).unwrap();
    let labelled = numbered().flat_map(|(name, bytes)| [(name.replace(".jpg", ".cls"), b"0".to_vec()), (name, bytes)]);
    fs::write(at("samples").join("0.tar"), tar(labelled)).unwrap();
    table(&at("table").join("0.parquet"), files);
    let options = OpenOptions { sequential: true, ..OpenOptions::default() };
    for source in ["class", "samples", "table"] {
        let set = ImageSet::open_with(at(source), &options).unwrap();
        let found = damaged(&set);
        let sizes = set.sizes(THREADS);
        // The other class is a copy of the first file, or rows without one.
        let ours: Vec<usize> = (0..set.len()).filter(|&image| set.label(image) == 0).collect();
        assert_eq!(ours.len(), files.len(), "{source}");
        for (number, image) in ours.iter().enumerate() {
            assert_eq!(found.contains(image), expected.contains(&number), "{source}: {number}");
            assert!(sizes[*image].is_ok() || expected.contains(&number), "{source}: {number}");
        }

        // Prepared, the others are left, and all of them decode.
        let to = DataRoot::new(folder.path().join(format!("{source}-prepared")));
        let sizes = vec!["24".parse().unwrap(), "full".parse().unwrap()];
        let format = PreparedFormat::Shards(NonZeroUsize::new(40).unwrap());
        let preparation =
            Preparation::new(&set, &to, Half::Train, PrepareOptions { sizes, quality: 80, format }).unwrap();
        let mut bad = 0;
        preparation
            .run(THREADS, &mut |prepared| {
                bad += usize::from(matches!(prepared, Prepared::Bad(_)));
                true
            })
            .unwrap();
        for suffix in ["", "-sz/24"] {
            let prepared = ImageSet::open(to.train(suffix).unwrap()).unwrap();
            assert_eq!(prepared.len() + bad, set.len(), "{source}");
            assert!(damaged(&prepared).is_empty(), "{source}");
        }
        assert!(matches!(ImageSet::open(at("table")), Err(Error::Sequential { .. })));
    }
}

#[test]
fn a_disk_that_fails_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("class")).unwrap();
    // A regular file whose first byte cannot be read: EIO.
    symlink("/proc/self/mem", folder.path().join("class/a.jpg")).unwrap();
    fs::write(folder.path().join("class/b.jpg"), b"").unwrap();
    let set = ImageSet::open(folder.path()).unwrap();
    let mut reader = ImageReader::default();
    let said = reader.read(&set, 0).unwrap_err().to_string();
    assert!(said.ends_with("class/a.jpg: expected to read it, got: Input/output error (os error 5)"), "{said}");
    assert!(reader.read(&set, 1).unwrap().is_empty());
    assert_eq!(damaged(&set), [0, 1]);
}
