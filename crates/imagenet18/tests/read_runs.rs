//! `report` and `watch`, on runs written by the project's own log writer, and on other folders.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use in18_record::{DataChange, EpochRecord, Event, Jsonl, Opening, Recorder, RunEnd, RunStart, Stamp, StepRecord};
use tempfile::TempDir;

fn events() -> Vec<Event> {
    let start = RunStart {
        arch: "resnet18".into(),
        classes: 10,
        parameters: 11_181_642,
        precision: "bf16".into(),
        engine: "oneDNN 3.2.0".into(),
        world: 1,
        workers: 1,
        seed: 0,
        first_epoch: 0,
        epochs: 2,
        images_train: 64,
        images_val: 40,
        epoch_cost: vec![],
        plan: vec![],
    };
    let data = DataChange {
        epoch: 0,
        size: 48,
        batch: 32,
        val_batch: 32,
        train_dir: "photos/train".into(),
        val_dir: "photos/validation".into(),
        min_scale: 0.35,
        rect_val: false,
        val_size: None,
        val_crop: None,
        tta: None,
    };
    let step = |epoch, step| {
        Event::Step(StepRecord {
            epoch,
            step,
            steps: 2,
            images: 32,
            images_total: 32,
            images_before: 0,
            size: 48,
            lr: 0.1,
            momentum: 0.9,
            loss: 2.5,
            top1: 10.0,
            top5: 50.0,
            step_seconds: 0.5,
            data_seconds: 0.0,
            means: Default::default(),
            network: None,
            memory: None,
        })
    };
    let epoch = |epoch: usize| {
        Event::EpochEnd(EpochRecord {
            epoch,
            hours: 0.001 * (epoch + 1) as f64,
            images_seen: 64,
            size: 48,
            train_loss: 2.5,
            train_top1: 10.0,
            train_top5: 50.0,
            val_loss: 2.25,
            top1: 21.25 + 40.0 * epoch as f64,
            top5: 87.5,
            train_seconds: 1.0,
            data_seconds: 0.0,
            eval_seconds: 0.5,
            images_per_s: 64.0,
            skipped: 0,
        })
    };
    let end = RunEnd {
        epochs: 2,
        images_seen: 128,
        seconds: 8.0,
        train_seconds: 2.0,
        data_seconds: 0.0,
        eval_seconds: 1.0,
        top1: 61.25,
        top5: 87.5,
        peak_rss_bytes: None,
    };
    let (first, second) = ([step(0, 1), step(0, 2), epoch(0)], [step(1, 1), step(1, 2), epoch(1)]);
    let begin = [Event::RunStart(start), Event::DataChange(data)];
    begin.into_iter().chain(first).chain(second).chain([Event::RunEnd(end)]).collect()
}

/// Writes the first `count` events of a run.
fn write_run(logdir: &Path, count: usize) {
    fs::create_dir_all(logdir).unwrap();
    let log = Jsonl::open(&logdir.join("metrics.jsonl"), Opening::New).unwrap();
    let mut recorder = Recorder::new(vec![Box::new(log)]);
    for (second, event) in events().iter().take(count).enumerate() {
        recorder.record(Stamp { seconds: second as f64, unix: 1_770_091_506.0 + second as f64 }, event);
    }
    assert!(recorder.close().is_empty());
}

struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn imagenet18(folder: &Path, arguments: &[&str]) -> Ran {
    let output = Command::cargo_bin("imagenet18").unwrap().current_dir(folder).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_run(&folder.path().join("whole"), usize::MAX);
    write_run(&folder.path().join("half"), 6);
    fs::create_dir(folder.path().join("empty")).unwrap();
    fs::create_dir(folder.path().join("damaged")).unwrap();
    fs::write(folder.path().join("damaged/metrics.jsonl"), "{\"event\":\"later\"}\n{oh\n").unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    folder
}

