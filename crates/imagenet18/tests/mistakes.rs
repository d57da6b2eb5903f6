//! Every mistake that a user of `train` can make. Each gives its exit code and one line that says
//! what was expected, what came and what to change.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use assert_cmd::Command;
use in18_testkit::images::write_class_folders;

const PHASES: &str = "[{'ep':0,'sz':32,'bs':4},{'ep':(0,1),'lr':(0.02,0.05)}]";

/// A mistake and its expected result.
struct Case {
    name: &'static str,
    /// Makes the data folder.
    data: fn(&Path),
    phases: &'static str,
    arguments: &'static [&'static str],
    code: i32,
    /// Parts of the message.
    says: &'static [&'static str],
}

fn good(data: &Path) {
    write_class_folders(&data.join("train"), 2, 4, &[(40, 40)]).unwrap();
    write_class_folders(&data.join("validation"), 2, 2, &[(40, 40)]).unwrap();
}

fn class_folder(data: &Path, split: &str, index: usize) -> std::path::PathBuf {
    let mut folders: Vec<_> = fs::read_dir(data.join(split)).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders.swap_remove(index)
}

const GOOD: Case =
    Case { name: "", data: good, phases: PHASES, arguments: &["--arch", "resnet18"], code: 0, says: &[] };

const CASES: &[Case] = &[
    Case { name: "no data folder", data: |_| {}, code: 3, says: &["train/CLASS/*"], ..GOOD },
    Case {
        name: "an empty data folder",
        data: |data| fs::create_dir(data).unwrap(),
        code: 3,
        says: &["expected train/CLASS/*", "an empty folder"],
        ..GOOD
    },
    Case {
        name: "no validation folder",
        data: |data| {
            good(data);
            fs::remove_dir_all(data.join("validation")).unwrap();
        },
        code: 3,
        says: &["validation/CLASS/*, val/CLASS/* or archives"],
        ..GOOD
    },
    Case {
        name: "images that no memory holds",
        data: good,
        phases: "[{'ep':0,'sz':60000,'bs':4},{'ep':(0,1),'lr':(0.02,0.05)}]",
        code: 6,
        says: &[
            "epoch 0, training in batches of 4: 4 images of 60000x60000 pixels need",
            "not even one fits",
            "lower 'bs' of its phase",
        ],
        ..GOOD
    },
    Case {
        name: "an empty class",
        data: |data| {
            good(data);
            fs::create_dir(data.join("train/zebra")).unwrap();
        },
        code: 3,
        says: &["zebra"],
        ..GOOD
    },
    Case {
        name: "classes that differ",
        data: |data| {
            good(data);
            fs::rename(class_folder(data, "validation", 1), data.join("validation/zebra")).unwrap();
        },
        code: 3,
        says: &["zebra", "only in the second"],
        ..GOOD
    },
    Case {
        name: "a file that is no image",
        data: |data| {
            good(data);
            fs::write(class_folder(data, "train", 0).join("notes.jpg"), "dear diary").unwrap();
        },
        code: 3,
        says: &["notes.jpg", "JPEG", "PNG"],
        ..GOOD
    },
    Case {
        name: "phases that are no literal",
        phases: "[{'ep':0,'sz':32,'bs':lr*2}]",
        code: 2,
        says: &["--phases", "column 23"],
        ..GOOD
    },
    Case {
        name: "an epoch without a size",
        phases: "[{'ep':1,'sz':32,'bs':4},{'ep':(0,2),'lr':(0.1,0.2)}]",
        code: 2,
        says: &["epoch 0 has no size"],
        ..GOOD
    },
    Case {
        name: "an epoch without a rate",
        phases: "[{'ep':0,'sz':32,'bs':4},{'ep':(1,2),'lr':(0.1,0.2)}]",
        code: 2,
        says: &["epoch 0 has no learning rate"],
        ..GOOD
    },
    Case {
        name: "a batch larger than the set",
        phases: "[{'ep':0,'sz':32,'bs':9},{'ep':(0,1),'lr':(0.1,0.2)}]",
        code: 2,
        says: &["'bs' 9", "8 images"],
        ..GOOD
    },
    Case {
        name: "a rate that is far too high",
        phases: "[{'ep':0,'sz':32,'bs':4},{'ep':(0,9),'lr':1e30}]",
        arguments: &["--arch", "resnet18", "--precision", "fp32"],
        code: 4,
        says: &["step", "lower 'lr'"],
        ..GOOD
    },
    Case {
        name: "cutmix of single images",
        phases: "[{'ep':0,'sz':32,'bs':4},{'ep':(0,2),'lr':0.1},{'ep':1,'sz':32,'bs':1}]",
        arguments: &["--arch", "resnet18", "-o", "augment.cutmix=1"],
        code: 2,
        says: &["phase 3: 'bs': expected at least 2 images a batch, because augment.cutmix mixes", "got 1"],
        ..GOOD
    },
    Case { name: "an unknown network", arguments: &["--arch", "vgg16"], code: 2, says: &["resnet18", "vgg16"], ..GOOD },
    Case {
        name: "a stop at no accuracy",
        arguments: &["--arch", "resnet18", "--stop-at", "93"],
        code: 2,
        says: &["--stop-at", "expected top1=PERCENT or top5=PERCENT, above 0 and up to 100, such as top5=93"],
        ..GOOD
    },
    Case {
        name: "a stop above 100 %",
        arguments: &["--arch", "resnet18", "--stop-at", "top5=101"],
        code: 2,
        says: &["'top5=101'", "above 0 and up to 100"],
        ..GOOD
    },
    Case {
        name: "an unknown test-time augmentation",
        arguments: &["--arch", "resnet18", "-o", "evaluate.tta=fliplogits"],
        code: 2,
        says: &["-o evaluate.tta=fliplogits", "one of none, flip, flip-logits", "did you mean 'flip-logits'?"],
        ..GOOD
    },
    Case {
        name: "a validation of no pixels",
        arguments: &["--arch", "resnet18", "-o", "evaluate.size=0"],
        code: 2,
        says: &["-o evaluate.size=0: expected training, or a size from 1 to 65535 pixels, got 0"],
        ..GOOD
    },
    Case {
        name: "a validation on rectangles that are too small",
        arguments: &["--arch", "resnet18", "-o", "evaluate.size=7", "-o", "evaluate.rectangular=true"],
        code: 2,
        says: &["8 pixels", "7"],
        ..GOOD
    },
    Case {
        name: "a validation that no memory holds",
        arguments: &["--arch", "resnet18", "-o", "evaluate.size=60000"],
        code: 6,
        says: &["epoch 0, validation in batches of 1: 1 images of 60000x60000 pixels need", "evaluate.size"],
        ..GOOD
    },
    Case { name: "a momentum of 2", arguments: &["--momentum", "2"], code: 2, says: &["from 0 to 1"], ..GOOD },
];

