//! `imagenet18 eval`: measures how good a trained network is.

use std::sync::Arc;

use anyhow::Result;
use in18_dataset::{DataRoot, ImageSet};
use in18_loader::{Loader, OnBadImage, Share};
use in18_program::{Input, Size, Targets};
use in18_recipe::Tta;
use in18_train::{Skipped, Tally, TrainError, Views};
use serde_json::json;

use crate::classifier::Opened;
use crate::cli::EvalArgs;
use crate::{cores, engine, output};

/// The set's name in the messages of [`Skipped`].
const SET: &str = "validation";

/// Evaluates, and prints loss and accuracies.
pub fn eval(arguments: &EvalArgs) -> Result<()> {
    engine::check(&arguments.engine)?;
    let opened = Opened::new(&arguments.network)?;
    let place = DataRoot::new(&arguments.data).validation(&arguments.valdir)?;
    let set = Arc::new(ImageSet::open_with(place, &arguments.reading.options())?);
    opened.check_classes(set.classes())?;
    let &EvalArgs { size, tta, crop, rect, batch, .. } = arguments;
    let views = Views { tta, size: size.get(), crop, rectangular: rect, batch: batch.get() };
    let mut classifier = opened.classifier(&arguments.engine, tta)?;
    let workers = arguments.workers.unwrap_or_else(cores::available);
    let mut skipped = Skipped::default();
    let mut skip = |image: u32, error: &dyn std::error::Error| {
        if skipped.add(SET, image) {
            output::complain(&format!("warning: {error}; it is left out"));
        }
        skipped.check(SET, &set)
    };
    let plan = if views.rectangular {
        let mut sizes = Vec::with_capacity(set.len());
        for (image, size) in set.sizes(workers).into_iter().enumerate() {
            size.as_ref().err().map_or(Ok(()), |error| skip(image as u32, error))?;
            sizes.push(size.ok());
        }
        views.rectangles(&sizes, Share::ALL)?
    } else {
        views.squares(set.len(), Share::ALL)?
    };
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
        total.add(&classifier.evaluate(Input {
            size,
            pixels: batch.pixels(),
            targets: Targets::of(batch.labels()),
        })?);
    }
    let (loss, top1, top5) = (total.loss(), total.top1(), total.top5());
    output::print(&if arguments.json {
        let object = json!({
            "checkpoint": arguments.network.checkpoint.to_string_lossy(), "data": set.root().to_string_lossy(),
            "arch": opened.arch.to_string(), "size": views.size, "crop": crop.share(), "rect": rect, "tta": (tta != Tta::None).then(|| tta.to_string()),
            "images": total.images, "loss": loss, "top1": top1, "top5": top5,
        });
        format!("{object}\n")
    } else {
        let seen = if tta == Tta::None { String::new() } else { format!(" (tta {tta})") };
        format!("{} images: top-1 {top1:.3} %, top-5 {top5:.3} %, loss {loss:.5}{seen}\n", total.images)
    })
}
