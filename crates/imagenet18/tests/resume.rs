//! Runs that are killed, stopped and continued must end as if nothing had happened.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use in18_testkit::images::write_class_folders;
use in18_testkit::skip::{Lack, impossible};
use serde_json::Value;

/// Two sizes, the second with rectangular validation; a new batch alone; a partial last batch.
const PHASES: &str = "[{'ep':0,'sz':32,'bs':8},{'ep':(0,3),'lr':(0.02,0.05)},{'ep':2,'bs':12,'keep_dl':True},\
    {'ep':(3,6),'lr':(0.05,0.01)},{'ep':4,'sz':48,'bs':10,'rect_val':True}]";

struct Runs {
    folder: tempfile::TempDir,
}

impl Runs {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sizes = [(40, 56), (64, 48), (50, 50)];
        write_class_folders(&folder.path().join("photos/train"), 3, 15, &sizes).unwrap();
        write_class_folders(&folder.path().join("photos/val"), 3, 6, &sizes).unwrap();
        Runs { folder }
    }

    fn logdir(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, name: &str, more: &[&str]) -> Command {
        self.command_for("resnet18", name, more)
    }

    fn command_for(&self, arch: &str, name: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_imagenet18"));
        command.arg("train").arg(self.folder.path().join("photos")).arg("--logdir").arg(self.logdir(name));
        command.args(["--arch", arch, "--no-bn-wd", "--threads", "1", "-p", "1", "--best-top5", "1"]);
        command.args(["--phases", PHASES]).args(more).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, name: &str, more: &[&str]) -> Output {
        self.command(name, more).output().unwrap()
    }

    fn done(&self, name: &str, more: &[&str]) -> String {
        let output = self.run(name, more);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{stderr}");
        stderr
    }

    /// Runs a command that must fail, and returns its exit code and its one line.
    fn fails(&self, name: &str, more: &[&str]) -> (i32, String) {
        let output = self.run(name, more);
        let stderr = String::from_utf8(output.stderr).unwrap();
        let line = stderr.lines().last().unwrap_or_default().to_owned();
        (output.status.code().unwrap_or_default(), line)
    }

    fn checkpoints(&self, name: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.logdir(name).join("checkpoints")).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "safetensors"));
        paths.sort();
        paths
    }

    /// Checks that two runs have the same bits, metrics and lines. Only times may differ.
    fn same(&self, one: &str, other: &str) {
        let read = |name: &str, file: &str| fs::read(self.logdir(name).join(file)).unwrap();
        let text = |name: &str, file: &str| String::from_utf8(read(name, file)).unwrap();
        assert!(read(one, "model.safetensors") == read(other, "model.safetensors"), "the parameters differ");
        assert_eq!(metrics(&text(one, "metrics.jsonl")), metrics(&text(other, "metrics.jsonl")));
        let points = |name: &str| points(&self.logdir(name));
        assert_eq!(points(one), points(other), "TensorBoard's points");
        for file in ["event.log", "verbose.log", "debug.log"] {
            assert_eq!(timeless(&text(one, file)), timeless(&text(other, file)), "{file}");
        }
    }
}

/// Events without what may differ: times, rates, the run's folder, and that it was continued.
fn metrics(text: &str) -> Vec<Value> {
    let mut events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    events.retain(|event| event["event"] != "resumed" && event["event"] != "checkpoint");
    for event in &mut events {
        let fields = event.as_object_mut().unwrap();
        fields.retain(|key, _| {
            !key.ends_with("seconds")
                && !["unix", "hours", "images_per_s", "network", "path", "peak_rss_bytes", "advice"]
                    .contains(&key.as_str())
        });
    }
    events
}

/// TensorBoard's points, without times.
fn points(logdir: &Path) -> Vec<(String, i64, f64)> {
    let mut scalars = in18_record::event_files::read_scalars(logdir).unwrap().all;
    scalars.retain(|scalar| {
        !["times/", "net/"].iter().any(|of_time| scalar.tag.starts_with(of_time)) && scalar.tag != "first"
    });
    scalars.into_iter().map(|scalar| (scalar.tag, scalar.step, scalar.value)).collect()
}

