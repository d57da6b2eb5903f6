//! `imagenet18 demo`: the main job on generated photos.

use anyhow::Result;
use in18_dataset::OpenOptions;
use in18_demo::DemoSpec;
use in18_loader::{OnBadImage, Shuffle};
use in18_program::Arch;
use in18_recipe::Phases;
use in18_train::{LossScaling, PATIENCE, RunOptions};

use crate::cli::{CheckpointArgs, DemoArgs, GradientType};
use crate::commands::train::{FP16_LOSS_SCALE, Run};
use crate::exit::Usage;
use crate::{engine, logdir, output};

/// Two sizes, rectangular validation in the second: 94 to 149 s on two cores of a busy Xeon limited to AVX2. Images of 64 px, and
/// what strides make of them, fill Winograd's tiles; those of 72 px do not, and took almost twice as long. Rates and the least
/// areas of crops are by trial.
const PHASES: &str = "[
    {'ep': 0, 'sz': 48, 'bs': 32, 'min_scale': 0.6},
    {'ep': (0, 2), 'lr': (0.05, 0.12)},
    {'ep': (2, 8), 'lr': (0.12, 0.05)},
    {'ep': 5, 'sz': 64, 'bs': 32, 'min_scale': 0.4, 'rect_val': True},
    {'ep': (8, 13), 'lr': (0.05, 0.001)},
]";

/// Top-1, in percent, that the demo promises.
const PROMISED_TOP1: f64 = 90.0;

/// Generates the photos (once), trains, and shows what came of it.
pub fn demo(arguments: &DemoArgs) -> Result<()> {
    let mut engine = arguments.engine.clone();
    engine.devices = engine::single(&engine)?.into();
    engine::check(&engine)?;
    let photos = arguments.dir.join("photos");
    let summary = in18_demo::generate(&photos, &DemoSpec::default(), engine::cores().get())?;
    output::print(&format!(
        "{} photos of {} classes in {}{}\n",
        summary.train_images + summary.val_images,
        summary.classes,
        photos.display(),
        if summary.reused { " (made before)" } else { "" }
    ))?;
    let run = Run {
        data: photos,
        opening: OpenOptions::default(),
        drop_last: false,
        arch: Arch::RESNET18,
        phases: Phases::from_python(PHASES).map_err(|error| Usage(error.to_string()))?,
        init_bn0: true,
        brought: None,
        options: RunOptions {
            momentum: 0.9,
            weight_decay: 1e-4,
            no_bn_wd: true,
            seed: arguments.seed,
            workers: std::num::NonZeroUsize::MIN,
            on_bad_image: OnBadImage::Fail,
            short_epoch: false,
            shuffle: Shuffle::Full,
            loss_scaling: LossScaling::Fixed(1.0),
            gradients: in18_tensor::DType::F32,
            patience: PATIENCE,
        },
        engine,
        workers: arguments.workers,
        step_timeout: std::time::Duration::from_secs(600),
        loss_scale: FP16_LOSS_SCALE,
        gradients: GradientType::Fp32,
        print_freq: std::num::NonZeroUsize::new(50).unwrap_or(std::num::NonZeroUsize::MIN),
        logdir: arguments.dir.join(logdir::stamped("run")),
        init: None,
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
