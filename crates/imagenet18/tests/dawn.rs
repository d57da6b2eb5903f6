//! `dawn` on event files of a run, and of other programs.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use in18_record::event_files::EventWriter;

fn dawn(arguments: &[&str], events: &Path) -> assert_cmd::assert::Assert {
    Command::cargo_bin("imagenet18").unwrap().arg("dawn").args(arguments).arg("--events").arg(events).assert()
}

fn stdout(assert: &assert_cmd::assert::Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/events").join(name)
}

/// `scripts/golden/events.py` had tensorboardX and TensorFlow (in both of its formats) write the
/// same run of two devices.
#[test]
fn files_of_other_writers_give_the_same_table() {
    let header = "epoch\thours\ttop1Accuracy\ttop5Accuracy\n";
    for name in ["tensorboardx.tfevents", "tensorflow_v1.tfevents", "tensorflow_v2.tfevents"] {
        let printed = |arguments: &[&str]| stdout(&dawn(arguments, &fixture(name)).success());
        let table = "1\t0.500000\t50.5000\t75.2500\n2\t1.000000\t76.5000\t93.1250\n";
        assert_eq!(printed(&["tsv"]), format!("{header}{table}"), "{name}");
        let table = "1\t0.400000\t50.5000\t75.2500\n2\t0.800000\t76.5000\t93.1250\n";
        assert_eq!(printed(&["tsv", "--ignore-eval"]), format!("{header}{table}"), "{name}");
        for (curve, key, points) in [
            ("lr", "learning_rate", &[("0.1", 0), ("0.25", 32), ("0.05", 64)][..]),
            ("batch", "batch_size", &[("32", 0), ("24", 64)]),
            ("size", "image_size", &[("128", 0), ("224", 64)]),
        ] {
            let lines: Vec<String> =
                points.iter().map(|(value, step)| format!("{{\"{key}\": {value}, \"example\": {step}}},\n")).collect();
            assert_eq!(printed(&[curve]), lines.concat(), "{name} {curve}");
        }
    }
}

#[test]
fn a_live_files_last_record_may_be_cut_and_a_damaged_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(fixture("tensorboardx.tfevents")).unwrap();
    let path = folder.path().join("events.out.tfevents.1");
    fs::write(&path, &whole[..whole.len() - 3]).unwrap();
    let output = dawn(&["lr"], &path).success();
    let note = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(note.starts_with("note: ") && note.contains("events.out.tfevents.1"), "{note}");
    let mut damaged = whole.clone();
    damaged[100] ^= 1;
    fs::write(&path, damaged).unwrap();
    let output = dawn(&["tsv"], folder.path()).failure().code(3);
    let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(stderr.contains("events.out.tfevents.1: expected a whole record at byte "), "{stderr}");
    assert_eq!(stderr.lines().count(), 1);
}

#[test]
fn mistakes_end_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let other = folder.path().join("other.tfevents");
    let mut events = EventWriter::new(fs::File::create(&other).unwrap(), 1.0).unwrap();
    events.scalars(1.0, 0, &[("loss", 1.0)]).unwrap();
    for (path, says) in [(empty, "got none"), (other, "the tag `first`"), (folder.path().join("none"), "No such file")]
    {
        let output = dawn(&["tsv"], &path).failure().code(3);
        let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        assert!(stderr.contains(says) && stderr.lines().count() == 1, "{stderr}");
    }
}
