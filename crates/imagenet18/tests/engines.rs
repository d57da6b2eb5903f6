//! What `--engine` and `--devices` choose: engines agree, and missing ones get a clear message.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use in18_libtorch::LIBRARY;
use in18_testkit::images::write_class_folders;
use in18_testkit::skip::lacks;
use serde_json::Value;

fn train(data: &Path, logdir: &Path, more: &[&str]) -> Command {
    let mut command = Command::cargo_bin("imagenet18").unwrap();
    command.arg("train").arg(data).arg("--logdir").arg(logdir).args(["--init-bn0", "--no-bn-wd"]).args(more);
    command
}

fn photos(folder: &Path, images_per_class: usize) {
    write_class_folders(&folder.join("train"), 8, images_per_class, &[(80, 72), (72, 80)]).unwrap();
    write_class_folders(&folder.join("val"), 8, 2, &[(72, 72)]).unwrap();
}

#[test]
fn a_launcher_that_leaves_out_how_many_ranks_a_machine_has_is_told_once() {
    // The command ends before it looks for other ranks, because oneDNN does not have its precision.
    let output = Command::cargo_bin("imagenet18")
        .unwrap()
        .envs([("RANK", "0"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "192.0.2.1"), ("MASTER_PORT", "29513")])
        .env_remove("LOCAL_WORLD_SIZE")
        .args(["bench", "step", "--engine", "onednn", "--precision", "fp16"])
        .assert()
        .failure();
    let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert_eq!(stderr.matches("warning: LOCAL_WORLD_SIZE is not set").count(), 1, "{stderr}");
    assert!(stderr.contains("use --engine torch, or --precision bf16"), "{stderr}");
}

#[test]
fn devices_that_are_not_there_are_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let has_gpus = in18_system::proc::has_nvidia_driver();
    photos(folder.path(), 2);
    let phases = "[{'ep':0,'sz':32,'bs':4},{'ep':(0,1),'lr':(0.02,0.05)}]";
    let torch_says = "no NVIDIA driver found";
    for (arguments, says) in [
        (&["--devices", "cuda:9"][..], torch_says),
        (&["--devices", "all"], torch_says),
        (&["--devices", "64"], torch_says),
        (&["--devices", "tpu"], "expected cpu, cpu:N, cuda, cuda:0,2, a number from 1 on or all, got `tpu`"),
        (&["--devices", "cuda:1,1"], "got cuda:1 twice"),
        (&["--precision", "fp16", "--engine", "onednn"], "use --engine torch, or --precision bf16"),
    ] {
        if has_gpus && says == torch_says {
            // This machine has some of these devices.
            continue;
        }
        let mut command =
            train(folder.path(), &folder.path().join("logs"), &["--arch", "resnet18", "--phases", phases]);
        let output = command.args(arguments).assert().failure();
        let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        let lines: Vec<&str> = stderr.lines().collect();
        assert!(lines.len() == 1 && lines[0].contains(says), "{arguments:?}: {stderr}");
    }
}

/// Uses an empty folder, so that the library is missing whether this machine has it or not.
#[test]
fn an_engine_that_is_not_there_says_how_to_get_it() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    photos(data.path(), 2);
    let refused = |command: &mut Command, says: &str| {
        let output = command.env("IN18_TORCH", folder.path()).assert().code(2);
        let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        let lines: Vec<&str> = stderr.lines().collect();
        assert!(lines.len() == 1 && lines[0].contains(says), "expected {says:?}: {stderr}");
        assert!(stderr.contains("libin18_torch.so") && stderr.contains("`cargo xtask setup --torch`"), "{stderr}");
    };
    let phases = "[{'ep':0,'sz':32,'bs':4},{'ep':(0,1),'lr':(0.02,0.05)}]";
    let train = |devices: &str| {
        let arguments = ["--arch", "resnet18", "--phases", phases, "--devices", devices];
        train(data.path(), &data.path().join("logs"), &arguments)
    };
    let refuses = |says: &str| {
        let mut command = Command::cargo_bin("imagenet18").unwrap();
        refused(command.args(["bench", "step", "--engine", "torch"]), &format!("--engine torch: {says}"));
        let ranks = format!("several ranks are joined by libtorch's engine: {says}");
        refused(&mut train("cpu:2"), &format!("--devices: {ranks}"));
        // As a rank of another launcher.
        let rank = [("RANK", "0"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", "29514")];
        refused(train("cpu").envs(rank).env("LOCAL_WORLD_SIZE", "2"), &format!("2 ranks: {ranks}"));
    };
    refuses(&format!("IN18_TORCH={}: expected libin18_torch.so in that folder, got none", folder.path().display()));
    // A library of another build than this program.
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let other =
        maps.lines().find_map(|line| line.split_whitespace().last().filter(|path| path.ends_with("/libc.so.6")));
    let file = folder.path().join("libin18_torch.so");
    std::os::unix::fs::symlink(other.expect("the C library"), &file).unwrap();
    refuses(&format!("{} is of another build than this program", file.display()));
}

#[test]
fn engines_says_what_is_here_and_which_command_brings_what_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let list = |command: &mut Command| -> String {
        String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
    };
    let hidden = list(Command::cargo_bin("imagenet18").unwrap().arg("engines").env("IN18_TORCH", folder.path()));
    let row = |text: &str, begin: &str| {
        text.lines().find(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("no {begin}: {text}")).to_owned()
    };
    assert!(row(&hidden, "engine  onednn  ").contains("oneDNN 3."), "{hidden}");
    assert!(row(&hidden, "engine  torch ").contains("not here: IN18_TORCH="), "{hidden}");
    assert!(row(&hidden, "engine  torch ").contains("`cargo xtask setup --torch`"), "{hidden}");
    assert!(row(&hidden, "device  cpu ").contains(" core"), "{hidden}");
    row(&hidden, "device  cuda");

    if lacks(LIBRARY) {
        return;
    }
    let here = list(Command::cargo_bin("imagenet18").unwrap().arg("engines"));
    let file = LIBRARY.find().unwrap();
    let torch = row(&here, "engine  torch ");
    assert!(torch.contains("libtorch 2.") && torch.contains(&file.display().to_string()), "{here}");
    let json = list(Command::cargo_bin("imagenet18").unwrap().args(["engines", "--json"]));
    let rows: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let torch = rows.iter().find(|row| row["engine"] == "torch").unwrap();
    assert_eq!((&torch["is_here"], torch["library"].as_str()), (&Value::Bool(true), file.to_str()));
    assert!(torch["version"].as_str().unwrap().starts_with("2.") && torch["precisions"][0] == "fp32", "{torch}");
}

