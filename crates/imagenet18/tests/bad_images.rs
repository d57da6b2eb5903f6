//! Training on a folder in which some files are not images.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use in18_testkit::images::write_class_folders;

const PHASES: &str = "[{'ep':0,'sz':32,'bs':50,'rect_val':True},{'ep':(0,2),'lr':(0.01,0.01)}]";

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// 202 images for training, 101 for validation.
fn photos(folder: &Path) {
    write_class_folders(&folder.join("train"), 2, 101, &[(40, 40)]).unwrap();
    write_class_folders(&folder.join("val"), 1, 100, &[(40, 48)]).unwrap();
    write_class_folders(&folder.join("val2"), 2, 1, &[(40, 48)]).unwrap();
    let second = files(&folder.join("val2"))[1].clone();
    fs::rename(&second, folder.join("val").join(second.file_name().unwrap())).unwrap();
    fs::remove_dir_all(folder.join("val2")).unwrap();
}

fn train(data: &Path, logdir: &Path, more: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = Command::cargo_bin("imagenet18").unwrap();
    command.arg("train").arg(data).arg("--logdir").arg(logdir).args(["--arch", "resnet18", "--threads", "1"]);
    command.args(["--phases", PHASES]).args(more).assert()
}

fn stderr(assert: &assert_cmd::assert::Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

#[test]
fn a_few_are_named_once_and_done_without() {
    let folder = tempfile::tempdir().unwrap();
    let (data, logdir) = (folder.path().join("photos"), folder.path().join("run"));
    photos(&data);
    let classes = files(&data.join("train"));
    let bad =
        [files(&classes[0])[5].clone(), files(&classes[1])[7].clone(), files(&files(&data.join("val"))[0])[3].clone()];
    fs::write(&bad[0], b"GIF89a").unwrap();
    let whole = fs::read(&bad[1]).unwrap();
    fs::write(&bad[1], &whole[..whole.len() / 2]).unwrap();
    fs::write(&bad[2], b"").unwrap();
    let output = train(&data, &logdir, &[]).success();
    let log = fs::read_to_string(logdir.join("event.log")).unwrap();
    for path in &bad {
        assert_eq!(log.matches(path.to_str().unwrap()).count(), 1, "{log}");
        assert!(stderr(&output).contains(path.to_str().unwrap()));
    }
    assert!(log.contains("3 images could not be loaded"), "{log}");
    // Batches stay full: as many images as before are trained on. In validation, one is missing.
    let metrics = fs::read_to_string(logdir.join("metrics.jsonl")).unwrap();
    assert!(metrics.contains("\"images_seen\":404"), "{metrics}");
    let validated: Vec<&str> = metrics.lines().filter(|line| line.contains("eval_step")).collect();
    assert!(validated.iter().all(|line| line.contains("\"images_total\":100")), "{validated:?}");

    for (name, spoiled, says) in [("train", &bad[0], "GIF"), ("val", &bad[2], "empty file")] {
        // One bad image at a time: repair the others.
        bad.iter().filter(|path| *path != spoiled).for_each(|path| fs::write(path, &whole).unwrap());
        let output = train(&data, &folder.path().join(name), &["--on-bad-image", "fail"]).failure().code(3);
        let text = stderr(&output);
        let line = text.lines().last().unwrap();
        assert!(line.starts_with(&format!("error: {}", spoiled.display())) && line.contains(says), "{line}");
        fs::write(&bad[0], b"GIF89a").unwrap();
        fs::write(&bad[2], b"").unwrap();
    }
}

#[test]
fn more_than_one_of_a_hundred_is_an_error_with_the_list() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("photos");
    photos(&data);
    let bad: Vec<PathBuf> = files(&files(&data.join("train"))[0]).into_iter().take(9).collect();
    bad.iter().for_each(|path| fs::write(path, b"no image").unwrap());
    let output = train(&data, &folder.path().join("run"), &[]).failure().code(3);
    let text = stderr(&output);
    let line = text.lines().last().unwrap();
    assert!(line.contains("expected at most 1 % of 202 images that cannot be loaded, got "), "{line}");
    assert!(bad.iter().any(|path| line.contains(path.to_str().unwrap())), "{line}");
}