/// The lines, without times.
fn timeless(text: &str) -> Vec<String> {
    let other = ["Continued at", "Checkpoint at", "Loader threads: ", "of its time for images"];
    let lines = text.lines().filter(|line| !other.iter().any(|other| line.contains(other)));
    lines
        .map(|line| {
            // A line of debug.log begins with the time of day and the seconds since the start.
            let line = match line.split_once("Z ") {
                Some((day, rest)) if day.starts_with("20") => rest.trim_start().split_once(' ').unwrap().1,
                _ => line,
            };
            if let Some(epoch) = line.strip_prefix("~~").filter(|line| !line.starts_with("epoch")) {
                let columns: Vec<&str> = epoch.split('\t').filter(|column| !column.is_empty()).collect();
                return [columns[0], columns[2], columns[3]].join(" ");
            }
            let of_time = ["Time ", "Data ", "BW "];
            let columns = line.split('\t').filter(|column| !of_time.iter().any(|name| column.starts_with(name)));
            let line = columns.collect::<Vec<_>>().join("\t");
            // The lines of an epoch and of the run end with rates and times.
            let line = line.split(" images/s").next().unwrap_or_default();
            let words = line.split_whitespace().filter(|word| !word.trim_end_matches(':').contains(':'));
            let words: Vec<&str> = words.collect();
            match words.first() {
                Some(&"Trained") => words[..6.min(words.len())].join(" "),
                Some(&"Saved") => "Saved".to_owned(),
                Some(&"Epoch") if line.contains("training") => line[..line.find(')').unwrap()].to_owned(),
                _ => words.join(" "),
            }
        })
        .collect()
}

/// Waiting times between kills, in milliseconds: fixed, from a linear congruential generator.
fn waits() -> impl Iterator<Item = u64> {
    std::iter::successors(Some(7_u64), |seed| Some(seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1)))
        .map(|seed| seed >> 33)
}

#[test]
fn a_run_that_is_killed_over_and_over_ends_as_one_that_was_not() {
    const KILLS: usize = 20;
    let runs = Runs::new();
    let begun = Instant::now();
    runs.done("whole", &[]);
    let whole = begun.elapsed().as_millis() as u64;
    // Save a checkpoint after every step.
    let often = ["--resume", "auto", "--checkpoint-minutes", "1e-9", "--keep", "3"];
    let (mut kills, mut rounds) = (0, 0);
    let mut waits = waits();
    while kills < KILLS {
        let name = format!("killed-{rounds}");
        rounds += 1;
        assert!(rounds < 100, "only {kills} kills hit a run");
        loop {
            let mut run = runs.command(&name, &often).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(waits.next().unwrap() % (whole / 2).max(200)));
            // A kill does not hurt a run that has ended by itself.
            run.kill().unwrap();
            let status = run.wait().unwrap();
            if status.success() {
                break;
            }
            assert_eq!(status.signal(), Some(9), "{status}");
            kills += 1;
        }
        runs.same("whole", &name);
        assert!(runs.checkpoints(&name).len() <= 3);
    }
    println!("{kills} kills in {rounds} runs");
}

#[test]
fn signals_save_a_checkpoint_and_end_or_go_on() {
    let runs = Runs::new();
    runs.done("whole", &[]);
    for (signal, code) in [("-TERM", Some(143)), ("-INT", Some(130)), ("-USR1", None)] {
        let name = format!("stopped{signal}");
        let run = runs.command(&name, &[]).spawn().unwrap();
        wait_for_steps(&runs.logdir(&name), 3);
        assert!(Command::new("kill").args([signal, &run.id().to_string()]).status().unwrap().success());
        let output = run.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        if let Some(code) = code {
            assert_eq!(output.status.code(), Some(code), "{stderr}");
            let line = stderr.lines().last().unwrap();
            assert!(line.contains("--resume auto") && line.contains(".safetensors"), "{line}");
            runs.done(&name, &["--resume", "auto"]);
        } else {
            assert!(output.status.success(), "{stderr}");
            let log = fs::read_to_string(runs.logdir(&name).join("debug.log")).unwrap();
            assert!(log.matches("Checkpoint at").count() > 6, "one an epoch and one by the signal: {log}");
        }
        runs.same("whole", &name);
    }
}

