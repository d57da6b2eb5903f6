//! Runs of several ranks, as a launcher or a user starts them.
#![allow(dead_code, reason = "each of the tests uses its part")]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use in18_testkit::images::write_class_folders;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// 48 images, two ranks with batches of 4: six steps an epoch.
pub const PHASES: &str =
    "[{'ep':0,'sz':32,'bs':4},{'ep':(0,2),'lr':(0.005,0.01)},{'ep':1,'sz':48,'bs':4,'rect_val':True}]";

pub fn photos(folder: &Path) {
    let sizes = [(40, 56), (64, 48), (50, 50)];
    write_class_folders(&folder.join("train"), 4, 12, &sizes).unwrap();
    write_class_folders(&folder.join("val"), 4, 3, &sizes).unwrap();
}

pub fn train(data: &Path, logdir: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imagenet18"));
    command.arg("train").arg(data).arg("--logdir").arg(logdir);
    command.args(["--arch", "resnet18", "--init-bn0", "--no-bn-wd", "-j", "1", "--threads", "1"]);
    if !more.contains(&"--precision") {
        command.args(["--precision", "fp32"]);
    }
    if !more.contains(&"--phases") {
        command.args(["--phases", PHASES]);
    }
    command.args(more).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub fn succeed(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{:?}: {}", output.status, stderr(&output));
    output
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn network(logdir: &Path) -> Vec<u8> {
    fs::read(logdir.join("model.safetensors")).unwrap()
}

pub fn events(logdir: &Path, kind: &str) -> Vec<Value> {
    let metrics = fs::read_to_string(logdir.join("metrics.jsonl")).unwrap_or_default();
    let events = metrics.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.filter(|event| event["event"] == kind).collect()
}

pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// Starts a process as a launcher would.
pub fn rank(rank: usize, world: usize, port: u16, mut command: Command) -> Child {
    let variables = [("RANK", rank), ("WORLD_SIZE", world), ("LOCAL_RANK", rank), ("LOCAL_WORLD_SIZE", world)];
    command.envs(variables.map(|(name, value)| (name, value.to_string())));
    command.env("MASTER_ADDR", "127.0.0.1").env("MASTER_PORT", port.to_string()).spawn().unwrap()
}

/// Waits until a run has done `steps` steps.
pub fn wait_for_steps(logdir: &Path, steps: usize) {
    let start = Instant::now();
    while events(logdir, "step").len() < steps {
        assert!(start.elapsed() < Duration::from_secs(60), "no {steps} steps in a minute");
        sleep(Duration::from_millis(20));
    }
}

pub fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id() as i32).unwrap(), signal).unwrap();
}

/// A process's output and exit status. The process must end within `time`.
pub fn wait(child: &mut Child, time: Duration) -> Output {
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > time {
            child.kill().unwrap();
            panic!("still running after {time:?}");
        }
        sleep(Duration::from_millis(20));
    };
    let mut output = Output { status, stdout: Vec::new(), stderr: Vec::new() };
    if let Some(mut stderr) = child.stderr.take() {
        std::io::Read::read_to_end(&mut stderr, &mut output.stderr).unwrap();
    }
    output
}

/// The child processes of a process, oldest first.
pub fn children(parent: u32) -> Vec<u32> {
    let listed = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
    listed.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// Whether a process exists and is no zombie.
pub fn is_running(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// A schedule so long that no test waits for its end.
pub const LONG: &str = "[{'ep':0,'sz':32,'bs':4},{'ep':(0,500),'lr':(0.005,0.01)}]";

/// A run of several ranks under this program's own launcher, in one of its first epochs.
pub struct LongRun {
    pub launcher: Child,
    /// The ranks' process numbers, by rank.
    pub ranks: Vec<u32>,
    pub logdir: PathBuf,
    _folder: TempDir,
}

impl LongRun {
    pub fn start(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (data, logdir) = (folder.path().join("photos"), folder.path().join("logs"));
        photos(&data);
        let launcher = train(&data, &logdir, &[more, &["--phases", LONG]].concat()).spawn().unwrap();
        wait_for_steps(&logdir, 3);
        LongRun { ranks: children(launcher.id()), launcher, logdir, _folder: folder }
    }

    pub fn signal(&self, rank: usize, signal: Signal) {
        kill_process(Pid::from_raw(self.ranks[rank] as i32).unwrap(), signal).unwrap();
    }

    pub fn assert_nobody_is_left(&self) {
        assert!(self.ranks.iter().all(|&rank| !is_running(rank)), "a rank is left behind");
    }
}
