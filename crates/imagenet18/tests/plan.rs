//! What `train --dry-run` and `recipes` print, without any images.

use assert_cmd::Command;
use serde_json::Value;

fn imagenet18() -> Command {
    Command::cargo_bin("imagenet18").unwrap()
}

fn plan(arguments: &[&str]) -> Vec<Value> {
    let output = imagenet18().args(["train", "--dry-run", "--json"]).args(arguments).assert().success();
    let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_seed_schedule_on_eight_devices() {
    let epochs = plan(&["--recipe", "seed-8gpu", "--images", "1281167", "--world", "8"]);
    assert_eq!(epochs.len(), 28);
    let first = &epochs[0];
    // 1,281,167 images over 8 devices are 160,146 on each. In batches of 512 that is 313 steps.
    assert_eq!(
        (first["size"].as_u64(), first["batch"].as_u64(), first["steps"].as_u64()),
        (Some(128), Some(512), Some(313))
    );
    assert_eq!((first["train_dir"].as_str(), first["val_batch"].as_u64()), (Some("-sz/160"), Some(512)));
    // The rate rises from 1 to 2 over 7 epochs, so the first step has 1 + 1 / (7 · 313).
    assert!((first["lr_first"].as_f64().unwrap() - (1.0 + 1.0 / 2191.0)).abs() < 1e-12);
    let last = &epochs[27];
    assert_eq!((last["size"].as_u64(), last["rect_val"].as_bool()), (Some(288), Some(true)));
    assert_eq!((last["train_dir"].as_str(), last["min_scale"].as_f64()), (Some(""), Some(0.5)));
    assert!((last["lr_last"].as_f64().unwrap() - 0.00025).abs() < 1e-12);
    let keys: Vec<&String> = first.as_object().unwrap().keys().collect();
    let expected = [
        "batch",
        "device_bytes",
        "epoch",
        "lr_first",
        "lr_last",
        "min_scale",
        "rect_val",
        "size",
        "steps",
        "train_dir",
        "val_batch",
        "val_dir",
    ];
    assert_eq!(keys, expected);
    // 25.6 million parameters with velocities and gradients, and equal activations for each image.
    let needs = |epoch: &Value| epoch["device_bytes"].as_u64().unwrap();
    let state = 3 * 4 * 25_557_032;
    let smaller = &plan(&["--phases", "[{'ep':0,'sz':128,'bs':256},{'ep':(0,1),'lr':(1,2)}]", "--images", "1000"])[0];
    let ratio = (needs(first) - state) as f64 / (needs(smaller) - state) as f64;
    assert!((1.9..2.1).contains(&ratio), "{ratio}");
}

#[test]
fn the_plan_says_what_validation_sees() {
    let recipe = ["--recipe", "seed-8gpu", "--images", "1281167", "--world", "8"];
    let size = [&recipe[..], &["-o", "evaluate.size=256"]].concat();
    let (plain, larger) = (plan(&recipe), plan(&size));
    assert_eq!((larger[0]["val_size"].as_u64(), larger[0]["val_batch"].as_u64()), (Some(256), Some(128)));
    assert!(plain[0]["val_size"].is_null() && larger.iter().all(|epoch| epoch["val_size"] == 256));
    // The memory of a validation counts where training needs less.
    let needs = |size: &str| {
        let phases = ["--phases", "[{'ep':0,'sz':32,'bs':8},{'ep':(0,1),'lr':(1,2)}]", "--images", "1000", "-o", size];
        plan(&phases)[0]["device_bytes"].as_u64().unwrap()
    };
    assert!(needs("evaluate.size=256") > 2 * needs("evaluate.size=training"));
    let all = ["-o", "evaluate.tta=flip-logits", "-o", "evaluate.crop=0.875", "-o", "evaluate.rectangular=false"];
    let output = imagenet18().args(["train", "--dry-run"]).args(&size).args(all).assert().success();
    let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    assert!(text.contains("\nvalidation: 256 px, crop 0.875, tta flip-logits\n"), "{text}");
    assert!(!text.contains("  yes  "), "{text}");
}

#[test]
fn phases_toml_and_preset_make_one_plan() {
    let folder = tempfile::tempdir().unwrap();
    let toml = imagenet18().args(["recipes", "cloud-4gpu", "--toml"]).output().unwrap().stdout;
    let file = folder.path().join("cloud.toml");
    std::fs::write(&file, toml).unwrap();
    let phases = String::from_utf8(imagenet18().args(["recipes", "cloud-4gpu"]).output().unwrap().stdout).unwrap();
    let size = ["--images", "100000", "--world", "4"];
    let by_name = plan(&[&["--recipe", "cloud-4gpu"][..], &size].concat());
    assert_eq!(plan(&[&["--recipe", file.to_str().unwrap()][..], &size].concat()), by_name);
    assert_eq!(plan(&[&["--phases", &phases][..], &size].concat()), by_name);
}

#[test]
fn recipes_lists_every_schedule_with_what_it_reached() {
    let text = String::from_utf8(imagenet18().arg("recipes").output().unwrap().stdout).unwrap();
    for part in ["seed-8gpu", "cloud-4gpu", "1-machine", "4-machines", "8-machines", "16-machines", "93.018 %"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}
