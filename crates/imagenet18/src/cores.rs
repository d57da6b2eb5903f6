//! The cores that this process may use.

use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The number of cores that this process may use, container limits included.
pub fn available() -> NonZeroUsize {
    available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Pins this process to the share of one of this machine's `ranks`. `rank` counts from 0.
pub fn pin(rank: usize, ranks: usize) {
    // A rank computes correctly without a share of its own, too.
    let Ok(all) = sched_getaffinity(None) else { return };
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&cpu| all.is_set(cpu)).collect();
    let mut own = CpuSet::new();
    share(cores.len(), rank, ranks).for_each(|index| own.set(cores[index]));
    let _ = sched_setaffinity(None, &own);
}

/// The indices in `cores` that belong to a rank: equal ranges or, if there are more ranks than
/// cores, one core that several ranks share.
fn share(cores: usize, rank: usize, ranks: usize) -> std::ops::Range<usize> {
    if cores < ranks {
        let only = rank % cores.max(1);
        return only..(only + 1).min(cores);
    }
    rank * cores / ranks..(rank + 1) * cores / ranks
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn cores_are_shared_without_a_rest() {
        assert_eq!((0..3).map(|rank| share(8, rank, 3)).collect::<Vec<_>>(), [0..2, 2..5, 5..8]);
        assert_eq!((0..2).map(|rank| share(2, rank, 2)).collect::<Vec<_>>(), [0..1, 1..2]);
        assert_eq!((0..3).map(|rank| share(2, rank, 3)).collect::<Vec<_>>(), [0..1, 1..2, 0..1]);
    }
}
