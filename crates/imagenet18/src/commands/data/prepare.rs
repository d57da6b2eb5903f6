//! `data prepare`: smaller copies of a set.

use std::io::IsTerminal;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use in18_dataset::{DataRoot, ImageSet, Preparation, PrepareError, PrepareWorker, Prepared};

use super::sets;
use crate::cli::{DataPrepareArgs, OnBadImage};
use crate::exit::{BadImages, Usage};
use crate::{engine, output};

/// How often progress is shown.
const SHOWN_EVERY: Duration = Duration::from_millis(500);

/// Copies both halves in all sizes.
pub(super) fn prepare(arguments: &DataPrepareArgs) -> Result<()> {
    let threads = arguments.threads.unwrap_or_else(engine::cores);
    let to = DataRoot::new(&arguments.to);
    for (name, set) in sets(&arguments.from)? {
        ensure!(
            name != "images",
            Usage(format!(
                "{}: expected a folder with train/ or validation/, got one of class folders: give the folder above it",
                arguments.from.display()
            ))
        );
        let preparation = Preparation::new(&set, &to, name, &arguments.sizes, arguments.quality)?;
        half(name, &set, &preparation, arguments.on_bad_image, threads)?;
    }
    Ok(())
}

fn half(
    name: &str,
    set: &ImageSet,
    preparation: &Preparation<'_>,
    on_bad: OnBadImage,
    threads: NonZeroUsize,
) -> Result<()> {
    let progress = Progress::new(name, set.len());
    let is_over = AtomicBool::new(false);
    let done = set.each(threads, PrepareWorker::default, |worker, image| {
        if is_over.load(Ordering::Relaxed) {
            return None;
        }
        let result = preparation.image(worker, image);
        match &result {
            Err(_) => is_over.store(true, Ordering::Relaxed),
            Ok(Prepared::Bad(line)) => {
                progress.clear();
                output::complain(line);
                is_over.fetch_or(on_bad == OnBadImage::Fail, Ordering::Relaxed);
            }
            Ok(Prepared::Written | Prepared::Kept) => {}
        }
        progress.one_more();
        Some(result)
    });
    progress.clear();
    let done = done.into_iter().flatten().collect::<Result<Vec<Prepared>, PrepareError>>()?;
    let count = |is: fn(&Prepared) -> bool| done.iter().filter(|prepared| is(prepared)).count();
    let (written, kept) = (count(|one| *one == Prepared::Written), count(|one| *one == Prepared::Kept));
    let bad = done.len() - written - kept;
    if bad > 0 && on_bad == OnBadImage::Fail {
        return Err(BadImages { bad, seen: done.len() }.into());
    }
    output::print(&format!(
        "{name}: {written} images written in {:.0} s, {kept} there already, {bad} left out\n",
        progress.start.elapsed().as_secs_f64()
    ))
}

/// A line on a terminal that says how far it is, how fast it goes and how long it will take.
struct Progress<'a> {
    name: &'a str,
    images: usize,
    done: AtomicUsize,
    start: Instant,
    /// Milliseconds after the start at which it is shown next.
    next: AtomicUsize,
    is_shown: bool,
}

impl<'a> Progress<'a> {
    fn new(name: &'a str, images: usize) -> Self {
        let is_shown = std::io::stderr().is_terminal();
        Progress { name, images, done: AtomicUsize::new(0), start: Instant::now(), next: AtomicUsize::new(0), is_shown }
    }

    fn one_more(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let elapsed = self.start.elapsed();
        let (now, next) = (elapsed.as_millis() as usize, self.next.load(Ordering::Relaxed));
        let after = now + SHOWN_EVERY.as_millis() as usize;
        // Only one thread gets through.
        let is_due =
            now >= next && self.next.compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if self.is_shown && is_due {
            let rate = done as f64 / elapsed.as_secs_f64().max(1e-3);
            let left = (self.images - done) as f64 / rate;
            let Progress { name, images, .. } = self;
            output::show(&format!("\r{name}: {done} of {images} images, {rate:.0} a second, {left:.0} s left\x1b[K"));
        }
    }

    fn clear(&self) {
        if self.is_shown {
            output::show("\r\x1b[K");
        }
    }
}
