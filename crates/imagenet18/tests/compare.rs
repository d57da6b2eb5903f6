//! `imagenet18 compare`: recipes and seeds side by side.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use in18_testkit::images::write_class_folders;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const RECIPE: &str =
    "network.arch = 'resnet18'\nphases = \"[{'ep': 0, 'sz': 32, 'bs': 8}, {'ep': (0, 2), 'lr': (0.02, 0.01)}]\"\n";

struct Runs {
    folder: tempfile::TempDir,
}

impl Runs {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sizes = [(40, 56), (64, 48)];
        write_class_folders(&folder.path().join("photos/train"), 3, 12, &sizes).unwrap();
        write_class_folders(&folder.path().join("photos/val"), 3, 6, &sizes).unwrap();
        fs::write(folder.path().join("base.toml"), RECIPE).unwrap();
        Runs { folder }
    }

    fn command(&self, logdir: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_imagenet18"));
        command.current_dir(self.folder.path()).args(["compare", "photos", "--logdir", logdir, "--seeds", "2"]);
        command.args(["--recipe", "base.toml", "--recipe", "base.toml average.ema_half_life=2", "--json"]);
        command.args(more).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn done(&self, logdir: &str, more: &[&str]) -> (Vec<Value>, String) {
        let Output { status, stdout, stderr } = self.command(logdir, more).output().unwrap();
        let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
        assert!(status.success(), "{stderr}");
        (stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), stderr)
    }
}

/// A recipe's runs: seed, top-1 and compute of each.
type Reached = (String, Vec<(u64, f64, f64)>);

/// What runs reached, without times.
fn reached(results: &[Value]) -> Vec<Reached> {
    let number = |value: &Value| value.as_f64().unwrap();
    let run = |run: &Value| (run["seed"].as_u64().unwrap(), number(&run["top1"]), number(&run["compute"]));
    let of = |result: &Value| {
        let runs = result["runs"].as_array().unwrap().iter().map(run).collect();
        (result["recipe"].as_str().unwrap().to_owned(), runs)
    };
    results.iter().map(of).collect()
}

fn exists(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.len() > 0)
}

#[test]
fn recipes_are_compared_and_a_stopped_comparison_goes_on() {
    let runs = Runs::new();
    let (whole, _) = runs.done("whole", &[]);
    let names: Vec<&str> = whole.iter().map(|result| result["recipe"].as_str().unwrap()).collect();
    assert_eq!(names, ["base.toml", "base.toml average.ema_half_life=2"]);
    for (name, seeds) in reached(&whole) {
        // Two epochs of 36 images at 32 px.
        let expected = [0, 1].map(|seed| (seed, 2.0 * 36.0 * (32.0_f64 / 128.0).powi(2)));
        let got: Vec<(u64, f64)> = seeds.iter().map(|&(seed, _, compute)| (seed, compute)).collect();
        assert_eq!(got, expected, "{name}");
    }
    let mean = |index: usize| whole[index]["top1"]["mean"].as_f64().unwrap();
    let difference = whole[1]["top1_against_first"]["mean"].as_f64().unwrap();
    assert!((difference - (mean(1) - mean(0))).abs() < 1e-9);
    let page = fs::read_to_string(runs.folder.path().join("whole/compare.html")).unwrap();
    assert!(page.contains("top1-compute") && page.contains("average.ema_half_life=2"));

    // Stopped once the first run has logged something, then continued.
    let mut child = runs.command("parts", &["--processes", "1"]).spawn().unwrap();
    let first = runs.folder.path().join("parts/base.toml/seed-0/metrics.jsonl");
    let start = Instant::now();
    while !exists(&first) {
        assert!(start.elapsed() < Duration::from_secs(60), "nothing was logged");
        thread::sleep(Duration::from_millis(20));
    }
    kill_process(Pid::from_raw(child.id() as i32).unwrap(), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    let (parts, said) = runs.done("parts", &["--processes", "2"]);
    assert_eq!(reached(&parts), reached(&whole), "{said}");
    let (again, said) = runs.done("parts", &[]);
    assert!(said.contains("4 of 4 runs are done already"), "{said}");
    assert_eq!(reached(&again), reached(&whole));

    // Other recipes get no place among these runs.
    fs::write(runs.folder.path().join("base.toml"), RECIPE.replace("0.02", "0.03")).unwrap();
    let output = runs.command("parts", &[]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.lines().last().unwrap().contains("a changed one; take another --logdir"), "{said}");
}

#[test]
fn mistakes_are_named_in_one_line() {
    let runs = Runs::new();
    let says = |more: &[&str], code: i32, part: &str| {
        let output = runs.command("mistakes", more).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.lines().last().unwrap().contains(part), "{said}");
    };
    says(&["--recipe", "base.toml"], 2, "got `base.toml` twice");
    says(&["--recipe", ""], 2, "expected a recipe, got an empty text");
    says(&["--recipe", "base.toml optimizer.nestrov=true"], 2, "did you mean 'nesterov'?");
    says(&["--recipe", "base.toml phases=[{'ep':0,'sz':32,'bs':99},{'ep':(0,1),'lr':0.1}]"], 2, "99");
}

#[test]
fn a_run_that_fails_is_named_and_the_others_go_on() {
    let runs = Runs::new();
    let diverging = "base.toml phases=[{'ep':0,'sz':32,'bs':8},{'ep':(0,1),'lr':1e30}]";
    let output = runs.command("failing", &["--recipe", diverging]).output().unwrap();
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("seed 0 ended with code 4") && stderr.contains("output.txt"), "{stderr}");
    let results: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let counts: Vec<usize> = results.iter().map(|result| result["runs"].as_array().unwrap().len()).collect();
    assert_eq!(counts, [2, 2, 0]);
}
