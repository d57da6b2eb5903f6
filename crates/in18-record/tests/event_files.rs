//! Files: written and read back, cut, damaged, of several sessions.

use in18_record::event_files::{EventError, EventWriter, Scalar, read_file, read_scalars};
use proptest::prelude::*;
use std::fs;
use std::path::Path;

fn write(path: &Path, start: Option<u64>, steps: &[(u64, f64)]) {
    let mut events = EventWriter::new(fs::File::create(path).unwrap(), 1000.0).unwrap();
    if let Some(step) = start {
        events.restart(1001.0, step).unwrap();
    }
    for &(step, value) in steps {
        events.scalars(1000.5 + step as f64, step, &[("losses/xent", value), ("sizes/lr", 0.5)]).unwrap();
    }
    events.flush().unwrap();
    assert_eq!(events.length(), fs::metadata(path).unwrap().len());
}

fn losses(path: &Path) -> Vec<(i64, f64)> {
    let scalars = read_scalars(path).unwrap().all;
    scalars.into_iter().filter(|scalar| scalar.tag == "losses/xent").map(|s| (s.step, s.value)).collect()
}

#[test]
fn what_is_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.out.tfevents.1");
    write(&path, None, &[(0, 2.5), (64, f64::NAN), (128, f64::INFINITY)]);
    let read = read_file(&path).unwrap();
    assert!(!read.is_partial);
    let expected = Scalar { tag: "losses/xent".into(), step: 0, wall_time: 1000.5, value: 2.5 };
    assert_eq!((read.scalars.len(), &read.scalars[0]), (6, &expected));
    assert!(read.scalars[2].value.is_nan() && read.scalars[4].value.is_infinite());
}

#[test]
fn a_cut_file_gives_its_whole_records() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.out.tfevents.1");
    write(&path, None, &[(0, 2.5), (64, 2.0)]);
    let whole = fs::read(&path).unwrap();
    let mut seen = Vec::new();
    for length in 0..=whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        seen.push(losses(&path).len());
    }
    assert!(seen.is_sorted() && seen[0] == 0 && *seen.last().unwrap() == 2 && seen[whole.len() - 1] == 1, "{seen:?}");
}

#[test]
fn damage_is_named_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.out.tfevents.1");
    write(&path, None, &[(0, 2.5), (64, 2.0)]);
    let mut bytes = fs::read(&path).unwrap();
    // Within the first record of scalars, which follows the version's 40 bytes.
    bytes[60] ^= 1;
    fs::write(&path, bytes).unwrap();
    let error = read_scalars(folder.path()).unwrap_err();
    assert!(matches!(error, EventError::Damaged { offset: 40, .. }), "{error}");
    assert!(error.to_string().starts_with(path.to_str().unwrap()), "{error}");
}

#[test]
fn a_later_session_replaces_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("events.out.tfevents.1.host.0"), None, &[(0, 4.0), (64, 3.0), (128, 9.0)]);
    write(&folder.path().join("events.out.tfevents.2.host.0"), Some(128), &[(128, 2.0), (192, 1.0)]);
    fs::write(folder.path().join("event.log"), "no events").unwrap();
    assert_eq!(losses(folder.path()), [(0, 4.0), (64, 3.0), (128, 2.0), (192, 1.0)]);
}

#[test]
fn a_folder_without_events_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for (path, says) in [(folder.path().to_owned(), "got none"), (folder.path().join("none"), "No such file")] {
        let error = read_scalars(&path).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("--events") && !error.contains('\n'), "{error}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0..200usize, flip in 1u8..) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.out.tfevents.1");
        fs::write(&path, &bytes).unwrap();
        drop(read_file(&path));
        write(&path, Some(3), &[(0, 2.5), (64, 2.0)]);
        let mut whole = fs::read(&path).unwrap();
        whole[at % 150] ^= flip;
        fs::write(&path, whole).unwrap();
        prop_assert!(read_file(&path).is_err());
    }
}
