//! `bench` measures what it promises, and prints it in a form that scripts can read.

use assert_cmd::Command;
use in18_testkit::images::write_class_folders;
use serde_json::Value;

fn bench(arguments: &[&str]) -> assert_cmd::assert::Assert {
    Command::cargo_bin("imagenet18").unwrap().arg("bench").args(arguments).assert()
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_slice(&bench(arguments).success().get_output().stdout).unwrap()
}

#[test]
fn a_step_is_measured() {
    let common = ["step", "--arch", "resnet18", "--size", "32", "--batch", "2", "--steps", "1", "--precision", "fp32"];
    let training = json(&[&common[..], &["--json"]].concat());
    let evaluation = json(&[&common[..], &["--json", "--eval", "--width", "64"]].concat());
    for (result, width) in [(&training, 32), (&evaluation, 64)] {
        assert_eq!((&result["batch"], &result["size"], &result["width"]), (&2.into(), &32.into(), &width.into()));
        assert!(result["images_per_s"].as_f64().unwrap() > 0.0, "{result}");
    }
    assert_eq!(training["arch"], "resnet18");
    let blurred = ["-o", "network.blurpool=all"];
    assert_eq!(json(&[&common[..], &["--json"], &blurred[..]].concat())["arch"], "resnet18-blurpool-all");
    let d = ["-o", "network.stem=deep", "-o", "network.shortcut=pool"];
    assert_eq!(json(&[&common[..], &["--json"], &d[..]].concat())["arch"], "resnet18d");
    let all = "average.ema_half_life=5 average.lookahead=1 optimizer.nesterov=true loss.smoothing=0.1";
    let fields: Vec<&str> = all.split(' ').flat_map(|field| ["-o", field]).collect();
    let published = ["step", "--recipe", "seed-8gpu", "--size", "32", "--batch", "2", "--steps", "1", "--json"];
    assert_eq!(json(&[&published[..], &fields].concat())["arch"], "resnet50");
    let useless = bench(&[&common[..], &["-o", "seed=3"]].concat()).code(2);
    assert!(
        String::from_utf8_lossy(&useless.get_output().stderr)
            .contains("expected a field of network, loss, optimizer, average")
    );
    let profile = bench(&[&common[..], &["--profile"]].concat()).success();
    let table = String::from_utf8(profile.get_output().stdout.clone()).unwrap();
    for kind in ["ConvBackwardWeight", "BatchNormAddRelu", "Sgd", "ms in operations"] {
        assert!(table.contains(kind), "{kind} is missing in {table}");
    }
}

#[test]
fn a_loader_is_measured_on_every_image() {
    let folder = tempfile::tempdir().unwrap();
    write_class_folders(folder.path(), 2, 9, &[(40, 48)]).unwrap();
    let path = folder.path().to_str().unwrap();
    let result = json(&["loader", path, "--size", "32", "--batch", "4", "--threads", "2", "--passes", "1", "--json"]);
    assert_eq!((&result["images"], &result["bad_images"], &result["threads"]), (&18.into(), &0.into(), &2.into()));
    assert!(result["images_per_s"].as_f64().unwrap() > 0.0, "{result}");

    let mistake = bench(&["loader", "no/such/folder"]).failure();
    let line = String::from_utf8(mistake.get_output().stderr.clone()).unwrap();
    assert!(line.contains("no/such/folder") && line.trim_end().lines().count() == 1, "{line}");
    let mistake = bench(&["loader", path, "--min-scale", "2"]).failure();
    let line = String::from_utf8(mistake.get_output().stderr.clone()).unwrap();
    assert!(line.contains('2') && line.trim_end().lines().count() == 1, "{line}");
}

#[test]
fn a_sweep_tells_every_operations_share_of_the_peak() {
    let common =
        ["sweep", "--arch", "resnet18", "--sizes", "32,32x40", "--batch", "2", "--steps", "1", "--precision", "fp32"];
    let result = bench(&[&common[..], &["--json"]].concat()).success();
    let text = String::from_utf8(result.get_output().stdout.clone()).unwrap();
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let machine = lines.next().unwrap();
    assert!(machine["peak_gflops"].as_f64().unwrap() > 0.0 && machine["cpu"].as_str().is_some(), "{machine}");
    let operations: Vec<Value> = lines.collect();
    for (width, eval, kind) in [(32, false, "ConvBackwardWeight"), (40, false, "Conv "), (32, true, "ConvNorm")] {
        let is_it = |line: &&Value| {
            let label = line["operation"].as_str().unwrap();
            line["width"] == width && line["eval"] == eval && label.starts_with(kind)
        };
        let found = operations.iter().find(is_it).unwrap_or_else(|| panic!("no {kind} at {width}: {text}"));
        assert!(
            found["share_of_peak"].as_f64().unwrap() > 0.0 && found["implementation"].as_str().is_some(),
            "{found}"
        );
    }
    let table = bench(&common).success();
    let table = String::from_utf8(table.get_output().stdout.clone()).unwrap();
    assert!(table.contains("below a quarter of peak") && table.contains("of peak  operation"), "{table}");
}
