//! `eval`, `predict`, `export` and `train --init` on a tiny run's network, and on other files.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use in18_testkit::images::{class_image, jpeg, write_class_folders};
use serde_json::Value;

const PHASES: &str = "[{'ep':0,'sz':32,'bs':10},{'ep':(0,1),'lr':(0.02,0.05)}]";

/// A folder with photos and a run's network.
struct Trained {
    folder: tempfile::TempDir,
}

impl Trained {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sizes = [(40, 56), (64, 48), (50, 50)];
        write_class_folders(&folder.path().join("data/train"), 3, 6, &sizes).unwrap();
        write_class_folders(&folder.path().join("data/val"), 3, 4, &sizes).unwrap();
        let trained = Trained { folder };
        trained.train("run", PHASES, &[]).assert().success();
        trained
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::cargo_bin("imagenet18").unwrap();
        command.env("OMP_NUM_THREADS", "1").env("OMP_WAIT_POLICY", "passive");
        command.current_dir(self.folder.path()).args(arguments);
        command
    }

    fn train(&self, logdir: &str, phases: &str, more: &[&str]) -> Command {
        let mut command = self.command(&["train", "data", "--arch", "resnet18", "--phases", phases]);
        command.args(["--logdir", logdir, "--threads", "1", "--workers", "1"]).args(more);
        command
    }

    fn eval(&self, checkpoint: &str, more: &[&str]) -> Value {
        let mut command = self.command(&["eval", "data", "--checkpoint", checkpoint, "--size", "32", "--json"]);
        let output = command.args(["--threads", "1", "--workers", "1"]).args(more).assert().success();
        serde_json::from_slice(&output.get_output().stdout).unwrap()
    }

    fn last_epoch(&self, run: &str) -> Value {
        let metrics = fs::read_to_string(self.path(run).join("metrics.jsonl")).unwrap();
        let mut events = metrics.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        events.rfind(|event| event["event"] == "epoch_end").unwrap()
    }
}

const MODEL: &str = "run/model.safetensors";

