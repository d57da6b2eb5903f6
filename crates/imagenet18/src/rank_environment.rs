//! The environment variables by which launchers tell a process its rank. torchrun and most others
//! set RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT, as does this
//! program's own launcher ([`launch`](crate::launch)). Slurm's `srun` sets its own.

use std::env;
use std::net::IpAddr;
use std::num::NonZeroUsize;

use crate::exit::Usage;
use crate::{cores, output};

/// This program's own launcher sets it for the ranks that it starts.
pub const LAUNCHED: &str = "IMAGENET18_LAUNCHED";

/// Which rank a process is, and where it meets the other ranks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankEnvironment {
    /// The rank, counted from 0.
    pub rank: usize,
    /// How many ranks there are.
    pub world: usize,
    /// The rank among those of this machine, counted from 0.
    pub local_rank: usize,
    /// How many ranks there are on this machine.
    pub local_world: usize,
    /// Whether the launcher gave `local_world`. If not, all ranks are assumed to be here.
    pub is_local_world_known: bool,
    /// The host where rank 0 listens.
    pub master: String,
    /// The port on that host.
    pub port: u16,
    /// The prefix of this run's keys, if torchrun's agent serves the store there instead of rank 0.
    pub agent_prefix: Option<String>,
}

impl RankEnvironment {
    /// Reads the launcher's variables. `None` without a launcher, or for a single process.
    pub fn from_variables(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, Usage> {
        let Some(environment) = Self::as_written(variable)? else { return Ok(None) };
        let RankEnvironment { rank, world, local_rank, local_world, .. } = environment;
        if rank >= world || local_rank >= local_world || local_world > world {
            return Err(Usage(format!(
                "the launcher: expected RANK below WORLD_SIZE and LOCAL_RANK below LOCAL_WORLD_SIZE, got {rank} of {world} and \
                 {local_rank} of {local_world}"
            )));
        }
        Ok((world > 1).then_some(environment))
    }

    fn as_written(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, Usage> {
        match variable("RANK").or_else(|| variable("WORLD_SIZE")) {
            Some(_) => by_rank(variable).map(Some),
            None if is_slurm_step(variable) => by_slurm(variable).map(Some),
            None => Ok(None),
        }
    }

    /// Reads this process's environment.
    pub fn of_this_process() -> Result<Option<Self>, Usage> {
        Self::from_variables(&variable)
    }

    /// Reads this process's environment if it says enough to join the others, even if not all is
    /// right.
    pub fn enough_to_join() -> Option<Self> {
        Self::as_written(&variable).ok().flatten().filter(|found| found.rank < found.world && found.world > 1)
    }

    fn master_is_here(&self) -> bool {
        self.master == "localhost" || self.master.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// For ranks on several machines: warns about what the launcher left out.
    pub fn warn_if_incomplete(&self) {
        if !self.is_local_world_known && self.local_rank == 0 && !self.master_is_here() {
            let what =
                format!("all {} ranks are taken to be on this machine, and divide its cores and memory", self.world);
            output::complain(&format!("warning: LOCAL_WORLD_SIZE is not set: {what}; set it if they are not"));
        }
    }

    /// Pins this process to its share of the machine's cores, unless the launcher has pinned it.
    pub fn pin_to_cores(&self) {
        if self.local_world > 1 && !is_bound_by_slurm() {
            cores::pin(self.local_rank, self.local_world);
        }
    }
}

/// Whether [`launch`](crate::launch::launch) started this process as a rank. The launcher then
/// reports on the other ranks.
pub fn is_launched() -> bool {
    env::var_os(LAUNCHED).is_some()
}

/// Whether this process prints what every process of a run would print.
pub fn is_reporter() -> bool {
    !is_launched() && !matches!(RankEnvironment::of_this_process(), Ok(Some(found)) if found.rank > 0)
}

/// A variable of this process's environment. An empty variable counts as unset.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The variables for the number of ranks on a machine: of torchrun, Open MPI, and other MPIs.
const LOCAL_SIZES: [&str; 3] = ["LOCAL_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"];

fn number<T: std::str::FromStr>(variable: &dyn Fn(&str) -> Option<String>, name: &str) -> Result<T, Usage> {
    let value = variable(name);
    let parsed = value.as_deref().and_then(|value| value.parse().ok());
    let got = value.as_deref().map_or("nothing".to_owned(), |value| format!("`{value}`"));
    parsed.ok_or_else(|| Usage(format!("{name}: expected a number from the launcher, got {got}")))
}

fn by_rank(variable: &dyn Fn(&str) -> Option<String>) -> Result<RankEnvironment, Usage> {
    let (rank, world) = (number(variable, "RANK")?, number(variable, "WORLD_SIZE")?);
    // A single rank has no master to find.
    let needs_master = world > 1;
    let master = match variable("MASTER_ADDR") {
        Some(master) => master,
        None if needs_master => {
            return Err(Usage("MASTER_ADDR: expected the host of rank 0 from the launcher, got nothing".to_owned()));
        }
        None => String::new(),
    };
    let port = if needs_master { number(variable, "MASTER_PORT")? } else { 0 };
    // If the launcher gives no local rank, assume a single machine.
    let local_rank = variable("LOCAL_RANK").map_or(Ok(rank), |_| number(variable, "LOCAL_RANK"))?;
    let local_size = LOCAL_SIZES.into_iter().find(|name| variable(name).is_some());
    let local_world = local_size.map_or(Ok(world), |name| number(variable, name))?;
    let is_local_world_known = local_size.is_some();
    let is_agent = variable("TORCHELASTIC_USE_AGENT_STORE").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let attempt = || variable("TORCHELASTIC_RESTART_COUNT").unwrap_or_else(|| "0".to_owned());
    let agent_prefix = is_agent.then(|| format!("imagenet18/attempt_{}", attempt()));
    Ok(RankEnvironment { rank, world, local_rank, local_world, is_local_world_known, master, port, agent_prefix })
}

/// Whether `srun` started this process. A batch script has most of these variables, but is no step.
fn is_slurm_step(variable: &dyn Fn(&str) -> Option<String>) -> bool {
    // Batch scripts and interactive shells are no steps: they have numbers near 2³².
    let step = variable("SLURM_STEP_ID").and_then(|step| step.parse::<u32>().ok());
    step.is_some_and(|step| step < u32::MAX - 16) && variable("SLURM_PROCID").is_some()
}

fn by_slurm(variable: &dyn Fn(&str) -> Option<String>) -> Result<RankEnvironment, Usage> {
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
        // All ranks compute the same port. Another job or step gets another port.
        None => {
            let (job, step) = (number::<u64>(variable, "SLURM_JOB_ID")?, number::<u64>(variable, "SLURM_STEP_ID")?);
            20_000 + ((job + 997 * step) % 20_000) as u16
        }
    };
    Ok(RankEnvironment { rank, world, local_rank, local_world, is_local_world_known, master, port, agent_prefix: None })
}

/// The tasks of one node, from Slurm's list such as `4(x2),3`.
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

/// The first host of Slurm's list, such as `node[03-07,12],other`.
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
        // RANK is set inside a Slurm task whose cores several ranks share.
        return false;
    }
    let whole = env::var("SLURM_CPUS_ON_NODE").ok().and_then(|cores| cores.parse::<usize>().ok());
    whole.is_some_and(|whole| cores::available() < NonZeroUsize::new(whole).unwrap_or(NonZeroUsize::MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(variables: &[(&str, &str)]) -> Result<Option<RankEnvironment>, Usage> {
        RankEnvironment::from_variables(&|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
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
        let expected = RankEnvironment {
            rank: 5,
            world: 8,
            local_rank: 1,
            local_world: 4,
            is_local_world_known: true,
            master: "10.0.0.1".to_owned(),
            port: 29500,
            agent_prefix: None,
        };
        assert_eq!(parse(&torchrun).unwrap(), Some(expected.clone()));
        let agent = [("TORCHELASTIC_USE_AGENT_STORE", "True"), ("TORCHELASTIC_RESTART_COUNT", "2")];
        let expected = RankEnvironment { agent_prefix: Some("imagenet18/attempt_2".to_owned()), ..expected };
        assert_eq!(parse(&[&torchrun[..], &agent].concat()).unwrap(), Some(expected));
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
        let expected = RankEnvironment {
            rank: 9,
            world: 11,
            local_rank: 1,
            local_world: 3,
            is_local_world_known: true,
            master: "gpu007".to_owned(),
            port: 23456,
            agent_prefix: None,
        };
        assert_eq!(parse(&slurm).unwrap(), Some(expected));
        // The simplest launchers' variables; then Open MPI's variable.
        let plain =
            [("RANK", "3"), ("WORLD_SIZE", "4"), ("LOCAL_RANK", "1"), ("MASTER_ADDR", "a"), ("MASTER_PORT", "1")];
        let found = parse(&plain).unwrap().unwrap();
        assert_eq!((found.local_world, found.is_local_world_known), (4, false));
        let found = parse(&[&plain[..], &[("OMPI_COMM_WORLD_LOCAL_SIZE", "2")]].concat()).unwrap().unwrap();
        assert_eq!((found.local_world, found.is_local_world_known), (2, true));
        // A batch script is no step. A single rank has nobody to join.
        assert_eq!(
            parse(&[("SLURM_STEP_ID", "4294967291"), ("SLURM_PROCID", "0"), ("SLURM_NTASKS", "4")]).unwrap(),
            None
        );
        assert_eq!(parse(&[("RANK", "0"), ("WORLD_SIZE", "1")]).unwrap(), None);
        assert_eq!(parse(&[]).unwrap(), None);
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
            let message = parse(variables).expect_err(says).0;
            assert!(message.contains(says), "{message}");
        }
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
