//! This process as one of several ranks: how it joins the others, what they agree on, and what it
//! tells them if it fails.
//!
//! A launcher says which rank it is ([`RankEnvironment`]). Without a launcher, `--devices` with
//! several devices starts the ranks of this machine ([`launch`](crate::launch)). These ranks then
//! find the same variables.

use std::env;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use anyhow::{Context, Result};
use in18_comm::{C10d, Comm, CommError, Joining, Solo, end_at_once};
use in18_program::Model;
use in18_train::identity::differences;
use in18_train::{Progress, Signals};
use serde_json::{Value, json};

use crate::exit::{self, Ended, Usage};
use crate::rank_environment::{self, RankEnvironment};
use crate::{failure, output};

/// How long ranks wait for each other at the start. Machines of a cluster boot at different speeds.
const JOIN_TIMEOUT: Duration = Duration::from_secs(300);

/// How long a failed rank waits for the ranks that it tells. Joining may take seconds more.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(10);

/// After how long a rank that waits for the others prints that it waits.
const QUIET_JOIN: Duration = Duration::from_secs(10);

/// Does what comes before a rank joins the others. If that fails, the rank prints the error, then
/// joins the others only to tell them that it leaves. Otherwise they would wait for it.
pub fn before_joining<T>(does: impl FnOnce() -> Result<T>) -> Result<T> {
    does().map_err(|error| {
        // This program's own launcher ends its ranks itself.
        let Some(environment) = RankEnvironment::enough_to_join().filter(|_| !rank_environment::is_launched()) else {
            return error;
        };
        let code = failure::tell(&error);
        match join(&environment, false, LEAVE_TIMEOUT, LEAVE_TIMEOUT, &mut |_| None) {
            Ok(mut comm) => {
                let _ = comm.note(&format!("at its start, and ended: {}", failure::line(&error)));
            }
            // A thread may still be joining.
            Err(_) => end_at_once(code),
        }
        Ended(code).into()
    })
}

/// This process as one of a run's ranks.
pub struct Rank {
    /// `None` if there is only one rank.
    pub environment: Option<RankEnvironment>,
    /// Whether the network's memory is on a GPU.
    pub gpus: bool,
    /// How long an exchange may take.
    pub step_timeout: Duration,
}

/// A guard that leaks its value when it is dropped, unless it was [disarmed](Self::disarm) before.
/// After an error, a GPU may wait forever for a lost rank, and freeing the GPU's memory would wait
/// with it. The process ends after an error, so the leak is harmless.
pub struct LeakOnError<T> {
    value: Option<T>,
    leaks: bool,
}

impl<T> LeakOnError<T> {
    /// Guards a value of this rank if its memory may be on a GPU that waits for other ranks.
    pub fn new(value: T, rank: &Rank) -> Self {
        LeakOnError { value: Some(value), leaks: rank.gpus && rank.world() > 1 }
    }

    /// From now on, the value is dropped normally.
    pub fn disarm(&mut self) {
        self.leaks = false;
    }
}

impl<T> Deref for LeakOnError<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("taken only when it is dropped")
    }
}

impl<T> DerefMut for LeakOnError<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("taken only when it is dropped")
    }
}

impl<T> Drop for LeakOnError<T> {
    fn drop(&mut self) {
        if self.leaks {
            mem::forget(self.value.take());
        }
    }
}

impl Rank {
    /// How many ranks there are.
    pub fn world(&self) -> usize {
        self.environment.as_ref().map_or(1, |found| found.world)
    }

    /// How many ranks there are on this machine.
    pub fn on_this_machine(&self) -> usize {
        self.environment.as_ref().map_or(1, |found| found.local_world)
    }

    /// Whether this is rank 0, which writes the run's files.
    pub fn is_first(&self) -> bool {
        self.environment.as_ref().is_none_or(|found| found.rank == 0)
    }

    /// Joins the other ranks. A signal interrupts the wait.
    pub fn join(&self, signals: &Signals) -> Result<Box<dyn Comm>> {
        let Some(environment) = &self.environment else { return Ok(Box::new(Solo)) };
        let mut has_told = false;
        let mut meanwhile = |waited| {
            if waited > QUIET_JOIN && !has_told {
                has_told = true;
                let RankEnvironment { rank, world, master, port, .. } = environment;
                let seconds = JOIN_TIMEOUT.as_secs();
                let what =
                    format!("waiting for all {world} ranks to come together at {master}:{port}, up to {seconds} s");
                output::complain(&format!("rank {rank}: {what}"));
            }
            signals.stopped_by()
        };
        join(environment, self.gpus, self.step_timeout, JOIN_TIMEOUT, &mut meanwhile)
    }

