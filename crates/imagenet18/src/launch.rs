//! Starts the ranks of this machine, one process for each device, and ends them together.

use std::env;
use std::net::TcpListener;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use in18_comm::end_at_once;
use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::exit::{Ended, RANKS, after_signal};
use crate::output;
use crate::rank_environment::LAUNCHED;

/// How often the launcher checks the ranks.
const INTERVAL: Duration = Duration::from_millis(50);

/// How long the other ranks may take to end after one failed. They notice at their next exchange.
const GRACE: Duration = Duration::from_secs(8);

/// How long a rank may take to save its state and end after its launcher has gone.
const ORPHAN_GRACE: Duration = Duration::from_secs(60);

/// Runs this same command as `count` ranks. Returns when the last one has ended.
///
/// # Errors
/// [`Ended`] with the code of the rank that failed first.
pub fn launch(count: usize) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGUSR1]).context("cannot listen to signals")?;
    let port = free_port().context("cannot find a free port for the ranks")?;
    let program = env::current_exe().context("cannot find this program's own file")?;
    let mut ranks = Ranks(Vec::with_capacity(count));
    for rank in 0..count {
        let number = rank.to_string();
        let variables = [
            ("RANK", number.clone()),
            ("LOCAL_RANK", number),
            ("WORLD_SIZE", count.to_string()),
            ("LOCAL_WORLD_SIZE", count.to_string()),
            ("MASTER_ADDR", "127.0.0.1".to_owned()),
            ("MASTER_PORT", port.to_string()),
            (LAUNCHED, std::process::id().to_string()),
        ];
        let mut command = Command::new(&program);
        // In a process group of its own, a rank gets no signal from the terminal. This process gets
        // it alone, and forwards it once.
        command.args(env::args_os().skip(1)).envs(variables).process_group(0);
        // These variables would make the ranks look for torchrun's store.
        command.env_remove("TORCHELASTIC_USE_AGENT_STORE").env_remove("TORCHELASTIC_RESTART_COUNT");
        let child = command.spawn();
        ranks.0.push((rank, child.with_context(|| format!("cannot start rank {rank}"))?));
    }
    let (mut failed, mut stopped, mut killed): (Option<(i32, Instant)>, Option<i32>, bool) = (None, None, false);
    while !ranks.0.is_empty() {
        let mut ended = ranks.ended();
        // A rank that only lost another is not the cause. Look at it last.
        ended.sort_by_key(|(_, status)| code(*status) == i32::from(RANKS));
        for (rank, status) in ended {
            if let Some(signal) = status.signal().filter(|_| !killed) {
                output::complain(&format!("error: rank {rank} was ended by signal {signal}"));
            }
            // A rank that this launcher killed is not the cause.
            let is_our_doing = killed && status.signal().is_some();
            if !status.success() && !is_our_doing {
                let (first, since) = failed.unwrap_or((i32::from(RANKS), Instant::now()));
                // The rank that caused the failure may end after the ranks that lost it.
                failed = Some((if first == i32::from(RANKS) { code(status) } else { first }, since));
            }
        }
        if failed.is_some_and(|(_, since)| since.elapsed() > GRACE) && !killed {
            killed = true;
            ranks.signal(Signal::KILL);
        }
        for signal in signals.pending() {
            if signal == SIGINT && stopped == Some(SIGINT) {
                // A user who interrupts twice does not want to wait for a checkpoint.
                killed = true;
                ranks.signal(Signal::KILL);
            } else {
                // All ranks get the signal; they agree on the step at which they stop.
                stopped = Some(signal).filter(|&signal| signal != SIGUSR1).or(stopped);
                ranks.signal(Signal::from_named_raw(signal).unwrap_or(Signal::TERM));
            }
        }
        thread::sleep(INTERVAL);
    }
    match (failed, stopped) {
        (Some((code, _)), _) => Err(Ended(u8::try_from(code).unwrap_or(1)).into()),
        // Killed because the user asked for it.
        (None, Some(signal)) if killed => Err(Ended(u8::try_from(after_signal(signal)).unwrap_or(1)).into()),
        (None, _) => Ok(()),
    }
}

/// In a rank that [`launch`] started: when the launcher has gone, asks this process to end, and
/// ends it if it does not.
pub fn end_with_launcher() {
    let Some(launcher) = env::var(LAUNCHED).ok().and_then(|launcher| launcher.parse::<i32>().ok()) else { return };
    // Where the system cannot do that, the thread below still does.
    let _ = set_parent_process_death_signal(Some(Signal::TERM));
    if getppid().map(|parent| parent.as_raw_nonzero().get()) != Some(launcher) {
        // The launcher has gone already.
        std::process::exit(after_signal(Signal::TERM.as_raw()));
    }
    // A rank that hangs checks no signal flags, so a thread ends it.
    thread::spawn(move || {
        while getppid().map(|parent| parent.as_raw_nonzero().get()) == Some(launcher) {
            thread::sleep(Duration::from_secs(1));
        }
        thread::sleep(ORPHAN_GRACE);
        end_at_once(after_signal(Signal::TERM.as_raw()) as u8);
    });
}

/// The running ranks. Dropping this ends them all, so that none is left behind.
struct Ranks(Vec<(usize, Child)>);

impl Ranks {
    /// Removes the ranks that have ended, and returns them.
    fn ended(&mut self) -> Vec<(usize, ExitStatus)> {
        let mut ended = Vec::new();
        self.0.retain_mut(|(rank, child)| match child.try_wait() {
            Ok(None) => true,
            Ok(Some(status)) => {
                ended.push((*rank, status));
                false
            }
            // Cannot happen: no one else waits for our child processes. The rank counts as gone.
            Err(_) => false,
        });
        ended
    }

    fn signal(&self, signal: Signal) {
        for (_, child) in &self.0 {
            if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                // The rank may have ended by now.
                let _ = kill_process(pid, signal);
            }
        }
    }
}

impl Drop for Ranks {
    fn drop(&mut self) {
        for (_, child) in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(after_signal)).unwrap_or(1)
}

/// A port that is free now. If another program takes it before rank 0, the run says so and ends.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
