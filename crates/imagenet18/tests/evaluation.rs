//! Which views validation sees, on every engine, in runs and in `eval`; and runs that end at an
//! accuracy.

mod several;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use in18_comm::Solo;
use in18_kernels::Kernels;
use in18_kernels::reference::Reference;
use in18_libtorch::LIBRARY;
use in18_onednn::OneDnn;
use in18_program::initial::Initialization;
use in18_program::{Arch, Input, Mode, Model, Size, Targets};
use in18_recipe::Tta;
use in18_tensor::DType;
use in18_testkit::images::write_class_folders;
use in18_testkit::skip::lacks;
use in18_torch::{Device, Torch};
use in18_train::Evaluation;
use serde_json::Value;
use several::{events, network, stderr, succeed};

const SIZE: Size = Size { batch: 3, height: 32, width: 40 };

/// Logits of one view, (N, K).
fn logits(model: &mut Model, pixels: &[u8], targets: &[i32]) -> Vec<Vec<f64>> {
    let pending = model.start_evaluation(Input { size: SIZE, pixels, targets: Targets::of(targets) }).unwrap();
    model.metrics(pending).unwrap();
    let logits = model.logits(Mode::Evaluation, SIZE).unwrap();
    logits.chunks(logits.len() / SIZE.batch).map(|row| row.iter().map(|&logit| f64::from(logit)).collect()).collect()
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
    logits.iter().map(|logit| logit.exp() / sum).collect()
}

fn mean(one: &[f64], other: &[f64]) -> Vec<f64> {
    one.iter().zip(other).map(|(a, b)| (a + b) / 2.0).collect()
}

#[test]
fn both_views_count_on_every_engine() {
    let mut engines: Vec<(&str, Box<dyn Kernels>)> =
        vec![("reference", Box::new(Reference::new())), ("oneDNN", Box::new(OneDnn::new(Some(1)).unwrap()))];
    if !lacks(LIBRARY) {
        engines.push(("torch", Box::new(Torch::new(Device::Cpu, Some(1), false).unwrap())));
    }
    let pixels: Vec<u8> = (0..SIZE.batch * SIZE.height * SIZE.width * 3).map(|i| (i * i % 251) as u8).collect();
    let rows = pixels.chunks(SIZE.width * 3);
    let mirrored: Vec<u8> = rows.flat_map(|row| row.chunks(3).rev().flatten().copied()).collect();
    let targets = [0, 6, 3];
    let mut losses: Vec<[f64; 2]> = Vec::new();
    for (name, kernels) in engines {
        let mut model = Model::new(kernels, Arch::RESNET18.network(7), DType::F32).unwrap();
        Initialization::torchvision(3).apply(&mut model).unwrap();
        let (one, other) = (logits(&mut model, &pixels, &targets), logits(&mut model, &mirrored, &targets));
        assert_ne!(one, other, "{name}");
        let got = [Tta::Flip, Tta::FlipLogits].map(|tta| {
            let expected: Vec<Vec<f64>> = (one.iter().zip(&other))
                .map(|(one, other)| match tta {
                    Tta::Flip => mean(&softmax(one), &softmax(other)),
                    _ => softmax(&mean(one, other)),
                })
                .collect();
            let mut evaluation = Evaluation::new(tta);
            // The second batch takes memory that the first has left.
            for _ in 0..2 {
                let input = Input { size: SIZE, pixels: &pixels, targets: Targets::of(&targets) };
                let started = evaluation.start(&mut model, input).unwrap();
                let metrics = evaluation.finish(&mut model, &mut Solo, started).unwrap();
                let own = |row: &[f64], target: i32| row[target as usize];
                let loss: f64 = expected.iter().zip(targets).map(|(row, target)| -own(row, target).ln()).sum();
                assert!((metrics.loss_sum - loss).abs() < 1e-12 * loss, "{name}, {tta}: {metrics:?}, {loss}");
                let hits = |k: usize| {
                    let better = |row: &[f64], own: f64| row.iter().filter(|&&other| other > own).count();
                    expected.iter().zip(targets).filter(|(row, target)| better(row, own(row, *target)) < k).count()
                };
                assert_eq!((metrics.top1, metrics.top5, metrics.images), (hits(1), hits(5), 3), "{name}, {tta}");
            }
            let started =
                evaluation.start(&mut model, Input { size: SIZE, pixels: &pixels, targets: Targets::of(&targets) });
            evaluation.finish(&mut model, &mut Solo, started.unwrap()).unwrap().loss_sum
        });
        assert_ne!(got[0], got[1], "{name}");
        losses.push(got);
    }
    // All engines compute the same network.
    for [flip, flip_logits] in &losses {
        assert!((flip - losses[0][0]).abs() < 1e-4 && (flip_logits - losses[0][1]).abs() < 1e-4, "{losses:?}");
    }
}

/// Three epochs, in two sizes; the last batches are partial.
const PHASES: &str = "[{'ep':0,'sz':32,'bs':10},{'ep':(0,3),'lr':(0.02,0.05)},{'ep':2,'sz':40,'bs':10}]";

