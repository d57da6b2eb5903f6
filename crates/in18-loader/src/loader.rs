//! Worker threads that carry out a plan, and the batches that they make.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use in18_dataset::ImageSet;
use in18_image::Size;

use crate::bad::{BadImage, Loaded, OnBadImage, load_or_replace};
use crate::error::LoadError;
use crate::mix::MixedIn;
use crate::pipeline::Pipeline;
use crate::plan::{BatchPlan, BatchSpec};
use crate::ring::{Buffers, Item, Ring};
use crate::stages::{StageTimes, Stopwatch};

/// Threads that turn images of one set into batches, epoch after epoch. Their memory is used again:
/// that of two batches, and of the one that the consumer holds. If a batch has fewer images than
/// there are workers, there are more batches.
pub struct Loader {
    set: Arc<ImageSet>,
    ring: Arc<Ring>,
    workers: Vec<JoinHandle<()>>,
}

impl Loader {
    /// Starts `workers` threads, named `loader-0` and so on; 0 means one. The threads sleep until
    /// an epoch starts. The batches do not depend on the number of threads.
    ///
    /// # Errors
    /// [`LoadError::Spawn`].
    pub fn new(set: Arc<ImageSet>, workers: usize, on_bad_image: OnBadImage) -> Result<Self, LoadError> {
        let workers = NonZeroUsize::new(workers).unwrap_or(NonZeroUsize::MIN).get();
        let mut loader = Self { set, ring: Arc::new(Ring::default()), workers: Vec::with_capacity(workers) };
        for n in 0..workers {
            let (set, ring) = (Arc::clone(&loader.set), Arc::clone(&loader.ring));
            let worker = std::thread::Builder::new()
                .name(format!("loader-{n}"))
                .spawn(move || work(&set, &ring, on_bad_image))
                .map_err(|source| LoadError::Spawn { workers, source })?;
            loader.workers.push(worker);
        }
        Ok(loader)
    }

    /// The set that this loader reads.
    pub fn set(&self) -> &Arc<ImageSet> {
        &self.set
    }

    /// Starts an epoch. Workers begin at once, before the first batch is asked for. They stop when
    /// the epoch is dropped.
    ///
    /// # Errors
    /// [`LoadError::Plan`] if the plan was made for a larger set.
    pub fn start(&mut self, plan: BatchPlan) -> Result<Epoch<'_>, LoadError> {
        let images = self.set.len();
        let mut planned = (0..plan.len()).flat_map(|batch| plan.images(batch));
        if let Some(&image) = planned.find(|&&image| image as usize >= images) {
            let image = image as usize;
            return Err(LoadError::Plan { images, image });
        }
        let sizes = plan.batches().iter().map(|spec| spec.images.len());
        let batch = sizes.max().unwrap_or(1);
        let max_open = 1 + self.workers.len().div_ceil(batch);
        let plan = Arc::new(plan);
        self.ring.start(Arc::clone(&plan), max_open);
        Ok(Epoch { loader: self, plan })
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.ring.close();
        for worker in self.workers.drain(..) {
            // A worker catches its panics. If one has died all the same, nobody needs to be told
            // any more.
            let _ = worker.join();
        }
    }
}

/// A running epoch. Dropping it ends it: images that are being decoded are finished and thrown
/// away.
pub struct Epoch<'a> {
    loader: &'a mut Loader,
    plan: Arc<BatchPlan>,
}

impl Epoch<'_> {
    /// Waits for the next batch in the plan's order; `None` after the last. The batch must be
    /// dropped before the next one is asked for, and gives its memory back then.
    ///
    /// # Errors
    /// The error of the earliest image of the batch that could not be loaded, under
    /// [`OnBadImage::Fail`] or if nothing could take its place. The epoch is over then.
    #[allow(clippy::should_implement_trait, reason = "a batch borrows from the epoch, which an Iterator cannot say")]
    pub fn next(&mut self) -> Result<Option<Batch<'_>>, LoadError> {
        let Some((batch, buffers, bad)) = self.loader.ring.take_batch()? else {
            return Ok(None);
        };
        Ok(Some(Batch {
            ring: &self.loader.ring,
            plan: &self.plan,
            spec: self.plan.batch(batch),
            number: batch,
            buffers,
            bad,
        }))
    }

    /// Where the time of the worker threads has gone in this epoch so far.
    pub fn times(&self) -> StageTimes {
        self.loader.ring.times()
    }

    /// The plan that is carried out.
    pub fn plan(&self) -> &BatchPlan {
        &self.plan
    }
}

impl Drop for Epoch<'_> {
    fn drop(&mut self) {
        self.loader.ring.cancel();
    }
}

