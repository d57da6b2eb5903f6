//! `imagenet18 demo`: trains on generated photos.

use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::Result;
use in18_dataset::OpenOptions;
use in18_demo::DemoSpec;
use in18_loader::OnBadImage;
use in18_program::Arch;
use in18_recipe::Recipe;

use crate::cli::{CheckpointArgs, DemoArgs};
use crate::exit::Usage;
use crate::run::Run;
use crate::{cores, engine, logdir, output};

/// Two sizes, rectangular validation in the second: 94 to 149 s on two cores of a busy Xeon limited
/// to AVX2. Images of 64 px, and their sizes after strides, fill Winograd's tiles; those of 72 px
/// do not, and took almost twice as long. Learning rates and least crop areas are by trial.
const RECIPE: &str = "
arch = 'resnet18'
init_bn0 = true
no_bn_wd = true
phases = \"\"\"[
    {'ep': 0, 'sz': 48, 'bs': 32, 'min_scale': 0.6},
    {'ep': (0, 2), 'lr': (0.05, 0.12)},
    {'ep': (2, 8), 'lr': (0.12, 0.05)},
    {'ep': 5, 'sz': 64, 'bs': 32, 'min_scale': 0.4, 'rect_val': True},
    {'ep': (8, 13), 'lr': (0.05, 0.001)},
]\"\"\"
";

/// Top-1, in percent, that the demo promises.
const PROMISED_TOP1: f64 = 90.0;

/// Generates the photos (once), trains, and shows the result.
pub fn demo(arguments: &DemoArgs) -> Result<()> {
    let mut engine = arguments.engine.clone();
    engine.devices = engine::single(&engine)?.into();
    engine::check(&engine)?;
    let photos = arguments.dir.join("photos");
    let summary = in18_demo::generate(&photos, &DemoSpec::default(), cores::available().get())?;
    output::print(&format!(
        "{} photos of {} classes in {}{}\n",
        summary.train_images + summary.val_images,
        summary.classes,
        photos.display(),
        if summary.reused { " (made before)" } else { "" }
    ))?;
    let mut recipe = Recipe::from_toml(RECIPE).map_err(|error| Usage(error.to_string()))?;
    (recipe.seed, recipe.network.precision) = (arguments.seed, engine.precision);
    let run = Run {
        data: photos,
        reading: OpenOptions::default(),
        engine,
        recipe,
        arch: Arch::RESNET18,
        brought: None,
        workers: arguments.workers,
        on_bad_image: OnBadImage::Fail,
        short_epoch: false,
        stop_at: None,
        step_timeout: Duration::from_secs(600),
        print_freq: NonZeroUsize::new(50).unwrap_or(NonZeroUsize::MIN),
        logdir: arguments.dir.join(logdir::stamped("run")),
        checkpoints: CheckpointArgs::default(),
    };
    let Some(outcome) = run.train()? else { return Ok(()) };
    let top1 = outcome.end.top1;
    anyhow::ensure!(
        top1 >= PROMISED_TOP1,
        "the demo ended at {top1:.1} % top-1, expected {PROMISED_TOP1} % or more: please report this with the logs"
    );
    Ok(())
}
