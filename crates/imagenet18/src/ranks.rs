//! This process as one of several ranks: how it joins the others, what they agree on, and what it tells them if it fails.
//!
//! Where it stands among them is a launcher's to say ([`Place`]). Without one, `--devices` of several starts the ranks of this machine
//! ([`launch`]), which then find the same variables.

use std::env;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use anyhow::{Context, Result};
use in18_comm::{Comm, Solo, end_at_once};
use in18_program::Model;
use in18_train::identity::differences;
use in18_train::{Progress, Signals};
use serde_json::{Value, json};

pub use self::place::Place;
use crate::exit::{self, Ended, Usage};
use crate::{launch, output};

mod place;

/// Set by this program's own launcher for the ranks that it starts.
pub const LAUNCHED: &str = "IMAGENET18_LAUNCHED";

/// How long ranks wait for each other at the start: machines of a cluster boot at different speeds.
const JOIN_TIMEOUT: Duration = Duration::from_secs(300);

/// How long a rank that has failed waits for those that it has to tell; joining may take some seconds more.
const FAREWELL: Duration = Duration::from_secs(10);

/// When a rank that waits for the others says so.
const PATIENCE: Duration = Duration::from_secs(10);

/// Does what comes before a rank joins the others. If it fails, this says why, and joins them only to leave them again: they would
/// wait for this rank otherwise.
pub fn before_joining<T>(does: impl FnOnce() -> Result<T>) -> Result<T> {
    does().map_err(|error| {
        // This program's own launcher looks after its ranks.
        let Some(place) = Place::to_meet_others().filter(|_| !launch::is_launched()) else { return error };
        let code = exit::tell(&error);
        match c10d::join(&place, false, FAREWELL, FAREWELL, &mut |_| None) {
            Ok(mut comm) => {
                let _ = comm.note(&format!("at its start, and ended: {}", exit::line(&error)));
            }
            // A thread may still be at it.
            Err(_) => end_at_once(code),
        }
        Ended(code).into()
    })
}

/// Whether this process tells what all of a run's would.
pub fn speaks() -> bool {
    !launch::is_launched() && !matches!(Place::of_this_process(), Ok(Some(place)) if place.rank > 0)
}

/// This process as one of a run's ranks.
pub struct Rank {
    /// None in a world of one.
    pub place: Option<Place>,
    /// Whether the network lies on a GPU.
    pub gpus: bool,
    /// How long an exchange may take.
    pub step_timeout: Duration,
}

/// A value that is dropped in order only once its work is [done](Self::done): after an error on a GPU, which may wait for a lost
/// rank for ever, so would whatever frees its memory. The process ends then.
pub struct Held<T> {
    value: Option<T>,
    leaks: bool,
}

impl<T> Held<T> {
    /// Holds a value of this rank's.
    pub fn new(value: T, rank: &Rank) -> Self {
        Held { value: Some(value), leaks: rank.gpus && rank.world() > 1 }
    }

    /// From now on it is dropped as any other.
    pub fn done(&mut self) {
        self.leaks = false;
    }
}

impl<T> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("held until it is dropped")
    }
}

impl<T> DerefMut for Held<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("held until it is dropped")
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        if self.leaks {
            mem::forget(self.value.take());
        }
    }
}

impl Rank {
    /// How many ranks there are.
    pub fn world(&self) -> usize {
        self.place.as_ref().map_or(1, |place| place.world)
    }

    /// How many there are on this machine.
    pub fn on_this_machine(&self) -> usize {
        self.place.as_ref().map_or(1, |place| place.local_world)
    }

    /// Whether this one writes.
    pub fn is_first(&self) -> bool {
        self.place.as_ref().is_none_or(|place| place.rank == 0)
    }

