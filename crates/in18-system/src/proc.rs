//! What Linux says of this machine and this process under `/proc` and, of control groups, under
//! `/sys/fs/cgroup`. Every function answers none where the system does not say.

use std::fs;
use std::path::Path;

/// The name of this machine's CPU, without repeated spaces.
pub fn cpu_model() -> Option<String> {
    of_first_cpu(&fs::read_to_string("/proc/cpuinfo").ok()?)
}

/// This machine's name in its network.
pub fn host_name() -> Option<String> {
    Some(fs::read_to_string("/proc/sys/kernel/hostname").ok()?.trim().to_owned())
}

/// Whether the kernel runs NVIDIA's driver.
pub fn has_nvidia_driver() -> bool {
    Path::new("/proc/driver/nvidia/version").exists()
}

/// The most memory that this process ever had resident, in bytes.
pub fn peak_rss_bytes() -> Option<u64> {
    in_kib(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// Bytes of memory that this process could still use: the machine's, or those of this process's
/// control group where that group has a limit, whichever are fewer.
pub fn available_bytes() -> Option<usize> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| of_machine(&text));
    match (machine, of_group()) {
        (Some(machine), Some(group)) => Some(machine.min(group)),
        (machine, group) => machine.or(group),
    }
}

/// Bytes that all network interfaces but the machine's own loop have received and sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkBytes {
    /// Received.
    pub received: u64,
    /// Sent.
    pub sent: u64,
}

/// What the network interfaces have counted. The counters start anew when an interface does.
pub fn network_bytes() -> Option<NetworkBytes> {
    Some(NetworkBytes::of(&fs::read_to_string("/proc/net/dev").ok()?))
}

impl NetworkBytes {
    /// Of the counters' text. After an interface's name the first number is the received bytes, the
    /// ninth the sent ones.
    fn of(counters: &str) -> Self {
        let mut all = NetworkBytes::default();
        for (interface, numbers) in counters.lines().filter_map(|line| line.split_once(':')) {
            let numbers: Vec<u64> = numbers.split_whitespace().filter_map(|number| number.parse().ok()).collect();
            if let (true, &[received, _, _, _, _, _, _, _, sent, ..]) = (interface.trim() != "lo", &numbers[..]) {
                all = NetworkBytes { received: all.received + received, sent: all.sent + sent };
            }
        }
        all
    }
}

fn of_first_cpu(cpuinfo: &str) -> Option<String> {
    let (_, name) = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'))?;
    Some(name.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The number of kB behind a name at the start of a line, in bytes.
fn in_kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

fn of_machine(meminfo: &str) -> Option<usize> {
    usize::try_from(in_kib(meminfo, "MemAvailable:")?).ok()
}

/// The least that this process's control group and the groups above it leave. What they hold of
/// files can be dropped, and counts as free.
fn of_group() -> Option<usize> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    Path::new(path)
        .ancestors()
        .filter_map(|group| free_in(&Path::new("/sys/fs/cgroup").join(group.strip_prefix("/").ok()?)))
        .min()
}

/// What a control group with a limit leaves.
fn free_in(group: &Path) -> Option<usize> {
    let read = |name: &str| fs::read_to_string(group.join(name)).ok();
    let number = |name: &str| read(name)?.trim().parse::<usize>().ok();
    let (limit, used) = (number("memory.max")?, number("memory.current")?);
    Some(limit.saturating_sub(used.saturating_sub(droppable(&read("memory.stat")?))))
}

/// Bytes of files and of the kernel's caches among what a control group uses.
fn droppable(stat: &str) -> usize {
    let of = |line: &str, name: &str| line.strip_prefix(name)?.trim().parse::<usize>().ok();
    let names = ["active_file ", "inactive_file ", "slab_reclaimable "];
    stat.lines().filter_map(|line| names.iter().find_map(|name| of(line, name))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_says_what_it_has() {
        let text = "MemTotal:       24576000 kB\nMemFree:  1 kB\nMemAvailable:   23068672 kB\n";
        assert_eq!(of_machine(text), Some(23_068_672 * 1024));
        assert_eq!(of_machine("MemTotal: 1 kB\n"), None);
    }

    #[test]
    fn the_cpu_has_a_name_of_one_line() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Some(R)  CPU, 2 GHz\n\nmodel name\t: Other\n";
        assert_eq!(of_first_cpu(cpuinfo), Some("Some(R) CPU, 2 GHz".to_owned()));
        assert_eq!(of_first_cpu(""), None);
        let name = cpu_model().expect("Linux names the CPU");
        assert!(!name.is_empty() && !name.contains(['\n', ':']), "{name}");
    }

    #[test]
    fn a_groups_files_can_be_dropped() {
        let stat = "anon 5\nfile 70\nkernel 3\ninactive_file 40\nactive_file 20\nslab_reclaimable 7\nslab 9\n";
        assert_eq!(droppable(stat), 67);
    }

    #[test]
    fn interfaces_are_summed_but_for_the_loop() {
        let counters = "Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 7000 12 0 0 0 0 0 0 7000 12 0 0 0 0 0 0
  eth0: 1500 10 0 0 0 0 0 0  300  5 0 0 0 0 0 0
  ib0:   500  2 0 0 0 0 0 0   40  1 0 0 0 0 0 0
";
        assert_eq!(NetworkBytes::of(counters), NetworkBytes { received: 2000, sent: 340 });
        assert_eq!(NetworkBytes::of(""), NetworkBytes::default());
    }

    #[test]
    fn this_process_takes_memory() {
        let (peak, left) = (peak_rss_bytes().expect("Linux counts"), available_bytes().expect("Linux counts"));
        assert!(peak > 1 << 16 && left > 1 << 16, "{peak} {left}");
    }
}
