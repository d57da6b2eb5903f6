//! `data info` and `data verify` say what is in a folder.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use in18_testkit::images::write_class_folders;
use serde_json::Value;

fn data(what: &str, folder: &Path, more: &[&str]) -> Assert {
    Command::cargo_bin("imagenet18").unwrap().args(["data", what]).arg(folder).args(more).assert()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn info_counts_classes_sizes_and_shapes() {
    let folder = tempfile::tempdir().unwrap();
    write_class_folders(&folder.path().join("train"), 2, 9, &[(40, 48)]).unwrap();
    write_class_folders(&folder.path().join("val"), 2, 3, &[(40, 20), (30, 30)]).unwrap();
    let done = data("info", folder.path(), &["--json"]).success();
    let result: Value = serde_json::from_slice(&done.get_output().stdout).unwrap();
    let (train, validation) = (&result["train"], &result["validation"]);
    assert_eq!((&train["images"], &train["different_sizes"], &train["unreadable"]), (&18.into(), &1.into(), &0.into()));
    assert_eq!(train["classes"].as_object().unwrap().values().collect::<Vec<_>>(), [9, 9]);
    assert_eq!((&validation["images"], &validation["different_sizes"]), (&6.into(), &2.into()));
    let by_aspect: u64 = train["aspects"].as_array().unwrap().iter().map(|bin| bin["images"].as_u64().unwrap()).sum();
    assert_eq!(by_aspect, 18);

    // A half alone is a set, too.
    let done = data("info", &folder.path().join("train"), &[]).success();
    let shown = text(&done.get_output().stdout);
    assert!(
        shown.starts_with("images: 18 images of 2 classes, 9 to 9 a class") && shown.contains("median 40"),
        "{shown}"
    );
}

#[test]
fn verify_names_what_does_not_decode() {
    let folder = tempfile::tempdir().unwrap();
    write_class_folders(&folder.path().join("train"), 2, 4, &[(40, 48)]).unwrap();
    let done = data("verify", folder.path(), &[]).success();
    assert_eq!(text(&done.get_output().stdout), "train: 8 images decoded, 0 damaged\n");

    let class = fs::read_dir(folder.path().join("train")).unwrap().next().unwrap().unwrap().path();
    let image = fs::read_dir(class).unwrap().next().unwrap().unwrap().path();
    fs::write(&image, b"GIF89a").unwrap();
    let done = data("verify", folder.path(), &["--threads", "3"]).failure().code(3);
    let said = text(&done.get_output().stderr);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines[0].starts_with(image.to_str().unwrap()) && lines[1].contains("got 1 that are none"), "{said}");
    let info = data("info", folder.path(), &[]).success();
    assert!(text(&info.get_output().stdout).contains("1 without a size"), "{info}");

    let mistake = data("verify", Path::new("no/such/folder"), &[]).failure().code(3);
    assert_eq!(text(&mistake.get_output().stderr).trim_end().lines().count(), 1);
}

/// Paths below a folder with what lies there, hidden files left out.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            let path = entry.path();
            match (path.is_dir(), entry.file_name().to_str().unwrap().starts_with('.')) {
                (true, _) => pending.push(path),
                (false, true) => {}
                (false, false) => {
                    found.push((
                        path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned(),
                        fs::read(&path).unwrap(),
                    ));
                }
            }
        }
    }
    found.sort();
    found
}

#[test]
fn prepared_copies_are_small_and_continue() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("photos");
    write_class_folders(&source.join("train"), 2, 3, &[(48, 40), (20, 30)]).unwrap();
    write_class_folders(&source.join("val"), 2, 1, &[(48, 40)]).unwrap();
    let prepare = |to: &str, more: &[&str]| {
        let to = folder.path().join(to);
        let all = [&[to.to_str().unwrap(), "--format", "folder", "--sizes", "24,full"], more].concat();
        data("prepare", &source, &all)
    };
    prepare("small", &[]).success();
    let info = |path: &str| -> Value {
        let done = data("info", &folder.path().join(path), &["--json"]).success();
        serde_json::from_slice(&done.get_output().stdout).unwrap()
    };
    let (reduced, full) = (info("small-sz/24"), info("small"));
    assert_eq!(reduced["train"]["short_side_px"], serde_json::json!([20, 24, 24]));
    assert_eq!(full, info("photos"), "the full size is the source");
    assert_eq!((&reduced["train"]["images"], &reduced["validation"]["images"]), (&6.into(), &2.into()));
    data("verify", &folder.path().join("small-sz/24"), &[]).success();

    // What is there stays; what was lost comes again, with the same bytes.
    let before = files(&folder.path().join("small-sz"));
    fs::remove_file(folder.path().join("small-sz").join(&before[1].0)).unwrap();
    let again = prepare("small", &["--threads", "1"]).success();
    assert!(text(&again.get_output().stdout).contains("1 images written"), "{again}");
    assert!(files(&folder.path().join("small-sz")) == before);

    let other = prepare("small", &["--quality", "50"]).failure().code(2);
    let line = text(&other.get_output().stderr);
    assert!(
        line.contains("quality 50") && line.contains("quality 90") && line.trim_end().lines().count() == 1,
        "{line}"
    );
    let same = prepare("photos", &[]).failure().code(2);
    assert_eq!(text(&same.get_output().stderr).trim_end().lines().count(), 1);

    let image = files(&source.join("train"))[0].0.clone();
    fs::write(source.join("train").join(image), b"").unwrap();
    let skipped = prepare("other", &[]).success();
    assert!(text(&skipped.get_output().stdout).contains("5 images written"), "{skipped}");
    prepare("third", &["--on-bad-image", "fail"]).failure().code(3);
}