/// The loss of each training step.
fn losses(logdir: &Path) -> Vec<f64> {
    let metrics = fs::read_to_string(logdir.join("metrics.jsonl")).unwrap();
    let events = metrics.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["event"] == "step").map(|event| event["loss"].as_f64().unwrap()).collect()
}

/// Events of one kind.
fn events(logdir: &Path, kind: &str) -> Vec<Value> {
    let metrics = fs::read_to_string(logdir.join("metrics.jsonl")).unwrap();
    let events = metrics.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["event"] == kind).collect()
}

#[test]
fn fp16_learns_what_fp32_learns_with_a_fixed_and_a_dynamic_scale() {
    if lacks(LIBRARY) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path(), 20);
    let phases = "[{'ep':0,'sz':32,'bs':16},{'ep':(0,1),'lr':(0.001,0.002)}]";
    let run = |name: &str, more: &[&str]| {
        let logdir = folder.path().join(name);
        let arguments = ["--arch", "resnet18", "--engine", "torch", "--phases", phases];
        train(folder.path(), &logdir, &arguments).args(more).assert().success();
        logdir
    };
    let fp32 = losses(&run("fp32", &["--precision", "fp32"]));
    assert_eq!(fp32.len(), 10);
    let fixed = run("fixed", &["--fp16"]);
    let start = &events(&fixed, "run_start")[0];
    assert_eq!(start["precision"], "fp16");
    for (step, (fp16, fp32)) in losses(&fixed).iter().zip(&fp32).enumerate() {
        assert!((fp16 - fp32).abs() < 0.02 * fp32, "step {step}: {fp16} in fp16, {fp32} in fp32");
    }
    // The dynamic scale starts so high that gradients overflow. Steps are skipped until they do
    // not.
    let dynamic = run("dynamic", &["--precision", "fp16", "--loss-scale", "dynamic:1e8"]);
    let skipped = events(&dynamic, "loss_scale");
    assert!(!skipped.is_empty() && skipped.iter().all(|event| event["overflow"] == true), "{skipped:?}");
    let last = skipped.last().unwrap();
    assert_eq!(last["overflows"], skipped.len());
    assert_eq!(last["scale"].as_f64().unwrap(), 1e8 / 2f64.powi(skipped.len() as i32));
    assert!(fs::read_to_string(dynamic.join("debug.log")).unwrap().contains("the step is skipped, loss scale"));
    let losses = losses(&dynamic);
    assert!(losses[9] < losses[0], "{losses:?}");
}

/// At small learning rates. At large ones rounding errors grow tenfold a step, so that libtorch on
/// one thread and on two differ by 5e-5 after three steps.
#[test]
fn twenty_steps_of_resnet50_have_the_losses_of_onednn() {
    if lacks(LIBRARY) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path(), 40);
    let phases = "[{'ep':0,'sz':96,'bs':16},{'ep':(0,1),'lr':(0.00005,0.0001)}]";
    let run = |engine: &str| {
        let logdir = folder.path().join(engine);
        let arguments = ["--arch", "resnet50", "--precision", "fp32", "--engine", engine, "--phases", phases];
        train(folder.path(), &logdir, &arguments).assert().success();
        losses(&logdir)
    };
    let (onednn, torch) = (run("onednn"), run("torch"));
    assert_eq!(onednn.len(), 20);
    for (step, (ours, theirs)) in onednn.iter().zip(&torch).enumerate() {
        let difference = (ours - theirs).abs() / ours;
        println!("step {step}: {ours:.6} and {theirs:.6}, {difference:.1e}");
        assert!(difference < 1e-4, "step {step}: {ours} with oneDNN, {theirs} with libtorch");
    }
    assert!(onednn[19] < 0.97 * onednn[0], "it learns nothing: {onednn:?}");
}
