//! Something done with every image of a set, on several threads.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::folders::ImageSet;

/// Images that a thread takes at a time.
const CHUNK: usize = 64;

impl ImageSet {
    /// What `of` makes of every image, by number, on `threads` threads, each with a state that `state` makes.
    pub fn each<S, T: Send>(
        &self,
        threads: NonZeroUsize,
        state: impl Fn() -> S + Sync,
        of: impl Fn(&mut S, usize) -> T + Sync,
    ) -> Vec<T> {
        let next = AtomicUsize::new(0);
        let chunks = self.len().div_ceil(CHUNK);
        let work = || {
            let mut state = state();
            let mut done = Vec::new();
            loop {
                let chunk = next.fetch_add(1, Ordering::Relaxed);
                if chunk >= chunks {
                    return done;
                }
                let images = chunk * CHUNK..((chunk + 1) * CHUNK).min(self.len());
                let results: Vec<T> = images.map(|image| of(&mut state, image)).collect();
                done.push((chunk, results));
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
        done.sort_by_key(|(chunk, _)| *chunk);
        done.into_iter().flat_map(|(_, results)| results).collect()
    }
}
