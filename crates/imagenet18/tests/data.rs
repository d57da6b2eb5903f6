//! `data info` and `data verify` report what is in a folder.

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

    // One half alone is a set, too.
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

/// The files below a folder, without hidden ones: paths and contents.
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

    // Files that exist stay. A lost file is made again, with the same bytes.
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

#[test]
fn a_preparation_that_is_killed_over_and_over_ends_as_one_that_was_not() {
    const KILLS: usize = 10;
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("photos");
    write_class_folders(&source.join("train"), 3, 400, &[(96, 80), (40, 60)]).unwrap();
    write_class_folders(&source.join("val"), 3, 20, &[(96, 80)]).unwrap();
    let command = |to: &str| {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("imagenet18"));
        command.args(["data", "prepare"]).args([&source, &folder.path().join(to)]);
        command.args(["--sizes", "32,full", "--shard-images", "50"]).stdout(std::process::Stdio::null());
        command
    };
    assert!(command("whole").status().unwrap().success());
    let (mut kills, mut wait) = (0, 17_u64);
    for round in 0..200 {
        if kills == KILLS {
            break;
        }
        // Start over every few rounds, because later rounds find less and less to do.
        let to = format!("killed{}", round / 5);
        let mut run = command(&to).spawn().unwrap();
        wait = (wait * 1_103_515_245 + 12_345) % (1 << 31);
        std::thread::sleep(std::time::Duration::from_millis(wait % 120));
        run.kill().unwrap();
        // A run that had ended already does not count as a kill.
        if !run.wait().unwrap().success() {
            kills += 1;
            assert!(command(&to).status().unwrap().success());
            for end in ["", "-sz"] {
                let of = |name: &str| files(&folder.path().join(format!("{name}{end}")));
                assert!(of(&to) == of("whole"), "round {round} {end}");
            }
            fs::remove_dir_all(folder.path().join(&to)).unwrap();
            fs::remove_dir_all(folder.path().join(format!("{to}-sz"))).unwrap();
        }
    }
    assert_eq!(kills, KILLS, "too few kills hit a run");
}

#[test]
fn shards_are_described_and_verified() {
    let folder = tempfile::tempdir().unwrap();
    let (source, shards) = (folder.path().join("photos"), folder.path().join("shards"));
    write_class_folders(&source.join("train"), 2, 9, &[(40, 48)]).unwrap();
    write_class_folders(&source.join("val"), 2, 3, &[(40, 20), (30, 30)]).unwrap();
    data("prepare", &source, &[shards.to_str().unwrap(), "--sizes", "full", "--shard-images", "5"]).success();
    let json = |folder: &Path| text(&data("info", folder, &["--json"]).success().get_output().stdout);
    assert_eq!(json(&shards), json(&source));
    let done = data("verify", &shards, &[]).success();
    let whole = "train: 18 images decoded, 0 damaged\nvalidation: 6 images decoded, 0 damaged\n";
    assert_eq!(text(&done.get_output().stdout), whole);

    let shard = shards.join("train/000002.tar");
    let mut bytes = fs::read(&shard).unwrap();
    bytes[100] ^= 4;
    fs::write(&shard, bytes).unwrap();
    let done = data("verify", &shards, &[]).failure().code(3);
    let said = text(&done.get_output().stderr);
    let first = said.lines().next().unwrap();
    assert!(first.starts_with(shard.to_str().unwrap()) && first.contains("got another header or label"), "{said}");
    fs::remove_file(&shard).unwrap();
    let missing = data("verify", &shards, &[]).failure().code(3);
    assert!(text(&missing.get_output().stderr).contains("got no 000002.tar"), "{missing}");
}
