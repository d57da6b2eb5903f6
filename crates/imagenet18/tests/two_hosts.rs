//! Two machines, simulated by two network namespaces with a slow link between them. Needs root and
//! the tools `ip` and `tc`. Counted as skipped where the system does not allow it.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use in18_libtorch::LIBRARY;
use in18_testkit::images::write_class_folders;
use in18_testkit::skip::{Lack, impossible, lacks};
use serde_json::Value;

const PORT: &str = "29518";

/// Two hosts, 10.18.0.1 and 10.18.0.2, joined by a link. Removed when dropped.
struct Hosts {
    names: [String; 2],
}

impl Hosts {
    /// Joins the hosts by a link of `mbit` Mbit/s. `None` if the system refuses.
    fn new(name: &str, mbit: u32) -> Option<Self> {
        let id = std::process::id();
        let hosts = Hosts { names: [format!("in18{name}a{id}"), format!("in18{name}b{id}")] };
        let [a, b] = &hosts.names;
        if !run("ip", &["netns", "add", a]) || !run("ip", &["netns", "add", b]) {
            impossible(Lack::NetworkNamespaces);
            return None;
        }
        assert!(run("ip", &["-n", a, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", b]));
        for (host, address) in [(a, "10.18.0.1/24"), (b, "10.18.0.2/24")] {
            assert!(run("ip", &["-n", host, "address", "add", address, "dev", "wire"]));
            assert!(run("ip", &["-n", host, "link", "set", "wire", "up"]));
            assert!(run("ip", &["-n", host, "link", "set", "lo", "up"]));
            let rate = format!("{mbit}mbit");
            let shape = ["-n", host, "qdisc", "add", "dev", "wire", "root", "tbf", "rate", &rate, "burst", "256kb"];
            if !run("tc", &[&shape[..], &["latency", "100ms"]].concat()) {
                impossible(Lack::SlowLinks);
                return None;
            }
        }
        Some(hosts)
    }

    fn start(&self, rank: usize, arguments: &[&str]) -> Child {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.names[rank], env!("CARGO_BIN_EXE_imagenet18")]).args(arguments);
        command.env("RANK", rank.to_string()).env("WORLD_SIZE", "2").env("MASTER_ADDR", "10.18.0.1");
        // Both still share this machine's cores.
        command.env("LOCAL_RANK", rank.to_string()).env("LOCAL_WORLD_SIZE", "2").env("MASTER_PORT", PORT);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn cut(&self) {
        assert!(run("ip", &["-n", &self.names[1], "link", "set", "wire", "down"]));
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for name in &self.names {
            run("ip", &["netns", "delete", name]);
        }
    }
}

fn run(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn finish(child: Child) -> Output {
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn steps(logdir: &Path) -> usize {
    fs::read_to_string(logdir.join("metrics.jsonl")).unwrap_or_default().matches("\"event\":\"step\"").count()
}

#[test]
fn gradients_cross_a_slow_link_while_backward_goes_on() {
    if lacks(LIBRARY) {
        return;
    }
    let Some(hosts) = Hosts::new("s", 500) else { return };
    let measure = |more: &[&str]| {
        let common = ["bench", "step", "--devices", "cpu", "--arch", "resnet18", "--size", "128", "--batch", "32"];
        let arguments = [&common[..], &["--precision", "fp32", "--steps", "3", "--json"], more].concat();
        let [first, second] = [hosts.start(0, &arguments), hosts.start(1, &arguments)].map(finish);
        assert!(first.status.success() && second.status.success(), "{}{}", text(&first.stderr), text(&second.stderr));
        serde_json::from_slice::<Value>(&first.stdout).unwrap()
    };
    let (overlapped, apart) = (measure(&[]), measure(&["--no-overlap"]));
    println!("overlapped {overlapped}\napart {apart}");
    let exchange = |measured: &Value, what: &str| measured["exchange"][what].as_f64().unwrap();
    // 46.8 MB each way at 62.5 MB/s.
    assert!(exchange(&overlapped, "alone_ms") > 600.0, "the link is not slow: {overlapped}");
    assert_eq!((overlapped["ranks"].as_u64(), exchange(&apart, "parts")), (Some(2), 1.0));
    assert!(exchange(&overlapped, "hidden_percent") > 25.0, "{overlapped}");
    assert!(overlapped["step_ms"].as_f64() < apart["step_ms"].as_f64(), "{overlapped} {apart}");
}

#[test]
fn a_cut_link_is_found_by_its_time_out() {
    if lacks(LIBRARY) {
        return;
    }
    let Some(hosts) = Hosts::new("c", 1000) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (data, logdir) = (folder.path().join("photos"), folder.path().join("logs"));
    write_class_folders(&data.join("train"), 2, 12, &[(40, 40)]).unwrap();
    write_class_folders(&data.join("val"), 2, 2, &[(40, 40)]).unwrap();
    let paths = [data.to_str().unwrap(), logdir.to_str().unwrap()];
    let phases = "[{'ep':0,'sz':32,'bs':4},{'ep':(0,500),'lr':(0.001,0.002)}]";
    let common = ["train", paths[0], "--logdir", paths[1], "--devices", "cpu", "--arch", "resnet18"];
    let arguments = [&common[..], &["--phases", phases, "--step-timeout", "4"]].concat();
    let ranks = [hosts.start(0, &arguments), hosts.start(1, &arguments)];
    let start = Instant::now();
    while steps(&logdir) < 2 {
        assert!(start.elapsed() < Duration::from_secs(60), "no steps in a minute");
        sleep(Duration::from_millis(50));
    }
    hosts.cut();
    let cut = Instant::now();
    let [first, second] = ranks.map(finish);
    assert!(cut.elapsed() < Duration::from_secs(30), "{:?}", cut.elapsed());
    for (rank, output) in [first, second].iter().enumerate() {
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(8), "{said}");
        assert!(
            said.contains(&format!("rank {rank}: error: rank {rank} waited 4 s for another rank while at ")),
            "{said}"
        );
    }
}
