//! Which rank this process is, who started it, and how it joins the others.
//!
//! A launcher says it by environment variables: torchrun and most others by RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE,
//! MASTER_ADDR and MASTER_PORT, Slurm's `srun` by its own. Without one, `--devices` of several starts the ranks of this machine
//! ([`launch`](crate::launch)), which then find the same variables.

use std::env;
use std::mem;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use anyhow::{Context, Result};
use in18_comm::{Comm, Solo};
use in18_program::Model;
use in18_train::identity::differences;
use in18_train::{Progress, Signals};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::{Value, json};

use crate::exit::{self, Ended, Usage};
use crate::output;

/// Set by this program's own launcher for the ranks that it starts.
pub const LAUNCHED: &str = "IMAGENET18_LAUNCHED";

/// How long ranks wait for each other at the start: machines of a cluster boot at different speeds.
const JOIN_TIMEOUT: Duration = Duration::from_secs(300);

/// How long a rank that has failed waits for those that it has to tell.
const FAREWELL: Duration = Duration::from_secs(10);

/// When a rank that waits for the others says so.
const PATIENCE: Duration = Duration::from_secs(10);

/// A rank's place among the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// From 0.
    pub rank: usize,
    /// How many there are.
    pub world: usize,
    /// From 0, on this machine.
    pub local_rank: usize,
    /// How many there are on this machine.
    pub local_world: usize,
    /// Whether the launcher said so; else all are taken to be here.
    pub is_local_world_known: bool,
    /// The host where rank 0 listens.
    pub master: String,
    /// And its port.
    pub port: u16,
    /// The prefix of this run's keys where torchrun's agent listens there instead, and serves them.
    pub agent: Option<String>,
}