    /// Prints an error of this rank alone before its connections close, which the others notice.
    pub fn report_before_leaving<T, E: Into<anyhow::Error>>(&self, outcome: Result<T, E>) -> Result<T> {
        let error = match outcome {
            Ok(value) => return Ok(value),
            Err(error) => error.into(),
        };
        if self.world() == 1 || exit::is_everyones(&error) || exit::is_of_ranks(&error) {
            return Err(error);
        }
        Err(Ended(failure::tell(&error)).into())
    }

    /// On all ranks but 0, waits until rank 0 calls [`release_others`](Self::release_others). So a
    /// mistake that every rank would find is printed once.
    pub fn wait_for_first(&self, comm: &mut dyn Comm) -> Result<()> {
        if self.is_first() { Ok(()) } else { self.barrier(comm, "waiting for rank 0 to look at arguments and images") }
    }

    /// On rank 0, lets the other ranks continue.
    pub fn release_others(&self, comm: &mut dyn Comm) -> Result<()> {
        if self.is_first() { self.barrier(comm, "looking at arguments and images") } else { Ok(()) }
    }

    fn barrier(&self, comm: &mut dyn Comm, doing: &str) -> Result<()> {
        if comm.world() > 1 {
            comm.note(doing)?;
            comm.sum(&mut [0.0])?;
        }
        Ok(())
    }

    /// Checks that this rank is about to do the same as rank 0.
    ///
    /// # Errors
    /// [`Usage`] on a rank that is about to do something else.
    pub fn check_same_run(&self, comm: &mut dyn Comm, run: &Value) -> Result<()> {
        if comm.world() == 1 {
            return Ok(());
        }
        comm.note("comparing its run with the others'")?;
        let own = json!({ "version": version()?, "device": if self.gpus { "a GPU" } else { "a CPU" }, "run": run });
        let all = comm.gather(own.to_string().as_bytes())?;
        let first: Value = serde_json::from_slice(&all[0])?;
        let differs = |what: &str, difference: String| {
            Err(Usage(format!("expected {what} of rank 0 on rank {}, got another: {difference}", comm.rank())).into())
        };
        if first["version"] != own["version"] {
            return differs("the program", format!("{} there, {} here", first["version"], own["version"]));
        }
        if first["device"] != own["device"] {
            return differs("the kind of device", format!("{} there, {} here", first["device"], own["device"]));
        }
        match differences(&first["run"], run) {
            Some(difference) => differs("the run", difference.replace("in the checkpoint", "there")),
            None => Ok(()),
        }
    }

    /// Sends rank 0's progress, parameters, velocities and statistics to every rank.
    pub fn broadcast_state(&self, comm: &mut dyn Comm, model: &mut Model, progress: Progress) -> Result<Progress> {
        if comm.world() == 1 {
            return Ok(progress);
        }
        comm.note("taking over rank 0's network")?;
        for range in model.state_ranges()? {
            comm.broadcast(range)?;
        }
        comm.settle()?;
        let own = if self.is_first() { serde_json::to_vec(&progress)? } else { Vec::new() };
        Ok(serde_json::from_slice(&comm.gather(&own)?[0])?)
    }
}

/// Identifies the program's file, which must be the same on all machines.
fn version() -> Result<String> {
    let bytes = env::current_exe().and_then(std::fs::read).context("cannot read this program's own file")?;
    Ok(format!("{} ({:08x})", env!("CARGO_PKG_VERSION"), crc32c::crc32c(&bytes)))
}

/// Checks that this machine can join ranks.
///
/// # Errors
/// What the machine lacks, and which command installs it.
pub fn check_engine() -> Result<(), CommError> {
    in18_libtorch::ranks().map(|_| ()).map_err(CommError::Library)
}

fn join(
    environment: &RankEnvironment,
    gpus: bool,
    timeout: Duration,
    join_timeout: Duration,
    meanwhile: &mut dyn FnMut(Duration) -> Option<i32>,
) -> Result<Box<dyn Comm>> {
    let &RankEnvironment { rank, world, port, .. } = environment;
    check_engine().map_err(|why| Usage(format!("{world} ranks: {why}")))?;
    let interface_is_set = env::var_os("GLOO_SOCKET_IFNAME").is_some();
    let (master, agent_prefix) = (environment.master.clone(), environment.agent_prefix.clone());
    let joining = Joining { rank, world, master, port, agent_prefix, interface_is_set, join_timeout, timeout, gpus };
    Ok(Box::new(C10d::join(joining, meanwhile)?))
}
