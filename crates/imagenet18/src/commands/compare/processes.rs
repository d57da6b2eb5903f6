//! Runs side by side, one process each.

use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use in18_train::TrainError;
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::outcome::Outcome;
use super::variant::Variant;
use crate::cli::CompareArgs;
use crate::exit::after_signal;
use crate::{cores, engine, output};

/// How often the processes are looked at.
const INTERVAL: Duration = Duration::from_millis(50);

/// A run.
pub struct Job<'a> {
    /// Its recipe.
    pub variant: &'a Variant,
    /// Its seed.
    pub seed: u64,
}

impl Job<'_> {
    /// The run's folder.
    pub fn logdir(&self) -> PathBuf {
        self.variant.folder.join(format!("seed-{}", self.seed))
    }

    fn describe(&self) -> String {
        format!("{}, seed {}", self.variant.name, self.seed)
    }

    /// The command that trains it, or goes on with it.
    fn command(&self, arguments: &CompareArgs) -> Result<Command> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let CompareArgs { data, engine, workers, reading, .. } = arguments;
        let (threads, logdir) = (threads(arguments).to_string(), self.logdir());
        let log =
            File::create(output_of(&logdir)).map_err(|cause| TrainError::Write { path: output_of(&logdir), cause })?;
        let mut command = Command::new(program);
        command.arg("train").arg(data).arg("--recipe").arg(self.variant.toml());
        command.args(["--seed", &self.seed.to_string(), "--resume", "auto", "--print-freq", "1000000"]);
        command.arg("--logdir").arg(&logdir).args(["--threads", &threads]);
        command.args(["--workers", &workers.map_or(threads, |workers| workers.to_string())]);
        command.args(["--engine", &name(engine.engine), "--precision", &name(engine.precision)]);
        command.args(["--devices", &engine.devices.to_string()]);
        command.args(engine.no_tf32.then_some("--no-tf32")).args(reading.exif.then_some("--exif"));
        if let Some(cache) = &reading.cache {
            command.arg("--cache").arg(cache);
        }
        // In a process group of its own, a run gets no signal from the terminal. This process
        // forwards it.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0);
        Ok(command)
    }
}

/// What a run printed.
fn output_of(logdir: &Path) -> PathBuf {
    logdir.join("output.txt")
}

fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

fn threads(arguments: &CompareArgs) -> NonZeroUsize {
    arguments.engine.threads.unwrap_or(NonZeroUsize::MIN)
}

/// Trains all that are not trained yet, and returns the exit code: 0, or that of the first run that
/// failed, or of the signal that stopped all.
pub fn run_all(jobs: &[Job<'_>], arguments: &CompareArgs) -> Result<u8> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("cannot listen to signals")?;
    let by_cores = (cores::available().get() / threads(arguments)).max(1);
    let at_once = if engine::takes_gpus(&arguments.engine) { 1 } else { by_cores };
    let at_once = arguments.processes.map_or(at_once, NonZeroUsize::get);
    let (mut done, mut failed, mut stopped) = (0, None, None);
    let mut waiting = Vec::new();
    for job in jobs {
        if Outcome::read(&job.logdir(), job.variant.cost)?.is_some() { done += 1 } else { waiting.push(job) }
    }
    if done > 0 {
        output::complain(&format!("{done} of {} runs are done already", jobs.len()));
    }
    waiting.reverse();
    let mut running = Running(Vec::new());
    while !running.0.is_empty() || (stopped.is_none() && !waiting.is_empty()) {
        while stopped.is_none() && running.0.len() < at_once {
            let Some(job) = waiting.pop() else { break };
            let logdir = job.logdir();
            fs::create_dir_all(&logdir).map_err(|cause| TrainError::Write { path: logdir, cause })?;
            let child = job.command(arguments)?.spawn().context("cannot start a run")?;
            running.0.push((job, child));
        }
        for (job, status) in running.ended()? {
            done += usize::from(status.success());
            let place = format!("{done} of {} runs, {}", jobs.len(), job.describe());
            match Outcome::read(&job.logdir(), job.variant.cost)? {
                Some(Outcome { top1, top5, seconds, .. }) => {
                    let text = format!("{place}: top-1 {top1:.2} %, top-5 {top5:.2} %, {:.1} min", seconds / 60.0);
                    output::complain(&text);
                }
                None if stopped.is_some() => {}
                None => {
                    let code = code(status);
                    failed = failed.or(Some(code));
                    let (path, name) = (output_of(&job.logdir()), job.describe());
                    let text = fs::read_to_string(&path).unwrap_or_default();
                    let last = text.lines().last().unwrap_or("it said nothing");
                    output::complain(&format!("error: {name} ended with code {code}: {last} ({})", path.display()));
                }
            }
        }
        for signal in signals.pending() {
            // At a second signal, nobody wants to wait for checkpoints.
            running.signal(if stopped.is_some() { Signal::KILL } else { Signal::TERM });
            stopped = Some(signal);
        }
        thread::sleep(INTERVAL);
    }
    if let Some(signal) = stopped {
        output::complain("stopped: the same command goes on from here");
        return Ok(u8::try_from(after_signal(signal)).unwrap_or(1));
    }
    Ok(failed.unwrap_or(0))
}

fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(after_signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// The processes that run. Dropping this ends them, so that none is left behind.
struct Running<'a>(Vec<(&'a Job<'a>, Child)>);

impl<'a> Running<'a> {
    /// Removes those that have ended, and returns them.
    fn ended(&mut self) -> Result<Vec<(&'a Job<'a>, ExitStatus)>> {
        let mut ended = Vec::new();
        let mut at = 0;
        while at < self.0.len() {
            match self.0[at].1.try_wait().context("cannot wait for a run")? {
                None => at += 1,
                Some(status) => ended.push((self.0.remove(at).0, status)),
            }
        }
        Ok(ended)
    }

    fn signal(&self, signal: Signal) {
        for (_, child) in &self.0 {
            if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                // The run may have ended by now.
                let _ = kill_process(pid, signal);
            }
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        for (_, child) in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
