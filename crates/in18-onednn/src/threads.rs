//! Loops that run in parallel on the threads that oneDNN itself uses.
//!
//! A second thread pool on the same cores would compete with OpenMP's workers, which spin while
//! they wait.

use std::ffi::c_void;
use std::ops::Range;

use in18_kernels::KernelError;

use crate::safe::PROVIDER;
use crate::sys;

/// The number of threads of a parallel loop.
pub fn max_threads() -> usize {
    // SAFETY: takes and returns a number.
    unsafe { sys::omp_get_max_threads() as usize }
}

/// Sets the number of threads of all later parallel loops and of oneDNN's primitives.
pub fn set_threads(threads: usize) {
    // SAFETY: takes a number.
    unsafe { sys::omp_set_num_threads(threads.max(1) as i32) }
}

/// Calls `body(thread, threads)` once on every thread and waits for all of them.
///
/// # Panics
/// A panic in `body` ends the process: it must not unwind into the OpenMP runtime.
pub fn parallel(body: impl Fn(usize, usize) + Sync) {
    unsafe extern "C" fn trampoline<F: Fn(usize, usize) + Sync>(data: *mut c_void) {
        // SAFETY: `data` is the `&F` that `parallel` passed. It outlives the region, because
        // `GOMP_parallel` joins the region before it returns.
        let body = unsafe { &*data.cast::<F>() };
        // SAFETY: this runs inside a parallel region; both functions only return numbers.
        let (thread, threads) = unsafe { (sys::omp_get_thread_num(), sys::omp_get_num_threads()) };
        body(thread as usize, threads as usize);
    }
    fn start<F: Fn(usize, usize) + Sync>(body: &F) {
        // SAFETY: the trampoline is instantiated for the type behind the pointer. `F: Sync` may be
        // shared among threads. The call returns only after every thread has left the region.
        unsafe { sys::GOMP_parallel(trampoline::<F>, (body as *const F).cast_mut().cast(), 0, 0) }
    }
    start(&body);
}

/// A thread's part of `0..length`. Parts start at multiples of `grain`, and their lengths differ by
/// at most `grain`.
pub fn part(length: usize, grain: usize, thread: usize, threads: usize) -> Range<usize> {
    let grains = length.div_ceil(grain);
    let bound = |t: usize| (grains * t / threads * grain).min(length);
    bound(thread)..bound(thread + 1)
}

/// Splits a range into the smallest number of parts of at most `most` elements, as equal as
/// possible.
pub fn even_parts(range: Range<usize>, most: usize) -> impl Iterator<Item = Range<usize>> {
    let parts = range.len().div_ceil(most);
    (0..parts).map(move |number| {
        let part = part(range.len(), 1, number, parts);
        range.start + part.start..range.start + part.end
    })
}

/// A thread's part of a grid. The long side is shared among at most `many` threads; the threads
/// left over share the short side. Parts do not overlap and cover everything. Surplus threads get
/// empty parts.
pub fn grid_part(many: usize, few: usize, thread: usize, threads: usize) -> (Range<usize>, Range<usize>) {
    let beside = threads.min(many);
    let deep = (threads / beside).min(few);
    if thread >= beside * deep {
        return (0..0, 0..0);
    }
    (part(many, 1, thread % beside, beside), part(few, 1, thread / beside, deep))
}

/// Refuses to run on more threads than a step was compiled for, because scratch memory was reserved
/// for that number.
pub fn check_threads(compiled_for: usize) -> Result<(), KernelError> {
    if max_threads() <= compiled_for {
        return Ok(());
    }
    Err(KernelError::Unsupported {
        provider: PROVIDER,
        what: "more threads than when the program was compiled".to_owned(),
        remedy: "this is an error of the caller",
    })
}

/// An address that the threads of a parallel loop share. Each thread uses a part of its own.
#[derive(Clone, Copy)]
pub struct Shared<T>(*mut T);

// SAFETY: this is only an address. Code that reads or writes through it proves there that parts do
// not overlap.
unsafe impl<T> Sync for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Send for Shared<T> {}

impl<T> Shared<T> {
    /// Takes the address of a block of `T`.
    pub fn new(address: *mut u8) -> Self {
        Shared(address.cast())
    }

    /// The address of element `index`.
    ///
    /// # Safety
    /// The element must lie in the block.
    pub unsafe fn at(self, index: usize) -> *mut T {
        // SAFETY: by the caller's promise.
        unsafe { self.0.add(index) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn parts_cover_everything_once() {
        for (length, grain, threads) in [(0, 16, 3), (1, 16, 2), (100, 16, 2), (1024, 16, 7), (33, 1, 4)] {
            let mut next = 0;
            for thread in 0..threads {
                let part = part(length, grain, thread, threads);
                assert_eq!(part.start, next);
                next = part.end;
            }
            assert_eq!(next, length);
        }
    }

    #[test]
    fn grid_parts_cover_everything_once() {
        for (many, few, threads) in
            [(4, 4, 2), (16, 4, 3), (4, 4, 6), (4, 4, 16), (5, 3, 7), (1, 1, 1), (128, 32, 96), (3, 9, 8)]
        {
            let mut seen = vec![0; many * few];
            for thread in 0..threads {
                let (rows, columns) = grid_part(many, few, thread, threads);
                rows.for_each(|row| columns.clone().for_each(|column| seen[row * few + column] += 1));
            }
            assert!(seen.iter().all(|&times| times == 1), "{many} {few} {threads}: {seen:?}");
        }
    }

    #[test]
    fn every_thread_runs_once() {
        let seen: Vec<AtomicUsize> = (0..max_threads()).map(|_| AtomicUsize::new(0)).collect();
        parallel(|thread, threads| {
            assert!(threads <= seen.len());
            seen[thread].fetch_add(1, Ordering::Relaxed);
        });
        assert!(seen.iter().all(|count| count.load(Ordering::Relaxed) == 1));
    }
}
