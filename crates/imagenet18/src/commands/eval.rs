//! `imagenet18 eval`: how good a trained network is.

use std::sync::Arc;

use anyhow::Result;
use in18_dataset::{DataRoot, ImageSet};
use in18_jpeg::flip_horizontal;
use in18_loader::{BatchPlan, Loader, OnBadImage, Share};
use in18_program::{Metrics, Size};
use in18_train::{Skipped, Tally, TrainError};
use serde_json::json;

use crate::classifier::Opened;
use crate::cli::{EvalArgs, Tta};
use crate::{engine, output};

/// Names the one set for [`Skipped`].
const SET: &str = "validation";

/// Evaluates, and prints loss and accuracies.
pub fn eval(arguments: &EvalArgs) -> Result<()> {
    engine::check(&arguments.engine)?;
    let opened = Opened::new(&arguments.network)?;
    let place = DataRoot::new(&arguments.data).validation(&arguments.valdir)?;
    let set = Arc::new(ImageSet::open_with(place, &arguments.reading.options())?);
    opened.check_classes(set.classes())?;
    let mut classifier = opened.classifier(&arguments.engine)?;
    let workers = arguments.workers.unwrap_or_else(engine::cores);
    let (batch, side) = (arguments.batch.get(), arguments.size.get());
    let mut skipped = Skipped::default();
    let mut skip = |image: u32, error: &dyn std::error::Error| {
        if skipped.add(SET, image) {
            output::complain(&format!("warning: {error}; it is left out"));
        }
        skipped.check(SET, &set)
    };
    let plan = if arguments.rect {
        let mut sizes = Vec::with_capacity(set.len());
        for (image, size) in set.sizes(workers).into_iter().enumerate() {
            size.as_ref().err().map_or(Ok(()), |error| skip(image as u32, error))?;
            sizes.push(size.ok());
        }
        BatchPlan::rectangular_validation(&sizes, Share::ALL, batch, side)
    } else {
        BatchPlan::validation(set.len() as u32, Share::ALL, batch, side)
    };
    let plan = plan.map_err(TrainError::from)?;
    let mut loader = Loader::new(Arc::clone(&set), workers.get(), OnBadImage::Skip).map_err(TrainError::from)?;
    let mut stream = loader.start(plan).map_err(TrainError::from)?;
    let mut total = Tally::default();
    while let Some(batch) = stream.next().map_err(TrainError::from)? {
        batch.bad().iter().try_for_each(|bad| skip(bad.image, &bad.error))?;
        if batch.is_empty() {
            continue;
        }
        let pixels = batch.size();
        let size = Size { batch: batch.len(), height: pixels.height as usize, width: pixels.width as usize };
        total.add(&match arguments.tta {
            None => classifier.evaluate(size, batch.pixels(), batch.labels())?,
            Some(Tta::Flip) => {
                let mut mirrored = batch.pixels().to_vec();
                flip_horizontal(&mut mirrored, pixels.width);
                let one = classifier.probabilities(size, batch.pixels())?;
                let other = classifier.probabilities(size, &mirrored)?;
                let mean: Vec<f64> = one.iter().zip(&other).map(|(a, b)| (a + b) / 2.0).collect();
                metrics(&mean, batch.labels())
            }
        });
    }
    let (loss, top1, top5) = (total.loss(), total.top1(), total.top5());
    output::print(&if arguments.json {
        let object = json!({
            "checkpoint": arguments.network.checkpoint.to_string_lossy(), "data": set.root().to_string_lossy(),
            "arch": opened.arch.name(), "size": side, "rect": arguments.rect, "tta": arguments.tta.map(|_| "flip"),
            "images": total.images, "loss": loss, "top1": top1, "top5": top5,
        });
        format!("{object}\n")
    } else {
        format!("{} images: top-1 {top1:.3} %, top-5 {top5:.3} %, loss {loss:.5}\n", total.images)
    })
}

/// Loss and hits of probabilities (N, K). An image counts as hit at k if fewer than k classes are more probable than its own.
fn metrics(probabilities: &[f64], labels: &[i32]) -> Metrics {
    let mut metrics = Metrics { images: labels.len(), loss_sum: 0.0, top1: 0, top5: 0 };
    for (row, &label) in probabilities.chunks(probabilities.len() / labels.len()).zip(labels) {
        let own = row[label as usize];
        let better = row.iter().filter(|&&other| other > own).count();
        metrics.loss_sum -= own.ln();
        metrics.top1 += usize::from(better < 1);
        metrics.top5 += usize::from(better < 5);
    }
    metrics
}
