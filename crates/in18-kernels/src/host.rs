//! How much memory this machine has to give.

use std::fs;

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

fn of_group() -> Option<usize> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let number =
        |name: &str| fs::read_to_string(format!("/sys/fs/cgroup{path}/{name}")).ok()?.trim().parse::<usize>().ok();
    Some(number("memory.max")?.saturating_sub(number("memory.current")?))
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
}
