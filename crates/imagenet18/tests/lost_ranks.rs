//! How a run of several ranks ends when one fails, hangs, is killed or is started wrongly.

mod several;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use in18_libtorch::LIBRARY;
use in18_testkit::skip::lacks;
use rustix::process::Signal;
use several::{
    LONG, LongRun, events, free_port, is_running, photos, rank, signal, stderr, train, wait, wait_for_steps,
};

#[test]
fn a_killed_rank_ends_the_run_at_once() {
    if lacks(LIBRARY) {
        return;
    }
    let mut run = LongRun::start(&["--devices", "cpu:2"]);
    assert_eq!(run.ranks.len(), 2);
    run.signal(1, Signal::KILL);
    let start = Instant::now();
    let output = wait(&mut run.launcher, Duration::from_secs(10));
    assert!(start.elapsed() < Duration::from_secs(10));
    let said = stderr(&output);
    assert!(!output.status.success(), "{said}");
    assert_eq!(output.status.code(), Some(137), "{said}");
    assert!(said.contains("error: rank 1 was ended by signal 9"), "{said}");
    assert!(said.contains("rank 0: error: rank 0 lost another rank while at "), "{said}");
    run.assert_nobody_is_left();
}

#[test]
fn a_killed_launcher_leaves_no_rank_behind() {
    if lacks(LIBRARY) {
        return;
    }
    let mut run = LongRun::start(&["--devices", "cpu:2"]);
    run.launcher.kill().unwrap();
    run.launcher.wait().unwrap();
    let start = Instant::now();
    while run.ranks.iter().any(|&rank| is_running(rank)) {
        assert!(start.elapsed() < Duration::from_secs(15), "a rank is left behind");
        sleep(Duration::from_millis(50));
    }
    // The ranks saved a checkpoint first.
    assert!(!events(&run.logdir, "checkpoint").is_empty());
}

#[test]
fn a_hanging_rank_is_named() {
    if lacks(LIBRARY) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (data, port) = (folder.path().join("photos"), free_port());
    photos(&data);
    let logdir = folder.path().join("logs");
    let start = |number| {
        let more = ["--devices", "cpu", "--phases", LONG, "--step-timeout", "3"];
        rank(number, 2, port, train(&data, &logdir, &more))
    };
    let (mut first, second) = (start(0), start(1));
    wait_for_steps(&logdir, 3);
    signal(&second, Signal::STOP);
    let output = wait(&mut first, Duration::from_secs(15));
    signal(&second, Signal::KILL);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(8), "{said}");
    let expected = ["rank 0: error: rank 0 waited 3 s for another rank while at ", "rank 1 was last at "];
    assert!(expected.iter().all(|part| said.contains(part)) && said.contains("--step-timeout"), "{said}");
    let _ = { second }.wait();
}

#[test]
fn of_three_ranks_the_one_that_hangs_is_told_apart() {
    if lacks(LIBRARY) {
        return;
    }
    let mut run = LongRun::start(&["--devices", "cpu:3", "--step-timeout", "3"]);
    run.signal(2, Signal::STOP);
    let output = wait(&mut run.launcher, Duration::from_secs(20));
    let said = stderr(&output);
    // Not the code of the signal by which the launcher ends the hanging rank.
    assert_eq!(output.status.code(), Some(8), "{said}");
    let line = said.lines().find(|line| line.starts_with("rank 0: error: ")).unwrap_or_else(|| panic!("{said}"));
    let others: Vec<&str> = line.split("; ").filter(|part| part.contains(" was last ")).collect();
    assert!(others.len() == 2 && others[0].starts_with("rank 1") && others[1].starts_with("rank 2"), "{line}");
    let own = line.split("while ").nth(1).and_then(|rest| rest.split(';').next()).unwrap();
    // Waiting ranks say what they wait for. The hanging rank is behind them or hangs in an
    // exchange; it is silent in both cases.
    assert!(own.ends_with("exchanging gradients") || own.ends_with("adding up results"), "{line}");
    assert!(others[0].ends_with(own) && others[1].ends_with(", and is silent"), "{line}");
    run.assert_nobody_is_left();
}

#[test]
fn who_interrupts_twice_leaves_no_rank_behind() {
    if lacks(LIBRARY) {
        return;
    }
    let mut run = LongRun::start(&["--devices", "cpu:2"]);
    // The stopped rank cannot save a checkpoint, and the other waits for it.
    run.signal(1, Signal::STOP);
    signal(&run.launcher, Signal::INT);
    sleep(Duration::from_millis(500));
    assert!(run.launcher.try_wait().unwrap().is_none());
    signal(&run.launcher, Signal::INT);
    let output = wait(&mut run.launcher, Duration::from_secs(5));
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    run.assert_nobody_is_left();
}

