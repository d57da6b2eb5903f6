//! Images a second of random resized crop and flip from class folders:
//! `cargo run --release -p in18-loader --example rate -- DIR SIZE WORKERS`

use std::sync::Arc;
use std::time::Instant;

use in18_dataset::ImageSet;
use in18_loader::{Augmentation, BatchPlan, Loader, Share};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dir, size, workers] = args.as_slice() else {
        return Err("expected DIR SIZE WORKERS".into());
    };
    let set = Arc::new(ImageSet::open(dir)?);
    let images = u32::try_from(set.len())?;
    let mut loader = Loader::new(set, workers.parse()?, in18_loader::OnBadImage::Fail)?;
    // The first epoch fills the page cache.
    for epoch in 0..3 {
        let augmentation = Augmentation::torchvision(0, epoch, 0.08);
        let plan = BatchPlan::train(images, Share::ALL, 64, size.parse()?, augmentation)?;
        let start = Instant::now();
        let mut batches = loader.start(plan)?;
        let mut sum = 0_u64;
        while let Some(batch) = batches.next()? {
            sum += u64::from(batch.pixels()[0]);
        }
        let rate = f64::from(images) / start.elapsed().as_secs_f64();
        println!("epoch {epoch}: {rate:.0} images/s ({sum})");
    }
    Ok(())
}