/// The first SIGINT waits for the step to end, which takes seconds here. The second does not.
#[test]
fn a_second_interrupt_ends_a_run_at_once() {
    let runs = Runs::new();
    let slow = "[{'ep':0,'sz':128,'bs':45},{'ep':(0,3),'lr':(0.02,0.05)}]";
    let mut command = Command::new(env!("CARGO_BIN_EXE_imagenet18"));
    command.arg("train").arg(runs.folder.path().join("photos")).arg("--logdir").arg(runs.logdir("slow"));
    command.args(["--arch", "resnet50", "--threads", "1", "-p", "1", "--phases", slow]).stderr(Stdio::piped());
    let run = command.spawn().unwrap();
    wait_for_steps(&runs.logdir("slow"), 1);
    for _ in 0..2 {
        assert!(Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap().success());
        // The system may merge two signals sent at once into one.
        std::thread::sleep(Duration::from_millis(50));
    }
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(String::from_utf8(output.stderr).unwrap().matches("error: ").count(), 0, "it ended by its own doing");
}

/// Waits until `steps` steps are in the log.
fn wait_for_steps(logdir: &Path, steps: usize) {
    let log = logdir.join("verbose.log");
    for _ in 0..30_000 {
        let text = fs::read_to_string(&log).unwrap_or_default();
        if text.lines().filter(|line| line.starts_with("Epoch: ")).count() >= steps {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("no {steps} steps in {}", log.display());
}

#[test]
fn auto_falls_back_when_the_newest_is_damaged() {
    let runs = Runs::new();
    runs.done("whole", &[]);
    runs.done("damaged", &[]);
    let checkpoints = runs.checkpoints("damaged");
    assert_eq!(checkpoints.len(), 2);
    let mut bytes = fs::read(&checkpoints[1]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&checkpoints[1], &bytes).unwrap();
    let stderr = runs.done("damaged", &["--resume", "auto"]);
    assert!(stderr.contains("warning: ") && stderr.contains("damaged"), "{stderr}");
    runs.same("whole", "damaged");
    // A checkpoint that the user names is not silently replaced by another.
    fs::write(&checkpoints[1], &bytes).unwrap();
    let (code, line) = runs.fails("damaged", &["--resume", checkpoints[1].to_str().unwrap()]);
    assert_eq!(code, 7, "{line}");
    assert!(line.starts_with("error: ") && line.contains("damaged"), "{line}");
    // If no checkpoint is whole, there is nothing to fall back to.
    fs::write(&checkpoints[0], b"").unwrap();
    let (code, line) = runs.fails("damaged", &["--resume", "auto"]);
    assert_eq!(code, 7, "{line}");
    assert!(line.contains("2 damaged ones"), "{line}");
}

#[test]
fn a_changed_run_is_refused_by_what_differs() {
    let runs = Runs::new();
    runs.done("first", &["--short-epoch"]);
    struct Case {
        arch: &'static str,
        more: &'static [&'static str],
        says: &'static str,
    }
    let cases = [
        Case { arch: "resnet18", more: &[], says: "short_epoch is true in the checkpoint and false here" },
        Case {
            arch: "resnet18",
            more: &["--short-epoch", "--seed", "3"],
            says: "seed is 0 in the checkpoint and 3 here",
        },
        Case { arch: "resnet34", more: &["--short-epoch"], says: "layer4.2.bn2.weight" },
        Case { arch: "resnet18", more: &["--short-epoch", "--momentum", "0.5"], says: "optimizer.momentum is 0.9" },
        Case { arch: "resnet18", more: &["--short-epoch", "--precision", "fp32"], says: "network.precision" },
    ];
    for case in cases {
        let more = [&["--resume", "auto"], case.more].concat();
        let output = runs.command_for(case.arch, "first", &more).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let line = stderr.lines().last().unwrap_or_default();
        assert_eq!(output.status.code(), Some(7), "{line}");
        assert!(line.starts_with("error: ") && line.contains(case.says), "{line}");
    }
    let stderr = runs.done("first", &["--resume", "auto", "--resume-anyway", "--short-epoch", "--seed", "3"]);
    assert!(stderr.contains("warning: ") && stderr.contains("seed is 0"), "{stderr}");
    // One more image makes another set.
    let photos = runs.folder.path().join("photos/train/class00");
    let image = fs::read_dir(&photos).unwrap().next().unwrap().unwrap().path();
    fs::copy(image, photos.join("new.jpg")).unwrap();
    let (code, line) = runs.fails("first", &["--resume", "auto", "--short-epoch", "--seed", "3"]);
    assert_eq!(code, 7, "{line}");
    assert!(line.contains("images.DATA/train.count is 45 in the checkpoint and 46 here"), "{line}");
}

/// From the middle of an epoch on the size moves, and takes the batch and the crops along. Rate and
/// momentum are curves over the run, and the run ends within its last epoch.
const MOVING: [&str; 8] = [
    "-o",
    "phases=[{'ep':0,'sz':32,'bs':8},{'ep':(0.5,2.5),'sz':(32,64),'every':16,'bs':{32:8,48:6,64:4},'min_scale':(0.3,0.1)}]",
    "-o",
    "epochs=3.4",
    "-o",
    "optimizer.rate={ kind = 'cosine', from = 0.05, to = 0, warmup = 1.2 }",
    "-o",
    "optimizer.momentum={ kind = 'cycle', from = 0.9, peak = 0.8, to = 0.9 }",
];

#[test]
fn a_run_goes_on_within_a_moving_size_and_within_its_last_part_of_an_epoch() {
    let runs = Runs::new();
    runs.done("whole", &MOVING);
    let steps = metrics(&fs::read_to_string(runs.logdir("whole").join("metrics.jsonl")).unwrap());
    let steps: Vec<(u64, u64, u64)> = steps
        .iter()
        .filter(|event| event["event"] == "step")
        .map(|step| {
            let number = |field: &str| step[field].as_u64().unwrap();
            (number("epoch"), number("size"), number("images"))
        })
        .collect();
    // Of 45 images: 32 px up to epoch 1, 48 px up to epoch 2, 64 px from there on, and of the last
    // epoch only the steps that start before 40 % of it.
    let count = |epoch, size| steps.iter().filter(|step| (step.0, step.1) == (epoch, size)).count();
    assert_eq!([count(0, 32), count(1, 48), count(2, 64), count(3, 64)], [6, 8, 12, 5], "{steps:?}");
    assert_eq!(steps.len(), 6 + 8 + 12 + 5);
    runs.done("cut", &[&MOVING[..], &["--checkpoint-minutes", "1e-9", "--keep", "99"]].concat());
    runs.same("whole", "cut");
    let checkpoints = runs.checkpoints("cut");
    assert!(checkpoints.len() >= 31, "{}", checkpoints.len());
    // The last first: a run that is set back drops what comes after.
    for at in [28, 18, 10, 3] {
        runs.done("cut", &[&MOVING[..], &["--resume", checkpoints[at].to_str().unwrap(), "--keep", "99"]].concat());
        runs.same("whole", "cut");
    }
}

/// An average that moves every third step, and slow weights that are met every fifth, of epochs of
/// six steps: most checkpoints lie between two moves.
const AVERAGES: [&str; 8] = [
    "-o",
    "average.ema_half_life=4",
    "-o",
    "average.every=3",
    "-o",
    "average.lookahead=5",
    "-o",
    "average.lookahead_decay=0.9",
];

#[test]
fn averages_go_on_as_if_nothing_had_happened_and_are_what_is_evaluated() {
    let runs = Runs::new();
    runs.done("whole", &AVERAGES);
    runs.done("cut", &[&AVERAGES[..], &["--checkpoint-minutes", "1e-9", "--keep", "99"]].concat());
    runs.same("whole", "cut");
    let checkpoints = runs.checkpoints("cut");
    // The last first: a run that is set back drops what comes after.
    for at in [25, 10, 3, 1] {
        runs.done("cut", &[&AVERAGES[..], &["--resume", checkpoints[at].to_str().unwrap(), "--keep", "99"]].concat());
        runs.same("whole", "cut");
    }

    // The last validation saw the average: so do the files, read by `eval`.
    let last = metrics(&fs::read_to_string(runs.logdir("whole").join("metrics.jsonl")).unwrap());
    let last = last.iter().rfind(|event| event["event"] == "epoch_end").unwrap().clone();
    let newest = runs.checkpoints("whole").pop().unwrap();
    for file in [runs.logdir("whole").join("model.safetensors"), newest.clone()] {
        let mut eval = Command::new(env!("CARGO_BIN_EXE_imagenet18"));
        eval.arg("eval").arg(runs.folder.path().join("photos")).arg("--checkpoint").arg(&file);
        eval.args(["--size", "48", "--rect", "--batch", "20", "--threads", "1", "--json"]);
        let output = eval.output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let seen: Value = serde_json::from_str(&stdout).unwrap();
        let (loss, expected) = (seen["loss"].as_f64().unwrap(), last["val_loss"].as_f64().unwrap());
        assert!((loss - expected).abs() < 1e-5 * expected, "{}: {loss} {expected}", file.display());
    }

    // What is trained is something else: without averages, its numbers differ.
    runs.done("plain", &[]);
    let read = |name: &str| fs::read(runs.logdir(name).join("model.safetensors")).unwrap();
    assert!(read("plain") != read("whole"));
    let (code, line) = runs.fails("other", &["--resume", newest.to_str().unwrap()]);
    assert!(code != 0 && line.contains("average.ema_half_life"), "{line}");
}

/// Batches of 11 of 45 images: odd ones, whose middle image is its own partner, and a last one of a
/// single image.
const MIXING: [&str; 10] = [
    "-o",
    "phases=[{'ep':0,'sz':32,'bs':11},{'ep':(0,2),'lr':(0.02,0.05)}]",
    "-o",
    "augment.mixup=0.4",
    "-o",
    "augment.cutmix=1",
    "-o",
    "augment.erase=0.5",
    "-o",
    "augment.jitter.contrast=0.4",
];

#[test]
fn a_run_that_mixes_images_goes_on_within_an_epoch() {
    let runs = Runs::new();
    runs.done("whole", &MIXING);
    runs.done("plain", &MIXING[..2]);
    let losses = |name: &str| {
        let events = metrics(&fs::read_to_string(runs.logdir(name).join("metrics.jsonl")).unwrap());
        let steps = events.into_iter().filter(|event| event["event"] == "step");
        steps.map(|step| step["loss"].as_f64().unwrap()).collect::<Vec<f64>>()
    };
    let (mixed, plain) = (losses("whole"), losses("plain"));
    assert_eq!((mixed.len(), plain.len()), (10, 10));
    assert!(mixed.iter().zip(&plain).all(|(mixed, plain)| mixed != plain), "{mixed:?} {plain:?}");
    // Loader threads change nothing but their number in the logs.
    runs.done("threads", &[&MIXING[..], &["-j", "3"]].concat());
    let network = |name: &str| fs::read(runs.logdir(name).join("model.safetensors")).unwrap();
    assert!(network("whole") == network("threads"), "the parameters differ");
    runs.done("cut", &[&MIXING[..], &["--checkpoint-minutes", "1e-9", "--keep", "99"]].concat());
    runs.same("whole", "cut");
    let checkpoints = runs.checkpoints("cut");
    for at in [8, 6, 3, 1] {
        runs.done("cut", &[&MIXING[..], &["--resume", checkpoints[at].to_str().unwrap(), "--keep", "99"]].concat());
        runs.same("whole", "cut");
    }
    let other = ["-o", "augment.cutmix=0", "--resume", "auto"];
    let (code, line) = runs.fails("cut", &[&MIXING[..], &other].concat());
    assert_eq!(code, 7, "{line}");
    assert!(line.contains("augment.cutmix is 1.0 in the checkpoint and 0.0 here"), "{line}");
}

#[test]
fn a_folder_serves_one_run_at_a_time() {
    let runs = Runs::new();
    let mut run = runs.command("shared", &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for_steps(&runs.logdir("shared"), 1);
    let (code, line) = runs.fails("shared", &["--resume", "auto"]);
    assert_eq!(code, 2, "{line}");
    assert!(line.contains(&format!("in use by process {}", run.id())), "{line}");
    assert!(run.wait().unwrap().success());
}

#[test]
fn the_best_epoch_is_kept_under_its_own_name() {
    let runs = Runs::new();
    runs.done("run", &["--keep", "1"]);
    assert_eq!(runs.checkpoints("run").len(), 1);
    assert!(runs.logdir("run").join("model_best.safetensors").exists());
    // With three classes, top-5 is 100 % from the first epoch on, so no later epoch is better.
    runs.done("from", &["--resume", runs.logdir("run").join("model_best.safetensors").to_str().unwrap()]);
    let log = fs::read_to_string(runs.logdir("from").join("debug.log")).unwrap();
    assert!(log.contains("Continued at epoch 1 after step 0"), "{log}");
    let parameters = |name: &str| fs::read(runs.logdir(name).join("model.safetensors")).unwrap();
    assert!(parameters("run") == parameters("from"), "a run in another folder ends otherwise");
    // In the run's own folder, the run is set back to that epoch.
    runs.done("run", &["--keep", "1", "--resume", runs.logdir("run").join("model_best.safetensors").to_str().unwrap()]);
    runs.done("whole", &[]);
    runs.same("whole", "run");
}

#[test]
fn the_best_epoch_of_an_abandoned_future_is_set_aside() {
    let runs = Runs::new();
    runs.done("run", &["--keep", "9"]);
    let best = runs.logdir("run").join("model_best.safetensors");
    let checkpoints = runs.checkpoints("run");
    fs::copy(&checkpoints[3], &best).unwrap();
    runs.done("run", &["--keep", "9", "--resume", checkpoints[1].to_str().unwrap()]);
    assert!(!best.exists(), "the best of epochs that were trained anew");
    assert!(best.with_extension("safetensors.abandoned").exists());
}

/// A separate file system in memory, for as long as this value lives.
struct Disk(PathBuf);

impl Disk {
    /// Returns `None` where mounting is not permitted.
    fn mount(folder: PathBuf, options: &str) -> Option<Self> {
        fs::create_dir(&folder).unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&folder).output();
        if !mount.is_ok_and(|mount| mount.status.success()) {
            impossible(Lack::Mounting);
            return None;
        }
        Some(Disk(folder))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        assert!(Command::new("umount").arg(&self.0).status().unwrap().success());
    }
}

/// A disk of one megabyte has space for the logs but not for a checkpoint.
#[test]
fn a_full_disk_ends_a_run_with_the_name_of_the_file() {
    let runs = Runs::new();
    let Some(disk) = Disk::mount(runs.logdir("disk"), "size=1m") else { return };
    let (code, line) = runs.fails("disk", &[]);
    let left = fs::read_dir(disk.0.join("checkpoints")).unwrap().count();
    assert_eq!(code, 5, "{line}");
    assert!(line.contains(".safetensors") && line.contains("No space left") && line.contains("--logdir"), "{line}");
    assert_eq!(left, 0, "half a file was left");
}

#[test]
fn a_folder_that_cannot_be_written_is_named_before_anything_is_trained() {
    let runs = Runs::new();
    let Some(_disk) = Disk::mount(runs.logdir("disk"), "ro") else { return };
    let (code, line) = runs.fails("disk", &[]);
    assert_eq!(code, 5, "{line}");
    assert!(line.contains("disk/.lock") && line.contains("Read-only") && line.contains("--logdir"), "{line}");
}

#[test]
fn logs_that_cannot_be_written_do_not_end_a_run() {
    let runs = Runs::new();
    runs.done("whole", &[]);
    let logdir = runs.logdir("run");
    fs::create_dir(&logdir).unwrap();
    for log in ["verbose.log", "debug.log", "metrics.jsonl"] {
        std::os::unix::fs::symlink("/dev/full", logdir.join(log)).unwrap();
    }
    let stderr = runs.done("run", &[]);
    for log in ["verbose.log", "debug.log", "metrics.jsonl"] {
        let told = |text: &str| {
            text.lines()
                .filter(|line| line.starts_with("Warning: ") && line.contains(log) && line.contains("No space left"))
                .count()
        };
        assert_eq!(told(&stderr), 1, "{stderr}");
        assert_eq!(told(&fs::read_to_string(logdir.join("event.log")).unwrap()), 1);
    }
    let parameters = |name: &str| fs::read(runs.logdir(name).join("model.safetensors")).unwrap();
    assert!(parameters("run") == parameters("whole"), "the run ends otherwise");
}

#[test]
fn evaluate_gives_the_last_epochs_numbers() {
    let runs = Runs::new();
    runs.done("run", &["--short-epoch"]);
    let output = runs.run("run", &["--short-epoch", "--resume", "auto", "--evaluate"]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    let events = fs::read_to_string(runs.logdir("run").join("metrics.jsonl")).unwrap();
    let mut events = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let last = events.rfind(|event| event["event"] == "epoch_end").unwrap();
    let expected = format!(
        "18 images: top-1 {:.3} %, top-5 {:.3} %, loss {:.5}\n",
        last["top1"].as_f64().unwrap(),
        last["top5"].as_f64().unwrap(),
        last["val_loss"].as_f64().unwrap()
    );
    assert_eq!(stdout, expected);
    let (code, line) = runs.fails("other", &["--evaluate"]);
    assert_eq!(code, 2, "{line}");
    assert!(line.contains("--resume or --init"), "{line}");
}

#[test]
fn a_folder_that_vanishes_ends_the_run_with_its_name() {
    let runs = Runs::new();
    let run = runs.command("gone", &["--checkpoint-minutes", "1e-9"]).spawn().unwrap();
    wait_for_steps(&runs.logdir("gone"), 2);
    fs::rename(runs.logdir("gone"), runs.logdir("elsewhere")).unwrap();
    let output = run.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let line = stderr.lines().last().unwrap();
    assert_eq!(output.status.code(), Some(5), "{stderr}");
    assert!(line.contains("gone/checkpoints") && line.contains("No such file") && line.contains("--logdir"), "{line}");
    // Whole checkpoints are still whole: the run continues from the folder's new place.
    runs.done("whole", &[]);
    runs.done("elsewhere", &["--resume", "auto"]);
    runs.same("whole", "elsewhere");
}

#[test]
fn a_run_that_diverges_names_the_checkpoint_that_is_left() {
    let runs = Runs::new();
    let wild = "[{'ep':0,'sz':32,'bs':8},{'ep':(0,3),'lr':(0.02,0.05)},{'ep':(3,6),'lr':(1e20,1e20)}]";
    let mut command = Command::new(env!("CARGO_BIN_EXE_imagenet18"));
    command.arg("train").arg(runs.folder.path().join("photos")).arg("--logdir").arg(runs.logdir("wild"));
    let output = command.args(["--arch", "resnet18", "--threads", "1", "--phases", wild]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let line = stderr.lines().last().unwrap();
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(line.contains("epoch 3"), "{line}");
    let kept = line.rsplit("the last good checkpoint is ").next().unwrap();
    assert!(line.contains("lower 'lr'") && Path::new(kept).is_file(), "{line}");
}
