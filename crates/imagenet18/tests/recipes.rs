//! What a recipe brings beside its phases, and what is said of it.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use in18_testkit::images::write_class_folders;

fn imagenet18(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("imagenet18").unwrap();
    command.args(arguments);
    command
}

/// What a dry run of a preset says beside the plan.
fn says(more: &[&str]) -> String {
    let planned = ["train", "--dry-run", "--images", "1281167", "--recipe", "seed-8gpu"];
    let output = imagenet18(&[&planned[..], more].concat()).assert().success();
    String::from_utf8(output.get_output().stderr.clone()).unwrap()
}

#[test]
fn a_preset_says_which_flags_it_brings_and_warns_of_other_devices() {
    let brings = |flags: &str, off: &str| {
        format!("note: --recipe seed-8gpu brings {flags}, for which it was written ({off} for without)\n")
    };
    let all = brings("--arch resnet50 --init-bn0 --no-bn-wd", "--init-bn0=false --no-bn-wd=false");
    assert_eq!(says(&["--world", "8"]), all);
    let flags = ["--world", "8", "--arch", "resnet50", "--init-bn0", "--no-bn-wd"];
    assert_eq!(says(&flags), "");
    assert_eq!(
        says(&["--world", "8", "--arch", "resnet18", "--init-bn0=false"]),
        brings("--no-bn-wd", "--no-bn-wd=false")
    );
    let said = says(&["--world", "2"]);
    let warning = said.strip_prefix(&all).expect("the note comes first");
    assert_eq!(warning.lines().count(), 1, "{warning}");
    for part in [
        "warning: --recipe seed-8gpu was made for 8 devices (Titan RTX), got 2: ",
        "1/4 of what its rates suit: take 8 devices, or give its phases (`imagenet18 recipes seed-8gpu`) as --phases with 'bs' \
         times 4 or 'lr' times 1/4",
    ] {
        assert!(warning.contains(part), "expected {part:?} in {warning}");
    }
}

#[test]
fn the_list_shows_devices_and_flags() {
    let text = String::from_utf8(imagenet18(&["recipes"]).output().unwrap().stdout).unwrap();
    assert_eq!(text.matches("brings --arch resnet50 --init-bn0 --no-bn-wd\n").count(), 6, "{text}");
    for devices in ["for 8 Titan RTX; ", "for 4 GTX 1080 Ti; ", "for 8 V100; ", "for 128 V100; "] {
        assert!(text.contains(devices), "{devices} in {text}");
    }
    let toml = String::from_utf8(imagenet18(&["recipes", "cloud-4gpu", "--toml"]).output().unwrap().stdout).unwrap();
    for line in ["arch = \"resnet50\"\n", "init_bn0 = true\n", "no_bn_wd = true\n", "devices = 4\n"] {
        assert!(toml.contains(line), "{line} in {toml}");
    }
}

#[test]
fn a_run_by_a_recipe_is_the_run_with_its_flags() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    write_class_folders(&folder.path().join("data/train"), 2, 4, &[(40, 40)]).unwrap();
    write_class_folders(&folder.path().join("data/val"), 2, 1, &[(40, 40)]).unwrap();
    let (data, recipe) = (at("data"), at("small.toml"));
    let phases = "phase = [{ ep = 0, sz = 32, bs = 4, lr = 0.1 }, { ep = [0, 1], lr = 0.1 }]\n";
    fs::write(&recipe, format!("arch = 'resnet18'\ninit_bn0 = true\nno_bn_wd = true\ndevices = 1\n{phases}")).unwrap();
    let train = |logdir: &str, more: &[&str]| {
        let common = ["train", &data, "--precision", "fp32", "-j", "1", "--logdir", &at(logdir)];
        imagenet18(&[&common[..], more].concat()).assert()
    };
    let network = |logdir: &str| fs::read(Path::new(&at(logdir)).join("model.safetensors")).unwrap();

    let output = train("recipe", &["--recipe", &recipe]).success();
    let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    let notes =
        format!("note: --recipe {recipe} brings --arch resnet18 --init-bn0 --no-bn-wd, for which it was written");
    assert!(stderr.starts_with(&notes) && !stderr.contains("warning"), "{stderr}");
    let phases = ["--phases", "[{'ep':0,'sz':32,'bs':4,'lr':0.1},{'ep':(0,1),'lr':0.1}]", "--arch", "resnet18"];
    let flags = [&phases[..], &["--init-bn0", "--no-bn-wd"]].concat();
    train("flags", &flags).success();
    assert!(network("recipe") == network("flags"), "the recipe's flags are others");
    train("off", &["--recipe", &recipe, "--init-bn0=false"]).success();
    assert!(network("recipe") != network("off"), "--init-bn0=false changed nothing");

    // A run knows its flags, wherever they come from.
    train("recipe", &[&flags[..], &["--resume", "auto"]].concat()).success();
    for (more, says) in [
        (&["--no-bn-wd"][..], "network.init_bn0 is true in the checkpoint and false here"),
        (&["--init-bn0"], "optimizer.no_bn_wd is true in the checkpoint and false here"),
    ] {
        let output = train("recipe", &[&phases[..], more, &["--resume", "auto"]].concat()).code(7);
        let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        assert!(stderr.contains(says) && stderr.lines().count() == 1, "{stderr}");
    }
    fs::write(
        &recipe,
        format!("arch = 'resnet7'\n{}", fs::read_to_string(&recipe).unwrap().split_once('\n').unwrap().1),
    )
    .unwrap();
    let output = train("wrong", &["--recipe", &recipe]).code(2);
    let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(stderr.contains("small.toml: arch: expected one of resnet18, ") && stderr.lines().count() == 1, "{stderr}");
}