#[test]
fn report_writes_one_page() {
    let folder = folder();
    let ran = imagenet18(folder.path(), &["report", "whole", "half", "--reference", "seed", "--out", "page.html"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "Wrote page.html\n", ""));
    let html = fs::read_to_string(folder.path().join("page.html")).unwrap();
    for part in ["2 runs compared", "whole", "half", "61.25", "75.9179", "</html>"] {
        assert!(html.contains(part), "{part}");
    }
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().ends_with(".tmp")), "{names:?}");
}

#[test]
fn watch_once_says_how_a_run_stands() {
    let folder = folder();
    let ran = imagenet18(folder.path(), &["watch", "half", "--once"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    for part in ["half: resnet18, bf16, 10 classes, still running", "epoch 1 ", " 50 %  of 2 epochs", "21.25", "left"] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    let ran = imagenet18(folder.path(), &["watch", "whole", "--once"]);
    for part in ["finished", "100 %", "best 61.25 %"] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
}

#[test]
fn watch_tells_a_pipe_what_lasts_and_ends_with_the_run() {
    let folder = folder();
    let ran = imagenet18(folder.path(), &["watch", "whole"]);
    assert_eq!(ran.code, 0);
    assert_eq!(ran.out.lines().filter(|line| line.starts_with("Epoch ")).count(), 2, "{}", ran.out);
    assert!(ran.out.ends_with('\n') && ran.out.contains("Trained 2 epochs"), "{}", ran.out);
}

#[test]
fn watch_waits_for_a_run_and_follows_it_over_a_cut() {
    let folder = folder();
    let logdir = folder.path().join("late");
    let writer = std::thread::spawn(move || {
        let pause = || std::thread::sleep(std::time::Duration::from_millis(1200));
        pause();
        write_run(&logdir, 7);
        pause();
        write_run(&logdir, 4);
        pause();
        write_run(&logdir, usize::MAX);
    });
    let ran = imagenet18(folder.path(), &["watch", "late", "--wait", "60"]);
    writer.join().unwrap();
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.starts_with("Waiting up to 60 s"), "{}", ran.err);
    assert!(ran.out.contains("Trained 2 epochs"), "{}", ran.out);
}

#[test]
fn mistakes_end_in_one_line() {
    struct Case {
        arguments: &'static [&'static str],
        code: i32,
        says: &'static [&'static str],
    }
    let folder = folder();
    for Case { arguments, code, says } in [
        Case { arguments: &["report"], code: 2, says: &["LOGDIR"] },
        Case { arguments: &["report", "none"], code: 2, says: &["LOGDIR none", "expected", "nothing there"] },
        Case { arguments: &["report", "empty"], code: 2, says: &["a folder without metrics.jsonl"] },
        Case { arguments: &["report", "file"], code: 2, says: &["got a file"] },
        Case { arguments: &["report", "whole", "./whole/"], code: 2, says: &["the same one twice"] },
        Case { arguments: &["report", "whole", "damaged"], code: 3, says: &["metrics.jsonl, line 2: expected"] },
        Case { arguments: &["report", "whole", "--reference", "x"], code: 2, says: &["--reference", "seed"] },
        Case { arguments: &["report", "whole", "--out", "none/a.html"], code: 5, says: &["none/a.html", "--out"] },
        Case { arguments: &["watch", "none", "--once"], code: 2, says: &["LOGDIR none", "nothing there"] },
        Case { arguments: &["watch", "damaged"], code: 3, says: &["line 2"] },
    ] {
        let ran = imagenet18(folder.path(), arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {}", ran.err);
        assert_eq!(ran.err.lines().count(), 1, "{arguments:?}: {}", ran.err);
        assert!(says.iter().all(|part| ran.err.contains(part)), "{arguments:?}: {}", ran.err);
        assert!(!folder.path().join("report.html").exists(), "{arguments:?}");
    }
    let ran = imagenet18(folder.path(), &["watch", "none", "--wait", "0"]);
    assert_eq!((ran.code, ran.err.lines().count()), (2, 1), "{}", ran.err);
}
