//! `bench loader`: makes training batches of photos, without a network that uses them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use in18_dataset::ImageSet;
use in18_loader::{BatchPlan, EpochOrder, Loader, OnBadImage, Share, StageTimes, TrainingBatch};
use in18_recipe::Recipe;
use in18_system::proc::peak_rss_bytes;
use in18_train::{augmentation, order_of};

use super::step::median;
use crate::cli::BenchLoaderArgs;
use crate::recipe::augment_with;
use crate::{cores, output};

/// Measures epochs over a folder. Each epoch has its own order and crops.
pub(super) fn loader(arguments: &BenchLoaderArgs) -> Result<()> {
    let set = Arc::new(ImageSet::open_with(&arguments.folder, &arguments.reading.options())?);
    let recipe = augment_with(&arguments.fields)?;
    let threads = arguments.threads.unwrap_or_else(cores::available).get();
    let mut loader = Loader::new(Arc::clone(&set), threads, OnBadImage::Skip)?;
    let mut rates = Vec::new();
    let mut times = StageTimes::default();
    let mut bad = 0;
    for epoch in 0..=arguments.passes.get() {
        let plan = plan(&set, epoch, &recipe, arguments)?;
        let planned = plan.image_count();
        let start = Instant::now();
        let mut epoch_images = 0;
        let mut running = loader.start(plan)?;
        while let Some(batch) = running.next()? {
            epoch_images += batch.len();
            bad += batch.bad().len();
        }
        if epoch > 0 {
            times += running.times();
        }
        let seconds = start.elapsed().as_secs_f64();
        ensure!(epoch_images == planned, "an epoch of {planned} images came out as {epoch_images}");
        if epoch > 0 {
            rates.push(epoch_images as f64 / seconds);
        }
    }
    let best = rates.iter().copied().fold(0.0, f64::max);
    let middle = median(&mut rates);
    let peak_rss_mb = peak_rss_bytes().map_or(0, |bytes| bytes / (1 << 20));
    let busy = times.busy().as_secs_f64();
    let share = |part: Duration| (1000.0 * part.as_secs_f64() / busy).round() / 1000.0;
    let (size, batch, images) = (arguments.size, arguments.batch, set.len());
    if arguments.json {
        let line = serde_json::json!({
            "size": size,
            "batch": batch,
            "threads": threads,
            "images": images,
            "images_per_s": (best * 10.0).round() / 10.0,
            "median_images_per_s": (middle * 10.0).round() / 10.0,
            "bad_images": bad,
            "read": share(times.read),
            "decode": share(times.decode),
            "resize": share(times.resize),
            "peak_rss_mb": peak_rss_mb,
        });
        return output::print(&format!("{line}\n"));
    }
    let plural = if threads == 1 { "" } else { "s" };
    output::print(&format!(
        "{images} images to {size} px in batches of {batch}: {best:.0} images/s at best, {middle:.0} in the median epoch, on \
         {threads} thread{plural}, peak memory {peak_rss_mb} MiB\n\
         of the threads' work {:.1} % reading, {:.1} % decoding, {:.1} % resizing\n",
        100.0 * share(times.read),
        100.0 * share(times.decode),
        100.0 * share(times.resize)
    ))
}

/// An epoch's training batches.
fn plan(set: &ImageSet, epoch: usize, recipe: &Recipe, arguments: &BenchLoaderArgs) -> Result<BatchPlan> {
    let augmentation = augmentation(recipe, epoch as u32, arguments.min_scale);
    let order = EpochOrder::of(set, order_of(arguments.shuffle), augmentation.seed, augmentation.epoch);
    let batch = TrainingBatch { images: arguments.batch.get(), sz: arguments.size.get(), augmentation };
    Ok(BatchPlan::train_in_order(order, Share::ALL, |_| batch)?)
}