/// Images of one size with their labels.
pub struct Batch<'a> {
    ring: &'a Ring,
    plan: &'a BatchPlan,
    spec: &'a BatchSpec,
    /// Its number in the plan, from 0. If the plan is a part of an epoch, its index in the epoch is
    /// another number.
    number: usize,
    buffers: Buffers,
    bad: Vec<BadImage>,
}

impl Batch<'_> {
    /// `(N, H, W, 3)` RGB, 0 to 255, not normalised.
    pub fn pixels(&self) -> &[u8] {
        &self.buffers.pixels
    }

    /// `(N)`: the number of each image's class.
    pub fn labels(&self) -> &[i32] {
        &self.buffers.labels
    }

    /// What is mixed into the images, if something is. [`labels`](Self::labels) are those of the
    /// images themselves.
    pub fn mixed_in(&self) -> Option<MixedIn<'_>> {
        self.spec.mix.map(|mix| MixedIn { labels: &self.buffers.mixed_in, share: mix.share() })
    }

    /// Images that could not be loaded for this batch, in the order of their places.
    pub fn bad(&self) -> &[BadImage] {
        &self.bad
    }

    /// The planned images, by their numbers in the set. Those in [`bad`](Self::bad) were replaced
    /// or left out.
    pub fn images(&self) -> &[u32] {
        self.plan.images(self.number)
    }

    /// N, the number of images.
    pub fn len(&self) -> usize {
        self.buffers.labels.len()
    }

    /// Whether all of its images were bad: plans hold no empty batches.
    pub fn is_empty(&self) -> bool {
        self.buffers.labels.is_empty()
    }

    /// Width and height of its images.
    pub fn size(&self) -> Size {
        self.spec.size
    }

    /// Its place in this rank's epoch, from 0.
    pub fn index(&self) -> usize {
        self.spec.index
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.ring.recycle(std::mem::take(&mut self.buffers));
    }
}

/// What a worker thread does, until the ring is closed.
fn work(set: &ImageSet, ring: &Ring, on_bad_image: OnBadImage) {
    let mut pipeline = Pipeline::default();
    while let Some(mut item) = ring.take_item() {
        for block in item.plan.fetches(item.batch, item.position) {
            set.fetch(block);
        }
        let image = item.plan.images(item.batch)[item.position];
        let transform = item.plan.transform(item.batch);
        let mut load = |image| load(&mut pipeline, set, image, &mut item);
        let result = match on_bad_image {
            OnBadImage::Fail => load(image).map(|label| Loaded { label: Some(label), bad: Vec::new() }),
            OnBadImage::Skip => load_or_replace(image, set.len(), transform, load),
        };
        if let Some(mut pair) = ring.finish(item, result, pipeline.take_times()) {
            let mut watch = Stopwatch::start();
            let [one, other] = &mut pair.pixels;
            pair.mix.mix(pair.width, one, other);
            ring.finish_pair(pair, StageTimes { resize: watch.lap(), ..StageTimes::default() });
        }
    }
}

fn load(pipeline: &mut Pipeline, set: &ImageSet, image: u32, item: &mut Item) -> Result<i32, LoadError> {
    let Item { plan, batch, pixels, .. } = item;
    let (transform, size) = (plan.transform(*batch), plan.size(*batch));
    // A decoder's fault must not leave a batch unfinished and a consumer waiting for it.
    let caught = catch_unwind(AssertUnwindSafe(|| pipeline.load(set, image, transform, size, pixels)));
    match caught {
        Ok(loaded) => loaded.map(|()| set.label(image as usize) as i32),
        Err(panic) => {
            let path = pipeline.path().to_owned();
            *pipeline = Pipeline::default();
            let message = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
                .unwrap_or_else(|| "without a message".to_owned());
            Err(LoadError::Panic { path, message })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Share;

    #[test]
    fn a_panic_while_decoding_becomes_an_error() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("class")).unwrap();
        std::fs::write(dir.path().join("class/image"), b"").unwrap();
        let set = Arc::new(ImageSet::open(dir.path()).unwrap());
        let loader = Loader::new(set, 2, OnBadImage::Fail).unwrap();
        // Asking the set for an image that it does not have panics. `start` would refuse such a
        // plan, so the test goes past it.
        let plan = BatchPlan::validation(5, Share::ALL, 4, 32).unwrap();
        for _ in 0..2 {
            loader.ring.start(Arc::new(plan.clone().select(1..2)), 2);
            let error = loader.ring.take_batch().map(|_| ()).unwrap_err();
            assert!(matches!(error, LoadError::Panic { .. }), "{error}");
        }
    }
}
