//! What this machine is, and how much memory it has to give.

use std::fs;
use std::path::Path;

/// The name of this machine's CPU, as Linux tells it.
pub fn cpu_model() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let (_, name) = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'))?;
    Some(name.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Bytes that a process could still use, as Linux tells it: of the machine, and of this process's control group where that has a
/// limit. None where neither can be read.
pub fn available_bytes() -> Option<usize> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| of_machine(&text));
    match (machine, of_group()) {
        (Some(machine), Some(group)) => Some(machine.min(group)),
        (machine, group) => machine.or(group),
    }
}

fn of_machine(meminfo: &str) -> Option<usize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()? * 1024)
}

/// The least that this process's control group and those above it leave; what they hold of files can be dropped, and counts as
/// free.
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
        let name = cpu_model().expect("Linux names the CPU");
        assert!(!name.is_empty() && !name.contains(['\n', ':']), "{name}");
    }

    #[test]
    fn a_groups_files_can_be_dropped() {
        let stat = "anon 5\nfile 70\nkernel 3\ninactive_file 40\nactive_file 20\nslab_reclaimable 7\nslab 9\n";
        assert_eq!(droppable(stat), 67);
    }
}