#[test]
fn a_rank_that_fails_before_it_joins_keeps_nobody_waiting() {
    if lacks(LIBRARY) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (data, port) = (folder.path().join("photos"), free_port());
    photos(&data);
    let logdir = folder.path().join("logs");
    let mut first = rank(0, 2, port, train(&data, &logdir, &["--devices", "cpu"]));
    let mut second = rank(1, 2, port, train(&data, &logdir, &["--devices", "cpu", "--phases", "[{'ep':0,'sz':32}]"]));
    let [first, second] = [&mut first, &mut second].map(|rank| wait(rank, Duration::from_secs(20)));
    let (said, own) = (stderr(&first), stderr(&second));
    assert_eq!(second.status.code(), Some(2), "{own}");
    assert!(own.lines().count() == 1 && own.starts_with("rank 1: error: "), "{own}");
    assert_eq!(first.status.code(), Some(8), "{said}");
    let why = own.trim_end().split("error: ").nth(1).unwrap();
    assert!(said.contains(&format!("rank 1 was last at its start, and ended: {why}")), "{said}");
}

#[test]
fn who_waits_for_others_listens_to_signals() {
    if lacks(LIBRARY) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (data, logdir) = (folder.path().join("photos"), folder.path().join("logs"));
    photos(&data);
    let mut alone = rank(1, 2, free_port(), train(&data, &logdir, &["--devices", "cpu"]));
    sleep(Duration::from_secs(2));
    signal(&alone, Signal::TERM);
    let output = wait(&mut alone, Duration::from_secs(5));
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(143), "{said}");
    assert!(said.contains("stopped by signal 15 while waiting for the other ranks"), "{said}");
}

#[test]
fn a_rank_that_fails_says_why_before_the_others_say_that_it_is_gone() {
    if lacks(LIBRARY) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (data, other) = (folder.path().join("photos"), folder.path().join("other"));
    let port = free_port();
    photos(&data);
    photos(&other);
    fs::remove_file(other.join("train/class00/0000.jpg")).unwrap();
    // Both ranks write to one file, so that the order of their messages shows.
    let together = fs::File::create(folder.path().join("said")).unwrap();
    let start = |number: usize, data: &Path| {
        let mut command = train(data, &folder.path().join("logs"), &["--devices", "cpu"]);
        command.stderr(together.try_clone().unwrap());
        rank(number, 2, port, command)
    };
    let mut ranks = [start(0, &data), start(1, &other)];
    let codes = ranks.each_mut().map(|rank| wait(rank, Duration::from_secs(20)).status.code());
    let said = fs::read_to_string(folder.path().join("said")).unwrap();
    assert_eq!(codes, [Some(8), Some(2)], "{said}");
    let place = |what: &str| said.find(what).unwrap_or_else(|| panic!("no `{what}` in {said}"));
    let own = place("rank 1: error: expected the run of rank 0 on rank 1, got another");
    assert!(own < place("rank 0: error: rank 0 lost another rank") && said.contains("images.DATA/train"), "{said}");
}

#[test]
fn a_mistake_of_all_ranks_is_told_once() {
    if lacks(LIBRARY) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (data, logdir) = (folder.path().join("photos"), folder.path().join("logs"));
    let output = train(&data, &logdir, &["--devices", "cpu:3"]).output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.lines().count() == 1 && said.starts_with("rank 0: error: ") && said.contains("photos"), "{said}");
    // Refused before any rank is started.
    let output = train(&data, &logdir, &["--devices", "cpu:2", "--precision", "fp16"]).output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(6), "{said}");
    assert!(said.lines().count() == 1 && said.starts_with("error: ") && said.contains("--engine torch"), "{said}");
}

#[test]
fn mistakes_of_launchers_are_one_line() {
    if lacks(LIBRARY) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (data, logdir) = (folder.path().join("photos"), folder.path().join("logs"));
    photos(&data);
    let taken = TcpListener::bind(("0.0.0.0", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let all = [("RANK", "0"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", port.as_str())];
    for (variables, code, says) in [
        (&all[..2], 2, "MASTER_ADDR: expected the host of rank 0 from the launcher, got nothing"),
        (&all[..], 8, "the port is in use: set MASTER_PORT to another"),
    ] {
        let mut command = train(&data, &logdir, &["--devices", "cpu"]);
        let output = command.envs(variables.iter().copied()).output().unwrap();
        let said = stderr(&output);
        assert!(output.status.code() == Some(code) && said.contains(says), "{:?}: {said}", output.status);
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