/// What a recipe says of validation, as `-o` writes it, and as `eval` does.
const FIELDS: &str =
    "-o evaluate.size=48 -o evaluate.tta=flip-logits -o evaluate.crop=0.9 -o evaluate.rectangular=true";
const FLAGS: &str = "--size 48 --tta flip-logits --crop 0.9 --rect";

struct Runs(tempfile::TempDir);

impl Runs {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sizes = [(40, 56), (64, 48), (50, 50)];
        write_class_folders(&folder.path().join("photos/train"), 3, 9, &sizes).unwrap();
        // More than one batch of 128 images.
        write_class_folders(&folder.path().join("photos/val"), 3, 45, &sizes).unwrap();
        Runs(folder)
    }

    fn logdir(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_imagenet18"));
        command.current_dir(self.0.path()).args(arguments).args(["--threads", "1", "-j", "1"]);
        command
    }

    fn train(&self, logdir: &str, more: &str) -> Command {
        let mut command = self.command(&["train", "photos", "--arch", "resnet18", "--logdir", logdir]);
        if !more.contains("--phases") {
            command.args(["--phases", PHASES]);
        }
        command.args(more.split_whitespace());
        command
    }

    fn eval(&self, logdir: &str, more: &str) -> Value {
        let model = format!("{logdir}/model.safetensors");
        let mut command = self.command(&["eval", "photos", "--json", "--checkpoint", &model]);
        command.args(more.split_whitespace());
        serde_json::from_slice(&succeed(command).stdout).unwrap()
    }

    /// Whether an evaluation gave the last epoch's numbers, bit for bit.
    fn is_last(&self, logdir: &str, eval: &Value) -> bool {
        let last = events(&self.logdir(logdir), "epoch_end").pop().unwrap();
        [("loss", "val_loss"), ("top1", "top1"), ("top5", "top5")].iter().all(|(ours, run)| eval[ours] == last[run])
    }
}

fn lines(output: &Output, part: &str) -> usize {
    stderr(output).lines().filter(|line| line.contains(part)).count()
}

#[test]
fn a_run_validates_as_eval_does_at_the_recipes_own_size() {
    let runs = Runs::new();
    let output = succeed(runs.train("run", FIELDS));
    assert_eq!(lines(&output, "(48 px, crop 0.9, rectangular, tta flip-logits)"), 2, "{}", stderr(&output));
    assert!(runs.is_last("run", &runs.eval("run", FLAGS)));
    // Each of the flags matters.
    let flags: Vec<&str> = FLAGS.split(" --").collect();
    for left in 0..flags.len() {
        let mut others = flags.clone();
        others.remove(left);
        let others = format!("--{}", others.join(" --")).replace("----", "--");
        assert!(!runs.is_last("run", &runs.eval("run", &others)), "{others}");
    }
    // Validation changes nothing of what is learnt.
    succeed(runs.train("plain", ""));
    assert!(network(&runs.logdir("run")) == network(&runs.logdir("plain")));
    let again = succeed(runs.train("run", &format!("{FIELDS} --resume auto --evaluate")));
    let (said, last) =
        (String::from_utf8_lossy(&again.stdout), events(&runs.logdir("run"), "epoch_end").pop().unwrap());
    assert!(said.contains(&format!("loss {:.5} (tta flip-logits)", last["val_loss"].as_f64().unwrap())), "{said}");
    let report = succeed(runs.command_of_report("run"));
    let page = String::from_utf8_lossy(&report.stdout).into_owned() + &runs.report_page();
    assert!(page.contains("48 px, crop 0.9, rectangular, tta flip-logits"));
}

impl Runs {
    fn command_of_report(&self, logdir: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_imagenet18"));
        command.current_dir(self.0.path()).args(["report", logdir, "--out", "report.html"]);
        command
    }

    fn report_page(&self) -> String {
        fs::read_to_string(self.logdir("report.html")).unwrap()
    }
}

