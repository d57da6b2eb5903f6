//! What a recipe brings beside its phases, and what the program prints about it.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use in18_testkit::images::write_class_folders;

fn imagenet18(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("imagenet18").unwrap();
    command.args(arguments);
    command
}

/// What a dry run of a preset prints beside the plan.
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
    for line in ["arch = \"resnet50\"\n", "bn0 = true\n", "no_bn_wd = true\n", "devices = 4\n"] {
        assert!(toml.contains(line), "{line} in {toml}");
    }
}

#[test]
fn what_show_prints_is_the_recipe() {
    let folder = tempfile::tempdir().unwrap();
    let list = String::from_utf8(imagenet18(&["recipes", "--json"]).output().unwrap().stdout).unwrap();
    let names = list.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["name"].clone());
    let names: Vec<String> = names.map(|name| name.as_str().unwrap().to_owned()).collect();
    assert_eq!(names.len(), 6);
    for name in &names {
        let toml = imagenet18(&["recipes", "show", name]).assert().success().get_output().stdout.clone();
        assert_eq!(imagenet18(&["recipes", name, "--toml"]).output().unwrap().stdout, toml);
        let file = folder.path().join(format!("{name}.toml"));
        fs::write(&file, toml).unwrap();
        let plan = |recipe: &str| {
            let plan = ["train", "--dry-run", "--json", "--images", "1281167", "--world", "8", "--recipe", recipe];
            imagenet18(&plan).assert().success().get_output().clone()
        };
        let (by_name, by_file) = (plan(name), plan(file.to_str().unwrap()));
        assert!(by_name.stdout == by_file.stdout, "{name}: another plan");
        let said = |stderr: &[u8], recipe: &str| String::from_utf8(stderr.to_owned()).unwrap().replace(recipe, "R");
        let notes = |text: String| text.lines().next().unwrap().to_owned();
        assert_eq!(notes(said(&by_name.stderr, name)), notes(said(&by_file.stderr, file.to_str().unwrap())));
    }
    let unknown = imagenet18(&["recipes", "show", "fast"]).output().unwrap();
    assert!(String::from_utf8(unknown.stderr).unwrap().contains("seed-8gpu, cloud-4gpu, "));
}

/// The last of several values counts, whatever it overrides.
#[test]
fn fields_are_set_one_by_one() {
    let phases = "[{'ep':0,'sz':32,'bs':4,'lr':0.5},{'ep':(0,1),'lr':0.5}]";
    let planned = ["train", "--dry-run", "--images", "100", "--phases", phases];
    let plan = |more: &[&str]| {
        let output = imagenet18(&[&planned[..], more].concat()).assert().success();
        String::from_utf8(output.get_output().stdout.clone()).unwrap()
    };
    let with_scale = |scale: &str| plan(&[]).replace("  0.08  ", &format!("{scale:>6}  "));
    let scale = |scale: &str| format!("augment.min_scale={scale}");
    assert_eq!(plan(&["-o", &scale("0.25")]), with_scale("0.25"));
    assert_eq!(plan(&["-o", &scale("0.25"), "-o", &scale("0.5")]), with_scale("0.5"));
    assert_eq!(plan(&["-o", &scale("0.5"), "-o", &scale("0.25")]), with_scale("0.25"));
    // It also overrides the values of a recipe and of a flag.
    let arch = |more: &[&str]| plan(&[&["--arch", "resnet18"], more].concat());
    assert_eq!(arch(&["-o", "network.arch=resnet34"]), plan(&["--arch", "resnet34"]));
    assert_ne!(arch(&["-o", "network.arch=resnet34"]), arch(&[]));
    // What is done to images beside cropping and flipping is a line.
    let fields = ["augment.mixup=0.2", "augment.cutmix=1", "augment.erase=0.25", "augment.jitter.brightness=0.4"];
    let mixed = plan(&fields.map(|field| ["-o", field]).concat());
    let [head, line] = [0, 1].map(|number| mixed.lines().nth(number).unwrap());
    assert_eq!(line, "images: brightness 0.4, erase 0.25, mixup 0.2 or cutmix 1");
    assert_eq!(mixed.replacen(&format!("{line}\n"), "", 1), plan(&[]), "{head}");
    for (field, says) in [
        (
            "optimizer.momentun=0.95",
            "optimizer: expected one of kind, rate, momentum, weight_decay, no_bn_wd, no_bias_wd, decoupled, nesterov, trust, clip_norm, gradients, got 'momentun': did you mean 'momentum'?",
        ),
        ("optimiser.momentum=0.95", "did you mean 'optimizer'?"),
        ("optimizer.momentum=2", "expected a number from 0 to 1 (1 excluded), got 2"),
        ("network.arch=vgg", "expected one of resnet18, "),
        ("augment.mixup=-1", "expected 0 (off), or a number from 0.001 to 1000, got -1"),
        ("network.shortcut=avg", "expected one of auto, conv, pool, got 'avg'"),
        ("network.blurpool=some", "expected one of none, convolutions, all, got 'some'"),
        ("momentum", "expected FIELD=VALUE, such as optimizer.momentum=0.95, got `momentum`"),
    ] {
        let output = imagenet18(&[&planned[..], &["-o", field]].concat()).assert().code(2);
        let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        assert!(stderr.starts_with("error: -o") && stderr.contains(field) && stderr.contains(says), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("typo.toml");
    fs::write(&file, "[optimizer]\nmomentum = 0.9\nweigth_decay = 1\n[[phase]]\nep = 0\nlr = 1\n").unwrap();
    let file = file.to_str().unwrap();
    let output = imagenet18(&["train", "--dry-run", "--images", "9", "--recipe", file]).assert().code(2);
    assert_eq!(
        String::from_utf8(output.get_output().stderr.clone()).unwrap(),
        format!(
            "error: --recipe {file}: line 3, column 1: optimizer: expected one of kind, rate, momentum, weight_decay, no_bn_wd, \
             no_bias_wd, decoupled, nesterov, trust, clip_norm, gradients, got 'weigth_decay': did you mean 'weight_decay'?\n"
        )
    );
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
    train("fields", &[&phases[..], &["-o", "initial.bn0=true", "-o", "no_bn_wd=true"]].concat()).success();
    assert!(network("recipe") == network("fields"), "its fields are others");
    train("off", &["--recipe", &recipe, "--init-bn0=false"]).success();
    assert!(network("recipe") != network("off"), "--init-bn0=false changed nothing");

    // A run knows its flags, wherever they come from.
    train("recipe", &[&flags[..], &["--resume", "auto"]].concat()).success();
    for (more, says) in [
        (&["--no-bn-wd"][..], "initial.bn0 is true in the checkpoint and false here"),
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
