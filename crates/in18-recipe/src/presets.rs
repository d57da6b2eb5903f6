//! The published schedules, as their authors' command lines wrote them, with what they reached.
//!
//! Sources: `train.py` of the original trainer (github.com/diux-dev/imagenet18; its expressions such as `lr*2` are
//! given here as the numbers they make) and Lambda's reports for its 8-GPU and 4-GPU machines. All of them train
//! ResNet-50 on ImageNet with `--init-bn0 --no-bn-wd` in half precision, and with momentum 0.9 and weight decay 1e-4, which
//! are everybody's defaults.

use serde::Serialize;

use crate::phases::Phases;
use crate::settings::Settings;

/// A published schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Preset {
    /// What `--recipe` calls it.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// The number of devices it was written for: its rates suit a global batch of `bs` times this.
    pub world: usize,
    /// What these devices were.
    pub device: &'static str,
    /// The network that it trained.
    pub arch: &'static str,
    /// Whether it ran with `--init-bn0`.
    pub init_bn0: bool,
    /// Whether it ran with `--no-bn-wd`.
    pub no_bn_wd: bool,
    /// What it reached, on what, in which time.
    pub reached: &'static str,
    /// The phases as a Python literal, fit for `--phases`.
    pub text: &'static str,
}

/// All published schedules.
pub const PRESETS: [Preset; 6] = [
    Preset {
        name: "seed-8gpu",
        about: "Lambda's run on one 8-GPU machine; global batch 4096, 1792, 1024",
        world: 8,
        device: "Titan RTX",
        arch: "resnet50",
        init_bn0: true,
        no_bn_wd: true,
        reached: "93.018 % top-5 in 2.37 h on 8 Titan RTX; 102 min on 8 V100",
        text: "[
    {'ep': 0, 'sz': 128, 'bs': 512, 'trndir': '-sz/160'},
    {'ep': (0, 7), 'lr': (1.0, 2.0)},
    {'ep': (7, 13), 'lr': (2.0, 0.25)},
    {'ep': 13, 'sz': 224, 'bs': 224, 'trndir': '-sz/320', 'min_scale': 0.087},
    {'ep': (13, 22), 'lr': (0.4375, 0.043750000000000004)},
    {'ep': (22, 25), 'lr': (0.043750000000000004, 0.004375)},
    {'ep': 25, 'sz': 288, 'bs': 128, 'min_scale': 0.5, 'rect_val': True},
    {'ep': (25, 28), 'lr': (0.0025, 0.00025)},
]",
    },
    Preset {
        name: "cloud-4gpu",
        about: "Lambda's run on one 4-GPU machine; global batch 1024, 448, 256",
        world: 4,
        device: "GTX 1080 Ti",
        arch: "resnet50",
        init_bn0: true,
        no_bn_wd: true,
        reached: "93.05 % top-5 in 12.6 h on 4 GTX 1080 Ti",
        text: "[
    {'ep': 0, 'sz': 128, 'bs': 256, 'trndir': '-sz/160'},
    {'ep': (0, 8), 'lr': (0.5, 1.0)},
    {'ep': (8, 15), 'lr': (1.0, 0.125)},
    {'ep': 15, 'sz': 224, 'bs': 112, 'trndir': '-sz/320', 'min_scale': 0.087},
    {'ep': (15, 25), 'lr': (0.22, 0.022)},
    {'ep': (25, 28), 'lr': (0.022, 0.0022)},
    {'ep': 28, 'sz': 288, 'bs': 64, 'min_scale': 0.5, 'rect_val': True},
    {'ep': (28, 29), 'lr': (0.00125, 0.000125)},
]",
    },
    Preset {
        name: "1-machine",
        about: "the original on 1 machine of 8 V100; global batch 4096, 1792, 1024",
        world: 8,
        device: "V100",
        arch: "resnet50",
        init_bn0: true,
        no_bn_wd: true,
        reached: "93.00 % top-5 in 109:12 min on 8 V100",
        text: "[
    {'ep': 0, 'sz': 128, 'bs': 512, 'trndir': '-sz/160'},
    {'ep': (0, 7), 'lr': (1.0, 2.0)},  # lr warmup is better with --init-bn0
    {'ep': (7, 13), 'lr': (2.0, 0.25)},
    {'ep': 13, 'sz': 224, 'bs': 224, 'trndir': '-sz/352', 'min_scale': 0.087},
    {'ep': (13, 22), 'lr': (0.4375, 0.043750000000000004)},
    {'ep': (22, 25), 'lr': (0.043750000000000004, 0.004375)},
    {'ep': 25, 'sz': 288, 'bs': 128, 'min_scale': 0.5, 'rect_val': True},
    {'ep': (25, 28), 'lr': (0.0025, 0.00025)},
]",
    },
    Preset {
        name: "4-machines",
        about: "the original on 4 machines of 8 V100; global batch 8192 to 16384, 7168, 4096",
        world: 32,
        device: "V100",
        arch: "resnet50",
        init_bn0: true,
        no_bn_wd: true,
        reached: "93.05 % top-5 in 29:44 min on 32 V100",
        text: "[
    {'ep': 0, 'sz': 128, 'bs': 256, 'trndir': '-sz/160'},
    {'ep': (0, 6), 'lr': (2.0, 4.0)},
    {'ep': 6, 'sz': 128, 'bs': 512, 'keep_dl': True},
    {'ep': 6, 'lr': 4.0},
    {'ep': (11, 13), 'lr': (4.0, 2.0)},
    {'ep': 13, 'sz': 224, 'bs': 224, 'trndir': '-sz/352', 'min_scale': 0.087},
    {'ep': 13, 'lr': 1.75},
    {'ep': (16, 24), 'lr': (1.75, 0.17500000000000002)},
    {'ep': (24, 28), 'lr': (0.17500000000000002, 0.0175)},
    {'ep': 28, 'sz': 288, 'bs': 128, 'min_scale': 0.5, 'rect_val': True},
    {'ep': (28, 30), 'lr': (0.01, 0.001)},
]",
    },
    Preset {
        name: "8-machines",
        about: "the original on 8 machines of 8 V100; global batch 8192 to 16384, 8192 to 14336, 8192",
        world: 64,
        device: "V100",
        arch: "resnet50",
        init_bn0: true,
        no_bn_wd: true,
        reached: "93.0 % top-5 in 19:04 min on 64 V100",
        text: "[
    {'ep': 0, 'sz': 128, 'bs': 128, 'trndir': '-sz/160'},
    {'ep': (0, 6), 'lr': (1.92, 3.84)},
    {'ep': 6, 'bs': 256, 'keep_dl': True, 'lr': 3.84},
    {'ep': (11, 14), 'lr': (3.84, 1.92)},
    {'ep': 14, 'sz': 224, 'bs': 128, 'trndir': '-sz/352', 'min_scale': 0.087, 'lr': 1.92},
    {'ep': 17, 'bs': 224, 'keep_dl': True},
    {'ep': (17, 23), 'lr': (1.92, 0.336)},
    {'ep': (23, 29), 'lr': (0.336, 0.0336)},
    {'ep': 29, 'sz': 288, 'bs': 128, 'min_scale': 0.5, 'rect_val': True},
    {'ep': (29, 36), 'lr': (0.0192, 0.0019199999999999998)},
]",
    },
    Preset {
        name: "16-machines",
        about: "the original on 16 machines of 8 V100; global batch 8192 to 16384, 8192 to 24576, 16384",
        world: 128,
        device: "V100",
        arch: "resnet50",
        init_bn0: true,
        no_bn_wd: true,
        reached: "93.04 % top-5 in 16:08 min on 128 V100",
        text: "[
    {'ep': 0, 'sz': 128, 'bs': 64, 'trndir': '-sz/160'},
    {'ep': (0, 6), 'lr': (1.88, 3.76)},
    {'ep': 6, 'bs': 128, 'keep_dl': True},
    {'ep': 6, 'lr': 3.76},
    {'ep': 16, 'sz': 224, 'bs': 64},
    {'ep': 16, 'lr': 1.88},
    {'ep': 19, 'bs': 192, 'keep_dl': True},
    {'ep': 19, 'lr': 0.564},
    {'ep': 31, 'lr': 0.05639999999999999},
    {'ep': 37, 'sz': 288, 'bs': 128, 'min_scale': 0.5, 'rect_val': True},
    {'ep': 37, 'lr': 0.037599999999999995},
    {'ep': (38, 50), 'lr': 0.00376},
]",
    },
];

/// The preset of that name.
pub fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

impl Preset {
    /// The phases, read.
    pub fn phases(&self) -> Phases {
        Phases::from_python(self.text).expect("every preset is tested to parse")
    }

    /// What its result was reached with beside the phases.
    pub fn settings(&self) -> Settings {
        Settings {
            arch: Some(self.arch.to_owned()),
            init_bn0: Some(self.init_bn0),
            no_bn_wd: Some(self.no_bn_wd),
            devices: Some(self.world),
        }
    }
}
