//! Work on several threads whose results are taken in order, few of them waiting at a time.

use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::ScopedJoinHandle;

/// Results of a thread that may wait to be taken.
const WAITING: usize = 8;

/// Calls `take` with each of `numbers`, in their order, and what `of` makes of the number on one of
/// `threads` threads. Each thread has a state that `state` makes. Ends early when `take` says
/// false.
pub(super) fn in_order<S, T: Send>(
    numbers: &[u32],
    threads: NonZeroUsize,
    state: impl Fn() -> S + Sync,
    of: impl Fn(&mut S, u32) -> T + Sync,
    mut take: impl FnMut(u32, T) -> bool,
) {
    let threads = threads.get().min(numbers.len()).max(1);
    std::thread::scope(|scope| {
        // Thread k makes every `threads`th result from k on.
        let start = |first: usize| {
            let (sender, results) = sync_channel(WAITING);
            let (state, of) = (&state, &of);
            let thread = scope.spawn(move || {
                let mut state = state();
                for &number in numbers.iter().skip(first).step_by(threads) {
                    if sender.send(of(&mut state, number)).is_err() {
                        break;
                    }
                }
            });
            (results, thread)
        };
        let (results, workers): (Vec<Receiver<T>>, Vec<ScopedJoinHandle<'_, ()>>) = (0..threads).map(start).unzip();
        for (position, &number) in numbers.iter().enumerate() {
            // A thread that sends no more has panicked.
            let Ok(result) = results[position % threads].recv() else { break };
            if !take(number, result) {
                break;
            }
        }
        drop(results);
        for worker in workers {
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(numbers: u32, threads: usize, last: u32) -> Vec<(u32, u32)> {
        let numbers: Vec<u32> = (0..numbers).map(|n| n * 3 % 100).collect();
        let mut taken = Vec::new();
        let threads = NonZeroUsize::new(threads).unwrap();
        in_order(
            &numbers,
            threads,
            || 1,
            |one, n| n + *one,
            |n, result| {
                taken.push((n, result));
                n != last
            },
        );
        taken
    }

    #[test]
    fn results_come_in_order_until_nobody_wants_more() {
        let all: Vec<(u32, u32)> = (0..100).map(|n| (n * 3 % 100, n * 3 % 100 + 1)).collect();
        for threads in [1, 2, 3, 7, 200] {
            assert_eq!(run(100, threads, 1000), all);
            assert_eq!(run(100, threads, 30), all[..11]);
            assert_eq!(run(0, threads, 0), []);
        }
    }

    #[test]
    #[should_panic(expected = "a defect")]
    fn panics_are_handed_on() {
        in_order(&[1, 2, 3], NonZeroUsize::MIN, || (), |(), n| assert!(n < 3, "a defect"), |_, ()| true);
    }
}
