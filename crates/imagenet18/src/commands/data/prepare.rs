//! `data prepare`: smaller copies of a set.

use std::io::IsTerminal;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use anyhow::Result;
use in18_dataset::{DataRoot, Half, ImageSet, OpenOptions, Preparation, PrepareOptions, Prepared, PreparedFormat};

use super::sets;
use crate::cli::{DataPrepareArgs, OnBadImage, SetFormat};
use crate::exit::{BadImages, Usage};
use crate::{cores, output};

/// How often progress is shown.
const SHOWN_EVERY: Duration = Duration::from_millis(500);

/// Copies both halves in all sizes.
pub(super) fn prepare(arguments: &DataPrepareArgs) -> Result<()> {
    let threads = arguments.threads.unwrap_or_else(cores::available);
    let to = DataRoot::new(&arguments.to);
    let opening = OpenOptions { ground_truth: arguments.ground_truth.clone(), ..super::opening(&arguments.reading) };
    let options = PrepareOptions {
        sizes: arguments.sizes.clone(),
        quality: arguments.quality,
        format: match arguments.format {
            SetFormat::Tar => PreparedFormat::Shards(arguments.shard_images),
            SetFormat::Folder => PreparedFormat::Folders,
        },
    };
    for (half, set) in sets(&arguments.from, &opening)? {
        let half = half.ok_or_else(|| {
            Usage(format!(
                "{}: expected a folder with train/ or validation/, got the images of one of them: give the folder above it",
                arguments.from.display()
            ))
        })?;
        let preparation = Preparation::new(&set, &to, half, options.clone())?;
        copy(half, &set, &preparation, arguments.on_bad_image, threads)?;
    }
    Ok(())
}

fn copy(
    half: Half,
    set: &ImageSet,
    preparation: &Preparation<'_>,
    on_bad: OnBadImage,
    threads: NonZeroUsize,
) -> Result<()> {
    let mut progress = Progress::new(half, set.len());
    let (mut written, mut kept, mut bad) = (0, 0, 0);
    preparation.run(threads, &mut |prepared| {
        match prepared {
            Prepared::Written => written += 1,
            Prepared::Kept => kept += 1,
            Prepared::Bad(line) => {
                bad += 1;
                progress.clear();
                output::complain(&line);
            }
        }
        progress.show(written + kept + bad, kept);
        bad == 0 || on_bad == OnBadImage::Skip
    })?;
    progress.clear();
    if bad > 0 && on_bad == OnBadImage::Fail {
        return Err(BadImages { bad, seen: written + kept + bad }.into());
    }
    output::print(&format!(
        "{half}: {written} images written in {:.0} s, {kept} there already, {bad} left out\n",
        progress.start.elapsed().as_secs_f64()
    ))
}

/// A terminal line with the progress, the rate and the remaining time.
struct Progress {
    half: Half,
    images: usize,
    start: Instant,
    /// When the line is shown next; `None` without a terminal.
    next: Option<Instant>,
}

impl Progress {
    fn new(half: Half, images: usize) -> Self {
        let start = Instant::now();
        Progress { half, images, start, next: std::io::stderr().is_terminal().then_some(start) }
    }

    /// Shows that `done` images are done. `kept` of them were there already and took no time.
    fn show(&mut self, done: usize, kept: usize) {
        let now = Instant::now();
        if self.next.is_none_or(|next| now < next) {
            return;
        }
        self.next = Some(now + SHOWN_EVERY);
        let rate = ((done - kept) as f64 / (now - self.start).as_secs_f64().max(1e-3)).max(1e-3);
        let left = (self.images - done) as f64 / rate;
        let Progress { half, images, .. } = self;
        output::show(&format!("\r{half}: {done} of {images} images, {rate:.0} a second, {left:.0} s left\x1b[K"));
    }

    fn clear(&self) {
        if self.next.is_some() {
            output::show("\r\x1b[K");
        }
    }
}