fn failure(command: &mut Command, code: i32) -> String {
    let output = command.assert().code(code);
    let text = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

#[test]
fn eval_gives_the_runs_own_last_numbers() {
    let trained = Trained::new();
    let (run, eval) = (trained.last_epoch("run"), trained.eval(MODEL, &[]));
    for (ours, theirs) in [("loss", "val_loss"), ("top1", "top1"), ("top5", "top5")] {
        assert_eq!(eval[ours], run[theirs], "{ours}");
    }
    assert_eq!(eval["images"], 12);
    let flipped = trained.eval(MODEL, &["--tta", "flip"]);
    assert!(flipped["loss"].as_f64().unwrap().is_finite() && flipped["loss"] != eval["loss"]);
    assert_eq!(trained.eval(MODEL, &["--rect"])["images"], 12);
    let logits = trained.eval(MODEL, &["--tta", "flip-logits"]);
    assert!(logits["loss"].as_f64().unwrap().is_finite() && logits["loss"] != flipped["loss"]);
    assert_eq!((&flipped["tta"], &logits["tta"], &eval["tta"]), (&"flip".into(), &"flip-logits".into(), &Value::Null));
    assert_eq!(trained.eval(MODEL, &["--tta", "none", "--crop", "original"]), eval);
    let whole = trained.eval(MODEL, &["--crop", "1"]);
    assert!(whole["crop"] == 1.0 && whole["loss"] != eval["loss"]);
    let says = failure(&mut trained.command(&["eval", "data", "--checkpoint", MODEL, "--crop", "0"]), 2);
    assert!(says.contains("expected original, or a share of the short side from 0.1 to 1"), "{says}");
}

#[test]
fn predict_sees_images_of_every_shape_and_names_those_that_are_none() {
    let trained = Trained::new();
    fs::create_dir(trained.path("odd")).unwrap();
    for (name, width, height) in [("a.jpg", 300, 20), ("b.jpg", 20, 300), ("c.jpg", 31, 33), ("e.jpg", 1, 900)] {
        let bytes = jpeg(&class_image(1, 0, width, height), width, height).unwrap();
        fs::write(trained.path("odd").join(name), bytes).unwrap();
    }
    fs::write(trained.path("odd/d.jpg"), "no image").unwrap();
    let arguments = ["predict", "--checkpoint", MODEL, "--size", "32", "--threads", "1", "--json", "--top", "2"];
    let output = trained.command(&arguments).args(["odd", "gone.png"]).assert().code(3);
    let (stdout, stderr) = (&output.get_output().stdout, String::from_utf8_lossy(&output.get_output().stderr));
    assert!(stderr.contains("odd/d.jpg") && stderr.contains("gone.png") && stderr.lines().count() == 3, "{stderr}");
    let stdout = String::from_utf8_lossy(stdout);
    let lines: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let files: Vec<&str> = lines.iter().map(|line| line["file"].as_str().unwrap()).collect();
    assert_eq!(files, ["odd/a.jpg", "odd/b.jpg", "odd/c.jpg", "odd/e.jpg"]);
    for line in lines {
        let top = line["top"].as_array().unwrap();
        assert_eq!((top.len(), &top[0]["class"], &top[0]["probability"]), (2, &line["class"], &line["probability"]));
        assert!(line["class"].as_str().unwrap().starts_with("class0"));
        let (first, second) = (top[0]["probability"].as_f64().unwrap(), top[1]["probability"].as_f64().unwrap());
        assert!(first >= second && second > 0.0 && first + second <= 1.0, "{line}");
    }
}

#[test]
fn exports_evaluate_alike_and_start_other_runs() {
    let trained = Trained::new();
    trained.command(&["export", "--checkpoint", MODEL, "--out", "out.safetensors"]).assert().success();
    assert!(fs::read(trained.path("out.safetensors")).unwrap() == fs::read(trained.path(MODEL)).unwrap());
    trained.command(&["export", "--checkpoint", MODEL, "--out", "out.onnx"]).assert().success();
    assert!(fs::metadata(trained.path("out.onnx")).unwrap().len() > 40_000_000);
    let says = failure(&mut trained.command(&["export", "--checkpoint", MODEL, "--out", "out.pth"]), 2);
    assert!(says.contains(".safetensors or .onnx"), "{says}");

    // At a learning rate of zero only the statistics change, so that the starting values show.
    let still = "[{'ep':0,'sz':32,'bs':18},{'ep':(0,1),'lr':0.0}]";
    let options = ["--init", MODEL, "--weight-decay", "0"];
    trained.train("second", still, &options).assert().success();
    let parameter = |path: &str, name: &str| {
        let bytes = fs::read(trained.path(path)).unwrap();
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let about: Value = serde_json::from_slice(&bytes[8..header]).unwrap();
        let place = |index: usize| header + about[name]["data_offsets"][index].as_u64().unwrap() as usize;
        bytes[place(0)..place(1)].to_vec()
    };
    let second = "second/model.safetensors";
    for name in ["conv1.weight", "layer4.1.bn2.weight", "fc.weight"] {
        assert!(parameter(MODEL, name) == parameter(second, name), "{name}");
    }
    trained.train("third", still, &[&options[..], &["--new-head", "--seed", "9"]].concat()).assert().success();
    let third = "third/model.safetensors";
    assert!(parameter(MODEL, "conv1.weight") == parameter(third, "conv1.weight"));
    assert!(parameter(MODEL, "fc.weight") != parameter(third, "fc.weight"));
}

#[test]
fn a_network_with_blurpool_is_never_taken_for_the_plain_one() {
    let trained = Trained::new();
    // Weights load both ways, but what is computed differs.
    trained.train("blurred", PHASES, &["--init", MODEL, "-o", "network.blurpool=all"]).assert().success();
    let model = "blurred/model.safetensors";
    let (run, eval) = (trained.last_epoch("blurred"), trained.eval(model, &[]));
    assert_eq!((&eval["loss"], &eval["arch"]), (&run["val_loss"], &"resnet18-blurpool-all".into()));
    let says = failure(&mut trained.command(&["eval", "data", "--checkpoint", model, "--arch", "resnet18"]), 7);
    assert!(says.contains("give --arch resnet18-blurpool-all, which train calls -o network.blurpool=all"), "{says}");
    trained.command(&["export", "--checkpoint", model, "--out", "out.onnx"]).assert().success();
    let onnx = fs::read(trained.path("out.onnx")).unwrap();
    assert!(onnx.windows(19).any(|bytes| bytes == b"maxpool.blur.filter"));
    trained.train("plain", PHASES, &["--init", model]).assert().success();
    assert_eq!(trained.eval("plain/model.safetensors", &[])["arch"], "resnet18");
    // A run goes on as it began.
    let resumed = ["--resume", "blurred", "-o", "network.blurpool=convolutions"];
    let says = failure(&mut trained.train("other", PHASES, &resumed), 7);
    assert!(says.contains("network.blurpool is \"all\" in the checkpoint and \"convolutions\" here"), "{says}");
    let says = failure(&mut trained.train("other", PHASES, &["-o", "network.arch=resnet18-blurpool-all"]), 2);
    assert!(says.contains("expected resnet18, since a recipe says the rest by -o network.blurpool=all"), "{says}");
}

#[test]
fn a_resnet_d_is_trained_named_and_started_from() {
    let trained = Trained::new();
    let fields = ["-o", "network.stem=deep", "-o", "network.shortcut=pool"];
    trained.train("deep", PHASES, &fields).assert().success();
    let model = "deep/model.safetensors";
    let (run, eval) = (trained.last_epoch("deep"), trained.eval(model, &[]));
    assert_eq!((&eval["loss"], &eval["arch"]), (&run["val_loss"], &"resnet18d".into()));
    trained.command(&["export", "--checkpoint", model, "--out", "out.onnx"]).assert().success();
    let onnx = fs::read(trained.path("out.onnx")).unwrap();
    assert!(onnx.windows(11).any(|bytes| bytes == b"AveragePool"));
    // timm's name of the network says the same as both fields.
    let named = ["-o", "network.arch=resnet18d", "--init", model, "-o", "network.blurpool=all"];
    trained.train("named", PHASES, &named).assert().success();
    assert_eq!(trained.eval("named/model.safetensors", &[])["arch"], "resnet18d-blurpool-all");
    for (wrong, code, says) in [
        (
            &["--init", model][..],
            7,
            "expected a resnet18, got a file that says it is a resnet18d; give --arch resnet18d",
        ),
        (
            &["-o", "network.arch=resnet18d", "-o", "network.stem=original"],
            2,
            "expected network.stem to be deep or auto, since the network is resnet18d; got original",
        ),
    ] {
        let error = failure(&mut trained.train("wrong", PHASES, wrong), code);
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn files_that_do_not_serve_are_refused_in_a_line() {
    let trained = Trained::new();
    let whole = fs::read(trained.path(MODEL)).unwrap();
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let cases: [(&str, &[u8], &str); 5] = [
        ("empty", b"", "an empty file"),
        ("zip", b"PK\x03\x04...", "weights_only=True"),
        ("cut", &whole[..whole.len() / 2], "damaged"),
        ("flipped", &flipped, "checksum"),
        ("hostile", b"\xff\xff\xff\xff\xff\xff\xff\xff{}", "damaged"),
    ];
    for (name, bytes, part) in cases {
        fs::write(trained.path(name), bytes).unwrap();
        for command in [&["eval", "data"][..], &["predict", "data/val"], &["export", "--out", "x.onnx"]] {
            let says = failure(trained.command(command).args(["--checkpoint", name]), 7);
            assert!(says.contains(part) && says.contains(name), "{says}");
        }
    }
    assert!(!Path::new(&trained.path("x.onnx")).exists());
    let gone = failure(&mut trained.command(&["eval", "data", "--checkpoint", "gone"]), 7);
    assert!(gone.contains("gone: expected to read"), "{gone}");
    let other = failure(&mut trained.command(&["eval", "data", "--checkpoint", MODEL, "--arch", "resnet50"]), 7);
    assert!(other.contains("give --arch resnet18"), "{other}");

    write_class_folders(&trained.path("four/val"), 4, 1, &[(40, 40)]).unwrap();
    write_class_folders(&trained.path("four/train"), 4, 4, &[(40, 40)]).unwrap();
    let classes = failure(&mut trained.command(&["eval", "four", "--checkpoint", MODEL]), 2);
    assert!(classes.contains("3 instead of 4"), "{classes}");
    let mut command = trained.command(&["train", "four", "--arch", "resnet18", "--phases", PHASES, "--threads", "1"]);
    let head = failure(command.args(["--logdir", "never", "--init", MODEL]), 7);
    assert!(head.contains("4 classes, got one of 3") && head.contains("--new-head"), "{head}");
}