#[test]
fn each_mistake_is_one_line_and_a_code() {
    for case in CASES {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("photos");
        (case.data)(&data);
        let output = Command::cargo_bin("imagenet18")
            .unwrap()
            .arg("train")
            .arg(&data)
            .arg("--logdir")
            .arg(folder.path().join("logs"))
            .args(["--phases", case.phases])
            .args(case.arguments)
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(case.code), "{}: {stderr}", case.name);
        let after: Vec<&str> = stderr.lines().skip_while(|line| !line.starts_with("error: ")).collect();
        assert_eq!(after.len(), 1, "{}: expected the error as the one last line: {stderr}", case.name);
        for part in case.says {
            assert!(stderr.contains(part), "{}: expected {part:?} in {stderr}", case.name);
        }
        assert!(!stderr.contains("panicked"), "{}: {stderr}", case.name);
        let message = after[0];
        let tail = &message[message.len().saturating_sub(40)..];
        assert_eq!(message.matches(tail).count(), 1, "{}: says something twice: {stderr}", case.name);
    }
}

#[test]
fn a_logdir_that_holds_something_else_is_left_alone() {
    let mine = "events.out.tfevents.1770091506.host.mine";
    for (file, resume, says) in
        [("event.log", &[][..], "holds a run"), (mine, &[][..], mine), (mine, &["--resume", "auto"][..], mine)]
    {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("photos");
        good(&data);
        fs::write(folder.path().join(file), "precious").unwrap();
        let output = Command::cargo_bin("imagenet18")
            .unwrap()
            .arg("train")
            .arg(&data)
            .args(["--arch", "resnet18", "--phases", PHASES, "--logdir"])
            .arg(folder.path())
            .args(resume)
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.starts_with("error: --logdir ") && stderr.contains(says), "{stderr}");
        assert_eq!(fs::read_to_string(folder.path().join(file)).unwrap(), "precious");
    }
}

#[test]
fn a_dry_run_reads_no_image() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("photos");
    for split in ["train/cat", "train/dog", "val/cat", "val/dog"] {
        fs::create_dir_all(data.join(split)).unwrap();
        for name in ["a.jpg", "b.jpg"] {
            fs::write(data.join(split).join(name), "no image").unwrap();
        }
    }
    let mut command = Command::cargo_bin("imagenet18").unwrap();
    command.arg("train").arg(&data).args(["--dry-run", "--phases", PHASES]).assert().success();
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("imagenet18"));
    command.args(["train", "--dry-run", "--images", "1281167", "--recipe", "1-machine", "--world", "8", "--json"]);
    command.args(["--arch", "resnet50", "--init-bn0", "--no-bn-wd"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert!(output.status.success());
}

#[test]
fn an_unknown_recipe_names_the_known_ones() {
    let mut command = Command::cargo_bin("imagenet18").unwrap();
    let output = command.args(["train", "--dry-run", "--images", "9", "--recipe", "fast"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("seed-8gpu") && stderr.contains("`fast`"), "{stderr}");
}