impl Place {
    /// As the launcher's variables say; none without a launcher, or with one that started a single process.
    pub fn of(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, Usage> {
        let Some(place) = Self::as_written(variable)? else { return Ok(None) };
        let Place { rank, world, local_rank, local_world, .. } = place;
        if rank >= world || local_rank >= local_world || local_world > world {
            return Err(Usage(format!(
                "the launcher: expected RANK below WORLD_SIZE and LOCAL_RANK below LOCAL_WORLD_SIZE, got {rank} of {world} and \
                 {local_rank} of {local_world}"
            )));
        }
        Ok((world > 1).then_some(place))
    }

    fn as_written(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, Usage> {
        match variable("RANK").or_else(|| variable("WORLD_SIZE")) {
            Some(_) => by_rank(variable).map(Some),
            None if is_slurm_step(variable) => by_slurm(variable).map(Some),
            None => Ok(None),
        }
    }

    /// As this process's environment says.
    pub fn of_this_process() -> Result<Option<Self>, Usage> {
        Self::of(&variable)
    }

    fn master_is_here(&self) -> bool {
        self.master == "localhost" || self.master.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Leaves this process its share of the machine's cores, unless the launcher has done so.
    pub fn take_cores(&self) {
        if !self.is_local_world_known && self.local_rank == 0 && !self.master_is_here() {
            let what =
                format!("all {} ranks are taken to be on this machine, and divide its cores and memory", self.world);
            output::complain(&format!("warning: LOCAL_WORLD_SIZE is not set: {what}; set it if they are not"));
        }
        if self.local_world == 1 || is_bound_by_slurm() {
            return;
        }
        // Without a share of its own, a rank computes all the same.
        let Ok(all) = sched_getaffinity(None) else { return };
        let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&cpu| all.is_set(cpu)).collect();
        let mut own = CpuSet::new();
        share(cores.len(), self.local_rank, self.local_world).for_each(|index| own.set(cores[index]));
        let _ = sched_setaffinity(None, &own);
    }
}

/// A variable of this process's environment; one that is empty counts as unset.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Does what comes before a rank joins the others. If it fails, this says why, and joins them only to leave them again: they would
/// wait for this rank otherwise.
pub fn before_joining<T>(does: impl FnOnce() -> Result<T>) -> Result<T> {
    does().map_err(|error| {
        let place =
            Place::as_written(&variable).ok().flatten().filter(|place| place.rank < place.world && place.world > 1);
        // This program's own launcher looks after its ranks.
        let Some(place) = place.filter(|_| !crate::launch::is_launched()) else { return error };
        let code = exit::tell(&error);
        if let Ok(mut comm) = c10d::join(&place, false, FAREWELL, FAREWELL, &mut |_| None) {
            let _ = comm.note(&format!("at its start, and ended: {}", exit::line(&error)));
        }
        Ended(code).into()
    })
}

/// Whether this process tells what all of a run's would.
pub fn speaks() -> bool {
    !crate::launch::is_launched() && !matches!(Place::of_this_process(), Ok(Some(place)) if place.rank > 0)
}

/// The indices of `cores` that are a rank's: equal runs, and where ranks are more than cores, one that several share.
fn share(cores: usize, rank: usize, ranks: usize) -> std::ops::Range<usize> {
    if cores < ranks {
        let only = rank % cores.max(1);
        return only..(only + 1).min(cores);
    }
    rank * cores / ranks..(rank + 1) * cores / ranks
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

/// What launchers call the number of ranks on a machine: torchrun, Open MPI, other MPIs.
const LOCAL_SIZES: [&str; 3] = ["LOCAL_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"];

fn number<T: std::str::FromStr>(variable: &dyn Fn(&str) -> Option<String>, name: &str) -> Result<T, Usage> {
    let value = variable(name);
    let parsed = value.as_deref().and_then(|value| value.parse().ok());
    let got = value.as_deref().map_or("nothing".to_owned(), |value| format!("`{value}`"));
    parsed.ok_or_else(|| Usage(format!("{name}: expected a number from the launcher, got {got}")))
}

fn by_rank(variable: &dyn Fn(&str) -> Option<String>) -> Result<Place, Usage> {
    let (rank, world) = (number(variable, "RANK")?, number(variable, "WORLD_SIZE")?);
    // Alone, nobody is to be found.
    let needs_master = world > 1;
    let master = match variable("MASTER_ADDR") {
        Some(master) => master,
        None if needs_master => {
            return Err(Usage("MASTER_ADDR: expected the host of rank 0 from the launcher, got nothing".to_owned()));
        }
        None => String::new(),
    };
    let port = if needs_master { number(variable, "MASTER_PORT")? } else { 0 };
    // A launcher that does not say runs one machine.
    let local_rank = variable("LOCAL_RANK").map_or(Ok(rank), |_| number(variable, "LOCAL_RANK"))?;
    let local_size = LOCAL_SIZES.into_iter().find(|name| variable(name).is_some());
    let local_world = local_size.map_or(Ok(world), |name| number(variable, name))?;
    let is_local_world_known = local_size.is_some();
    let is_agent = variable("TORCHELASTIC_USE_AGENT_STORE").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let attempt = || variable("TORCHELASTIC_RESTART_COUNT").unwrap_or_else(|| "0".to_owned());
    let agent = is_agent.then(|| format!("imagenet18/attempt_{}", attempt()));
    Ok(Place { rank, world, local_rank, local_world, is_local_world_known, master, port, agent })
}

/// Whether `srun` started this process: a batch script has most of Slurm's variables, too, and no step.
fn is_slurm_step(variable: &dyn Fn(&str) -> Option<String>) -> bool {
    // Steps that are none (the batch script, an interactive shell) have numbers near 2³².
    let step = variable("SLURM_STEP_ID").and_then(|step| step.parse::<u32>().ok());
    step.is_some_and(|step| step < u32::MAX - 16) && variable("SLURM_PROCID").is_some()
}

fn by_slurm(variable: &dyn Fn(&str) -> Option<String>) -> Result<Place, Usage> {
    let (rank, world) = (number(variable, "SLURM_PROCID")?, number(variable, "SLURM_NTASKS")?);
    let local_rank = number(variable, "SLURM_LOCALID")?;
    let tasks = variable("SLURM_STEP_TASKS_PER_NODE").or_else(|| variable("SLURM_TASKS_PER_NODE"));
    let node = variable("SLURM_NODEID").and_then(|node| node.parse().ok()).unwrap_or(0);
    let on_node = tasks.and_then(|tasks| tasks_on_node(&tasks, node));
    let (local_world, is_local_world_known) = (on_node.unwrap_or(world), on_node.is_some());
    let nodes = variable("SLURM_STEP_NODELIST").or_else(|| variable("SLURM_NODELIST")).unwrap_or_default();
    let master = variable("MASTER_ADDR").unwrap_or_else(|| first_host(&nodes));
    let port = match variable("MASTER_PORT") {
        Some(_) => number(variable, "MASTER_PORT")?,
        // The same on all ranks, and another for a job, or a step of the same job, that runs beside.
        None => {
            let (job, step) = (number::<u64>(variable, "SLURM_JOB_ID")?, number::<u64>(variable, "SLURM_STEP_ID")?);
            20_000 + ((job + 997 * step) % 20_000) as u16
        }
    };
    Ok(Place { rank, world, local_rank, local_world, is_local_world_known, master, port, agent: None })
}

/// Slurm's `4(x2),3`: tasks of each node.
fn tasks_on_node(tasks: &str, node: usize) -> Option<usize> {
    let mut passed = 0;
    for part in tasks.split(',') {
        let (count, nodes) = match part.split_once("(x") {
            Some((count, nodes)) => (count, nodes.strip_suffix(')')?.parse().ok()?),
            None => (part, 1),
        };
        passed += nodes;
        if node < passed {
            return count.parse().ok();
        }
    }
    None
}

/// The first of Slurm's `node[03-07,12],other`.
fn first_host(nodes: &str) -> String {
    let Some((prefix, ranges)) = nodes.split_once('[').filter(|(prefix, _)| !prefix.contains(',')) else {
        return nodes.split(',').next().unwrap_or_default().to_owned();
    };
    let first: String = ranges.chars().take_while(char::is_ascii_digit).collect();
    let suffix = ranges.split_once(']').map_or("", |(_, rest)| rest.split(',').next().unwrap_or_default());
    format!("{prefix}{first}{suffix}")
}

/// Whether Slurm has given this task cores of its own.
fn is_bound_by_slurm() -> bool {
    if env::var_os("RANK").is_some() {
        // Whoever set it started several ranks in one task's cores.
        return false;
    }
    let whole = env::var("SLURM_CPUS_ON_NODE").ok().and_then(|cores| cores.parse::<usize>().ok());
    whole.is_some_and(|whole| crate::engine::cores() < NonZeroUsize::new(whole).unwrap_or(NonZeroUsize::MIN))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn place(variables: &[(&str, &str)]) -> Result<Option<Place>, Usage> {
        Place::of(&|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn launchers_are_understood() {
        let torchrun = [
            ("RANK", "5"),
            ("WORLD_SIZE", "8"),
            ("LOCAL_RANK", "1"),
            ("LOCAL_WORLD_SIZE", "4"),
            ("MASTER_ADDR", "10.0.0.1"),
            ("MASTER_PORT", "29500"),
        ];
        let expected = Place {
            rank: 5,
            world: 8,
            local_rank: 1,
            local_world: 4,
            is_local_world_known: true,
            master: "10.0.0.1".to_owned(),
            port: 29500,
            agent: None,
        };
        assert_eq!(place(&torchrun).unwrap(), Some(expected.clone()));
        let agent = [("TORCHELASTIC_USE_AGENT_STORE", "True"), ("TORCHELASTIC_RESTART_COUNT", "2")];
        let expected = Place { agent: Some("imagenet18/attempt_2".to_owned()), ..expected };
        assert_eq!(place(&[&torchrun[..], &agent].concat()).unwrap(), Some(expected));
        let slurm = [
            ("SLURM_STEP_ID", "0"),
            ("SLURM_PROCID", "9"),
            ("SLURM_NTASKS", "11"),
            ("SLURM_LOCALID", "1"),
            ("SLURM_NODEID", "2"),
            ("SLURM_STEP_TASKS_PER_NODE", "4(x2),3"),
            ("SLURM_STEP_NODELIST", "gpu[007-009]"),
            ("SLURM_JOB_ID", "123456"),
        ];
        let expected = Place {
            rank: 9,
            world: 11,
            local_rank: 1,
            local_world: 3,
            is_local_world_known: true,
            master: "gpu007".to_owned(),
            port: 23456,
            agent: None,
        };
        assert_eq!(place(&slurm).unwrap(), Some(expected));
        // As the plainest of launchers; and by Open MPI's variable.
        let plain =
            [("RANK", "3"), ("WORLD_SIZE", "4"), ("LOCAL_RANK", "1"), ("MASTER_ADDR", "a"), ("MASTER_PORT", "1")];
        let found = place(&plain).unwrap().unwrap();
        assert_eq!((found.local_world, found.is_local_world_known), (4, false));
        let found = place(&[&plain[..], &[("OMPI_COMM_WORLD_LOCAL_SIZE", "2")]].concat()).unwrap().unwrap();
        assert_eq!((found.local_world, found.is_local_world_known), (2, true));
        // A batch script is no step; a world of one has nobody to join.
        assert_eq!(
            place(&[("SLURM_STEP_ID", "4294967291"), ("SLURM_PROCID", "0"), ("SLURM_NTASKS", "4")]).unwrap(),
            None
        );
        assert_eq!(place(&[("RANK", "0"), ("WORLD_SIZE", "1")]).unwrap(), None);
        assert_eq!(place(&[]).unwrap(), None);
    }

    #[test]
    fn what_a_launcher_leaves_out_is_named() {
        for (variables, says) in [
            (&[("RANK", "0")][..], "WORLD_SIZE: expected a number from the launcher, got nothing"),
            (&[("RANK", "x"), ("WORLD_SIZE", "2")], "RANK: expected a number from the launcher, got `x`"),
            (&[("RANK", "0"), ("WORLD_SIZE", "2")], "MASTER_ADDR: expected the host of rank 0"),
            (&[("RANK", "0"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "a")], "MASTER_PORT: expected a number"),
            (
                &[("RANK", "2"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "a"), ("MASTER_PORT", "1")],
                "expected RANK below WORLD_SIZE",
            ),
        ] {
            let message = place(variables).expect_err(says).0;
            assert!(message.contains(says), "{message}");
        }
    }

    #[test]
    fn cores_are_shared_without_a_rest() {
        assert_eq!((0..3).map(|rank| share(8, rank, 3)).collect::<Vec<_>>(), [0..2, 2..5, 5..8]);
        assert_eq!((0..2).map(|rank| share(2, rank, 2)).collect::<Vec<_>>(), [0..1, 1..2]);
        assert_eq!((0..3).map(|rank| share(2, rank, 3)).collect::<Vec<_>>(), [0..1, 1..2, 0..1]);
    }

    #[test]
    fn the_first_host_of_a_list() {
        for (nodes, first) in
            [("a", "a"), ("a,b[1-3]", "a"), ("n[03-07,12],m", "n03"), ("n[5,7]", "n5"), ("r1n[2-4]-ib,x", "r1n2-ib")]
        {
            assert_eq!(first_host(nodes), first);
        }
    }
}