    /// Joins the others. A signal ends that.
    pub fn join(&self, signals: &Signals) -> Result<Box<dyn Comm>> {
        let Some(place) = &self.place else { return Ok(Box::new(Solo)) };
        let mut has_told = false;
        let mut meanwhile = |waited| {
            if waited > PATIENCE && !has_told {
                has_told = true;
                let Place { rank, world, master, port, .. } = place;
                let seconds = JOIN_TIMEOUT.as_secs();
                let what =
                    format!("waiting for all {world} ranks to come together at {master}:{port}, up to {seconds} s");
                output::complain(&format!("rank {rank}: {what}"));
            }
            signals.stopped_by()
        };
        c10d::join(place, self.gpus, self.step_timeout, JOIN_TIMEOUT, &mut meanwhile)
    }

    /// Says what went wrong on this rank alone before the others notice that it is gone: they do once its exchange is dropped.
    pub fn say_first<T, E: Into<anyhow::Error>>(&self, outcome: Result<T, E>) -> Result<T> {
        let error = match outcome {
            Ok(value) => return Ok(value),
            Err(error) => error.into(),
        };
        if self.world() == 1 || exit::is_everyones(&error) || exit::is_of_ranks(&error) {
            return Err(error);
        }
        Err(Ended(exit::tell(&error)).into())
    }

    /// On all ranks but 0: waits for rank 0, so that a mistake that all would find is told once.
    pub fn follow(&self, comm: &mut dyn Comm) -> Result<()> {
        if self.is_first() { Ok(()) } else { self.meet(comm, "waiting for rank 0 to look at arguments and images") }
    }

    /// On rank 0: lets the others go on.
    pub fn lead(&self, comm: &mut dyn Comm) -> Result<()> {
        if self.is_first() { self.meet(comm, "looking at arguments and images") } else { Ok(()) }
    }

    fn meet(&self, comm: &mut dyn Comm, doing: &str) -> Result<()> {
        if comm.world() > 1 {
            comm.note(doing)?;
            comm.sum(&mut [0.0])?;
        }
        Ok(())
    }

    /// Compares what this rank is about to do with what rank 0 is.
    ///
    /// # Errors
    /// [`Usage`] on a rank that is about to do something else.
    pub fn agree(&self, comm: &mut dyn Comm, run: &Value) -> Result<()> {
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

    /// Gives every rank rank 0's progress, parameters, velocities and statistics.
    pub fn share(&self, comm: &mut dyn Comm, model: &mut Model, progress: Progress) -> Result<Progress> {
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

/// What must be the same file on all machines.
fn version() -> Result<String> {
    let bytes = env::current_exe().and_then(std::fs::read).context("cannot read this program's own file")?;
    Ok(format!("{} ({:08x})", env!("CARGO_PKG_VERSION"), crc32c::crc32c(&bytes)))
}

#[cfg(feature = "torch")]
mod c10d {
    use std::env;
    use std::time::Duration;

    use anyhow::Result;
    use in18_comm::{C10d, Comm, Joining};

    use super::Place;

    pub fn join(
        place: &Place,
        gpus: bool,
        timeout: Duration,
        join_timeout: Duration,
        meanwhile: &mut dyn FnMut(Duration) -> Option<i32>,
    ) -> Result<Box<dyn Comm>> {
        let &Place { rank, world, port, .. } = place;
        let network_is_set = env::var_os("GLOO_SOCKET_IFNAME").is_some();
        let (master, served) = (place.master.clone(), place.agent.clone());
        let joining = Joining { rank, world, master, port, served, network_is_set, join_timeout, timeout, gpus };
        Ok(Box::new(C10d::join(joining, meanwhile)?))
    }
}

#[cfg(not(feature = "torch"))]
mod c10d {
    use std::time::Duration;

    use anyhow::Result;
    use in18_comm::Comm;

    use super::Place;
    use crate::engine::NOT_BUILT;
    use crate::exit::Usage;

    pub fn join(
        place: &Place,
        _: bool,
        _: Duration,
        _: Duration,
        _: &mut dyn FnMut(Duration) -> Option<i32>,
    ) -> Result<Box<dyn Comm>> {
        let world = place.world;
        Err(Usage(format!("{world} ranks: they are joined by libtorch's engine, and {NOT_BUILT}")).into())
    }
}
