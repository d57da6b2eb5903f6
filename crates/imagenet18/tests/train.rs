//! `train` on small generated images: what it prints and writes, and that its results repeat.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use in18_testkit::images::write_class_folders;
use serde_json::Value;

/// Two sizes, the second with rectangular validation.
const PHASES: &str =
    "[{'ep':0,'sz':32,'bs':10},{'ep':(0,2),'lr':(0.02,0.05)},{'ep':1,'sz':48,'bs':10,'rect_val':True}]";

fn photos(folder: &Path) {
    let sizes = [(40, 56), (64, 48), (50, 50)];
    write_class_folders(&folder.join("train"), 3, 9, &sizes).unwrap();
    write_class_folders(&folder.join("val"), 3, 4, &sizes).unwrap();
}

fn train(data: &Path, logdir: &Path, more: &[&str]) -> Command {
    let mut command = Command::cargo_bin("imagenet18").unwrap();
    command.arg("train").arg(data).arg("--logdir").arg(logdir);
    command.args(["--arch", "resnet18", "--init-bn0", "--no-bn-wd", "--phases", PHASES]).args(more);
    command
}

#[test]
fn a_run_prints_the_table_and_leaves_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let (data, logdir) = (folder.path().join("photos"), folder.path().join("logs/first"));
    photos(&data);
    let output = train(&data, &logdir, &["-p", "1"]).assert().success();
    let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    let table: Vec<&str> = text.lines().take(3).collect();
    assert_eq!(table[0], "Epoch  Training Time (hour)  Top-1 Acc  Top-5 Acc");
    assert!(table[1].trim_start().starts_with("1 ") && table[2].trim_start().starts_with("2 "), "{text}");

    let event = fs::read_to_string(logdir.join("event.log")).unwrap();
    assert!(event.contains("~~epoch\thours\ttop1\ttop5\n"), "{event}");
    assert_eq!(
        event.lines().filter(|line| line.starts_with("~~0\t") || line.starts_with("~~1\t")).count(),
        2,
        "{event}"
    );
    // 27 images in batches of 10 are three steps, the last with seven images.
    let verbose = fs::read_to_string(logdir.join("verbose.log")).unwrap();
    assert!(verbose.contains("Epoch: [0][3/3]") && verbose.contains("Epoch: [1][3/3]"), "{verbose}");
    assert!(fs::read_to_string(logdir.join("debug.log")).unwrap().contains("Epoch: [1][3/3]"));

    let metrics = fs::read_to_string(logdir.join("metrics.jsonl")).unwrap();
    let events: Vec<Value> = metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).collect::<Vec<_>>();
    assert_eq!((of("run_start").len(), of("step").len(), of("epoch_end").len(), of("run_end").len()), (1, 6, 2, 1));
    let images: Vec<u64> = of("step").iter().map(|step| step["images"].as_u64().unwrap()).collect();
    assert_eq!(images, [10, 10, 7, 10, 10, 7]);
    assert_eq!(of("epoch_end")[1]["images_seen"], 54);

    let mode = |name: &str| fs::metadata(logdir.join(name)).unwrap().permissions();
    assert_eq!(mode("model.safetensors"), mode("event.log"), "another may read the logs and not the network");
    let saved = fs::read(logdir.join("model.safetensors")).unwrap();
    let header = u64::from_le_bytes(saved[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&saved[8..8 + header]).unwrap();
    assert_eq!(header["layer1.0.conv1.weight"]["shape"], serde_json::json!([64, 64, 3, 3]));
    assert_eq!(header["fc.weight"]["shape"], serde_json::json!([3, 512]));
    assert_eq!(header["bn1.num_batches_tracked"]["dtype"], "I64");
    let about: Value = serde_json::from_str(header["__metadata__"]["imagenet18"].as_str().unwrap()).unwrap();
    assert_eq!(about["arch"], "resnet18");
    assert_eq!(about["classes"], serde_json::json!(["class00", "class01", "class02"]));
    assert_eq!(about["checksum"].as_str().unwrap().len(), "sha256:".len() + 64);
}

#[test]
fn the_same_seed_gives_the_same_bits_whatever_the_workers() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("photos");
    photos(&data);
    let parameters = |name: &str, more: &[&str]| {
        let logdir = folder.path().join(name);
        train(&data, &logdir, more).assert().success();
        fs::read(logdir.join("model.safetensors")).unwrap()
    };
    let first = parameters("a", &["--workers", "1", "--seed", "5"]);
    assert!(first == parameters("b", &["--workers", "3", "--seed", "5"]), "three workers changed the result");
    assert!(first != parameters("c", &["--workers", "1", "--seed", "6"]), "the seed changed nothing");
}

