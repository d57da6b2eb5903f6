//! The logs as files: made in a folder, readable while they grow, and refused in one line.

use in18_record::{DebugLog, Event, EventLog, Jsonl, Marks, Opening, RecordError, Recorder, Sink, Stamp, VerboseLog};
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

const STAMP: Stamp = Stamp { seconds: 1.0, unix: 1_770_000_000.0 };

fn sinks(folder: &Path, opening: Opening<'_>) -> Result<Vec<Box<dyn Sink>>, RecordError> {
    let every = NonZeroUsize::MIN;
    Ok(vec![
        Box::new(EventLog::open(&folder.join("event.log"), opening)?),
        Box::new(VerboseLog::open(&folder.join("verbose.log"), opening, every)?),
        Box::new(DebugLog::open(&folder.join("debug.log"), opening)?),
        Box::new(Jsonl::open(&folder.join("metrics.jsonl"), opening)?),
    ])
}

#[test]
fn a_reader_sees_whole_lines_before_the_run_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::new(sinks(folder.path(), Opening::New).unwrap());
    let change = Event::BatchChange { epoch: 3, batch: 512 };
    recorder.record(STAMP, &change);
    for name in ["event.log", "verbose.log", "debug.log", "metrics.jsonl"] {
        let text = fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(text.contains("512") && text.ends_with('\n'), "{name}: {text}");
    }
    assert!(recorder.close().is_empty());
}

#[test]
fn a_folder_that_is_not_there_is_named_with_the_flag_that_helps() {
    let error = sinks(Path::new("/nowhere/at/all"), Opening::New).err().unwrap();
    let text = error.to_string();
    assert!(text.contains("/nowhere/at/all/event.log"), "{text}");
    assert!(text.contains("--logdir"), "{text}");
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn a_writer_opened_for_appending_keeps_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("event.log");
    fs::write(&path, "before\n").unwrap();
    let file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    let mut recorder = Recorder::new(vec![Box::new(EventLog::new(file))]);
    let text = "after".to_owned();
    recorder.record(STAMP, &Event::Warning { text });
    assert!(recorder.close().is_empty());
    assert_eq!(fs::read_to_string(&path).unwrap(), "before\nWarning: after\n");
}

/// `/dev/full` takes no byte, like a disk that has run full.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_costs_one_log_and_not_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("debug.log");
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut recorder =
        Recorder::new(vec![Box::new(EventLog::new(full)), Box::new(DebugLog::open(&kept, Opening::New).unwrap())]);
    for batch in [64, 128] {
        recorder.record(STAMP, &Event::BatchChange { epoch: 0, batch });
    }
    let failures = recorder.close();
    assert_eq!(failures.len(), 1, "{failures:?}");
    let text = fs::read_to_string(kept).unwrap();
    assert!(text.contains("Batch size changed: 128"), "{text}");
    assert_eq!(text.matches("Warning: cannot write event.log").count(), 1, "{text}");
}

#[test]
fn a_continued_run_cuts_its_logs_back_to_their_marks() {
    let folder = tempfile::tempdir().unwrap();
    let change = |batch| Event::BatchChange { epoch: 0, batch };
    let mut recorder = Recorder::new(sinks(folder.path(), Opening::New).unwrap());
    recorder.record(STAMP, &change(64));
    let marks = recorder.marks(STAMP);
    // Written after the checkpoint's marks. The continued run writes it again.
    recorder.record(STAMP, &change(99));
    assert!(recorder.close().is_empty());
    let mut recorder = Recorder::new(sinks(folder.path(), Opening::Continue(&marks)).unwrap());
    recorder.record(STAMP, &change(128));
    let again = recorder.marks(STAMP);
    assert!(recorder.close().is_empty());
    assert_eq!(marks.iter().count(), 4);
    for (name, bytes) in again.iter() {
        let text = fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(text.len() as u64, bytes, "{name}");
        assert_eq!((text.matches("64").count(), text.matches("128").count()), (1, 1), "{name}: {text}");
        assert!(!text.contains("99"), "{name}: {text}");
    }
}

#[test]
fn a_log_that_is_gone_or_too_short_does_not_stop_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("event.log");
    let mut marks = Marks::default();
    marks.set("event.log", 1000);
    for before in [None, Some("short\n")] {
        if let Some(text) = before {
            fs::write(&path, text).unwrap();
        }
        let log = EventLog::open(&path, Opening::Continue(&marks)).unwrap();
        let mut recorder = Recorder::new(vec![Box::new(log)]);
        recorder.record(STAMP, &Event::Warning { text: "after".to_owned() });
        assert!(recorder.close().is_empty());
        let expected = format!("{}Warning: after\n", before.unwrap_or_default());
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    }
}