#[test]
fn a_run_goes_on_with_the_validation_that_it_began_with() {
    let runs = Runs::new();
    succeed(runs.train("whole", &format!("{FIELDS} --keep 9")));
    let checkpoints = |name: &str| {
        let entries = fs::read_dir(runs.logdir(name).join("checkpoints")).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let first = checkpoints("whole").remove(0);
    let results = |name: &str| -> Vec<[Value; 3]> {
        let epochs = events(&runs.logdir(name), "epoch_end").into_iter();
        epochs.map(|epoch| ["val_loss", "top1", "top5"].map(|field| epoch[field].clone())).collect()
    };
    let resume = format!("--resume {}", first.display());
    succeed(runs.train("second", &format!("{FIELDS} {resume}")));
    assert_eq!(results("second")[..], results("whole")[1..]);
    assert!(network(&runs.logdir("whole")) == network(&runs.logdir("second")));
    for (field, says) in [
        ("evaluate.tta=flip", "evaluate.tta is \"flip-logits\" in the checkpoint and \"flip\" here"),
        ("evaluate.size=training", "evaluate.size is 48 in the checkpoint and \"training\" here"),
        ("evaluate.rectangular=phases", "plan.epochs[0].rect_val is true in the checkpoint and false here"),
    ] {
        let output = runs.train("other", &format!("{FIELDS} -o {field} {resume}")).output().unwrap();
        assert_eq!(output.status.code(), Some(7));
        assert_eq!(lines(&output, says), 1, "{}", stderr(&output));
    }
}

#[test]
fn two_ranks_validate_what_one_validates() {
    if lacks(LIBRARY) {
        return;
    }
    let runs = Runs::new();
    // One batch for each rank.
    succeed(runs.train("two", &format!("{FIELDS} --devices cpu:2")));
    assert!(runs.is_last("two", &runs.eval("two", FLAGS)));
    let images: Vec<u64> =
        events(&runs.logdir("two"), "eval_step").iter().map(|it| it["images_total"].as_u64().unwrap()).collect();
    assert_eq!(images, [135; 3]);
}

/// Of three classes, the best five guesses always hold the right one.
const AT_ONCE: &str = "--stop-at top5=100";

/// A rate of 0 learns nothing.
const NEVER: &str = "--stop-at top1=99.5 --phases [{'ep':0,'sz':32,'bs':10},{'ep':(0,2),'lr':0.0}]";

#[test]
fn a_run_ends_at_its_accuracy_and_a_continued_one_knows_it() {
    let runs = Runs::new();
    succeed(runs.train("whole", ""));
    let output = succeed(runs.train("run", AT_ONCE));
    assert_eq!(lines(&output, "top5=100 is reached in epoch 0, after 0.0"), 1, "{}", stderr(&output));
    let ended = |epochs: usize| {
        let of = |kind: &str| events(&runs.logdir("run"), kind);
        assert_eq!((of("epoch_end").len(), of("run_end").len()), (epochs, 1));
        of("goal_reached")
    };
    let goal = ended(1);
    let last = &events(&runs.logdir("run"), "epoch_end")[0];
    assert_eq!((goal.len(), &goal[0]["goal"], &goal[0]["epoch"]), (1, &"top5=100".into(), &0.into()));
    for field in ["hours", "images_seen", "top1", "top5"] {
        assert_eq!(goal[0][field], last[field], "{field}");
    }
    assert!(runs.is_last("run", &runs.eval("run", "--size 32")));
    let stopped = network(&runs.logdir("run"));
    succeed(runs.command_of_report("run"));
    assert!(runs.report_page().contains("Finished: 1 of 3 epochs"));

    // It says so again, and ends; then it goes on to its plan's end.
    let output = succeed(runs.train("run", "--resume auto"));
    assert_eq!(lines(&output, "top5=100 is reached in epoch 0"), 1, "{}", stderr(&output));
    assert!(ended(1).len() == 1 && network(&runs.logdir("run")) == stopped);
    let output = succeed(runs.train("run", "--resume auto --stop-at none"));
    assert_eq!((ended(3).len(), lines(&output, "top5=100")), (0, 0), "{}", stderr(&output));
    assert!(network(&runs.logdir("run")) == network(&runs.logdir("whole")));
    // An accuracy that an earlier epoch has reached already.
    let output = succeed(runs.train("run", "--resume auto --stop-at top5=1"));
    assert_eq!((ended(3).len(), lines(&output, "top5=1 is reached in epoch 0, ")), (1, 1), "{}", stderr(&output));
}

#[test]
fn a_run_that_misses_its_accuracy_is_done_and_tells_a_script() {
    let runs = Runs::new();
    let output = runs.train("run", NEVER).output().unwrap();
    assert_eq!(output.status.code(), Some(9), "{}", stderr(&output));
    let says = "Warning: the run ends without having reached top1=99.5: the best was ";
    assert_eq!(lines(&output, says), 1, "{}", stderr(&output));
    assert!(!stderr(&output).contains("error:") && Path::new(&runs.logdir("run").join("model.safetensors")).exists());
    let of = |kind: &str| events(&runs.logdir("run"), kind).len();
    assert_eq!((of("epoch_end"), of("run_end"), of("goal_reached")), (2, 1, 0));
}

#[test]
fn ranks_end_together_at_their_accuracy() {
    if lacks(LIBRARY) {
        return;
    }
    let runs = Runs::new();
    let output = succeed(runs.train("run", &format!("{AT_ONCE} --devices cpu:2")));
    assert_eq!(lines(&output, "top5=100 is reached in epoch 0"), 1, "{}", stderr(&output));
    assert_eq!(events(&runs.logdir("run"), "epoch_end").len(), 1);
    let output = runs.train("never", &format!("{NEVER} --devices cpu:2")).output().unwrap();
    assert_eq!(output.status.code(), Some(9), "{}", stderr(&output));
    assert!(lines(&output, "the run ends without having reached") == 1 && lines(&output, "error") == 0);
}