#[test]
fn fp32_trains_too() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("photos");
    photos(&data);
    train(&data, &folder.path().join("a"), &["--precision", "fp32", "--short-epoch"]).assert().success();
}

#[test]
fn shards_train_as_the_folders_that_they_were_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let (data, shards) = (folder.path().join("photos"), folder.path().join("shards"));
    photos(&data);
    let prepare = ["--sizes", "full", "--shard-images", "7"];
    Command::cargo_bin("imagenet18")
        .unwrap()
        .args(["data", "prepare"])
        .args([&data, &shards])
        .args(prepare)
        .assert()
        .success();
    let events = |name: &str, data: &Path, more: &[&str]| -> Vec<Value> {
        let logdir = folder.path().join(name);
        train(data, &logdir, more).assert().success();
        let metrics = fs::read_to_string(logdir.join("metrics.jsonl")).unwrap();
        metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let losses = |events: &[Value]| -> Vec<f64> { events.iter().filter_map(|event| event["loss"].as_f64()).collect() };
    let from_folders = events("folders", &data, &[]);
    assert_eq!(losses(&from_folders), losses(&events("shards", &shards, &[])));
    assert!(
        from_folders.iter().any(|event| event["event"] == "loader" && event["decode_seconds"].as_f64() > Some(0.0))
    );

    // Another order of the same images, without the partial last batch.
    let window = events("window", &shards, &["--shuffle", "window", "--drop-last"]);
    let steps: Vec<u64> =
        window.iter().filter(|e| e["event"] == "step").map(|e| e["images"].as_u64().unwrap()).collect();
    assert_eq!(steps, [10, 10, 10, 10]);
    assert_ne!(losses(&window)[..2], losses(&from_folders)[..2]);
    assert_eq!(losses(&window), losses(&events("again", &shards, &["--shuffle", "window", "--drop-last", "-j", "3"])));

    // A shard that was cut short is refused before training; in a damaged one, each bad image.
    let shard = shards.join("train/000001.tar");
    let bytes = fs::read(&shard).unwrap();
    fs::write(&shard, &bytes[..bytes.len() - 1]).unwrap();
    let cut = train(&shards, &folder.path().join("cut"), &[]).assert().failure().code(3);
    let said = String::from_utf8(cut.get_output().stderr.clone()).unwrap();
    assert!(said.contains("000001.tar of ") && said.trim_end().lines().count() == 1, "{said}");
    let mut damaged = bytes.clone();
    damaged[bytes.len() - 3000] ^= 1;
    fs::write(&shard, damaged).unwrap();
    let failed = train(&shards, &folder.path().join("damaged"), &["--on-bad-image", "fail"]).assert().failure().code(3);
    let said = String::from_utf8(failed.get_output().stderr.clone()).unwrap();
    let last = said.trim_end().lines().last().unwrap();
    assert!(last.contains("/000001.tar/class0") && last.contains("expected checksum"), "{last}");
}

#[test]
fn a_run_that_waits_for_its_images_says_what_would_help() {
    let folder = tempfile::tempdir().unwrap();
    let (data, logdir) = (folder.path().join("photos"), folder.path().join("run"));
    // Decoding these photos takes far longer than training on them.
    write_class_folders(&data.join("train"), 2, 10, &[(1600, 1200)]).unwrap();
    write_class_folders(&data.join("val"), 2, 1, &[(40, 40)]).unwrap();
    let phases = "[{'ep':0,'sz':32,'bs':10},{'ep':(0,1),'lr':(0.02,0.01)}]";
    let output = Command::cargo_bin("imagenet18")
        .unwrap()
        .arg("train")
        .arg(&data)
        .arg("--logdir")
        .arg(&logdir)
        .args(["--arch", "resnet18", "--phases", phases])
        .assert()
        .success();
    let said = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    let advice: Vec<&str> = said.lines().filter(|line| line.starts_with("Epoch 0 waited ")).collect();
    assert_eq!(advice.len(), 1, "{said}");
    assert!(
        advice[0].contains("its images have 1386 x 1386 pixels on average where 40 of the short side do"),
        "{said}"
    );
    assert!(advice[0].contains(&format!("`imagenet18 data prepare {} DST --sizes 40`", data.display())), "{said}");
    let debug = fs::read_to_string(logdir.join("debug.log")).unwrap();
    assert!(debug.contains("Loader threads: ") && debug.contains(advice[0]), "{debug}");
}
