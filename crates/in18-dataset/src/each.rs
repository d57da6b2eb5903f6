//! The same work for many numbers, on several threads.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What `of` makes of every number below `count`, in their order, on `threads` threads. A thread
/// takes `chunk` numbers at a time and has a state of its own, which `state` makes.
pub(crate) fn each<S, T: Send>(
    count: usize,
    chunk: usize,
    threads: NonZeroUsize,
    state: impl Fn() -> S + Sync,
    of: impl Fn(&mut S, usize) -> T + Sync,
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let chunks = count.div_ceil(chunk);
    let work = || {
        let mut state = state();
        let mut done = Vec::new();
        loop {
            let taken = next.fetch_add(1, Ordering::Relaxed);
            if taken >= chunks {
                return done;
            }
            let numbers = taken * chunk..((taken + 1) * chunk).min(count);
            let results: Vec<T> = numbers.map(|number| of(&mut state, number)).collect();
            done.push((taken, results));
        }
    };
    let mut done: Vec<(usize, Vec<T>)> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.get().min(chunks)).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for other in others {
            match other.join() {
                Ok(more) => done.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_by_key(|(taken, _)| *taken);
    done.into_iter().flat_map(|(_, results)| results).collect()
}
