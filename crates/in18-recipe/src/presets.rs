//! The published schedules, as whole recipes, one file each in `presets/`.
//!
//! Sources: `train.py` of the original trainer (github.com/diux-dev/imagenet18; its expressions
//! such as `lr*2` are given as the numbers they make) and Lambda's reports for its 8-GPU and 4-GPU
//! machines. All of them train ResNet-50 on ImageNet with `--init-bn0 --no-bn-wd` in half
//! precision, and with momentum 0.9 and weight decay 1e-4, which are everybody's defaults.

use serde::Serialize;

use crate::recipe::Recipe;
use crate::tree;
use crate::value::Value;

/// A published schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// What `--recipe` calls it.
    pub name: &'static str,
    /// The recipe as TOML.
    pub toml: &'static str,
}

macro_rules! presets {
    ($($name:literal),* $(,)?) => {
        [$(Preset { name: $name, toml: include_str!(concat!("../presets/", $name, ".toml")) }),*]
    };
}

/// All published schedules.
pub const PRESETS: [Preset; 6] =
    presets!["seed-8gpu", "cloud-4gpu", "1-machine", "4-machines", "8-machines", "16-machines"];

/// The preset of that name.
pub fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

/// What a list of published schedules says of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// What `--recipe` calls it.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: String,
    /// The number of devices it was written for: its rates suit a global batch of `bs` times this.
    pub world: usize,
    /// What these devices were.
    pub device: String,
    /// The network that it trained.
    pub arch: String,
    /// Whether it ran with `--init-bn0`.
    pub init_bn0: bool,
    /// Whether it ran with `--no-bn-wd`.
    pub no_bn_wd: bool,
    /// What it reached, on what, in which time.
    pub reached: String,
    /// The phases as its authors wrote them: a Python literal, fit for `--phases`.
    pub text: String,
}

impl Preset {
    /// The recipe.
    pub fn recipe(&self) -> Recipe {
        Recipe::from_toml(self.toml).expect("every preset is tested to read")
    }

    /// What a list says of it.
    pub fn summary(&self) -> Summary {
        let Recipe { about, network, initial, optimizer, made_for, reached, .. } = self.recipe();
        let (world, device) = made_for.map_or((1, None), |made_for| (made_for.devices, made_for.device));
        Summary {
            name: self.name,
            about: about.unwrap_or_default(),
            world,
            device: device.unwrap_or_default(),
            arch: network.arch,
            init_bn0: initial.bn0,
            no_bn_wd: optimizer.no_bn_wd,
            reached: reached.map_or_else(String::new, |reached| reached.to_string()),
            text: self.phases_as_written(),
        }
    }

    fn phases_as_written(&self) -> String {
        let root = tree::parse(self.toml);
        match root.as_ref().ok().and_then(|root| root.find("phases")).map(|(_, phases)| &phases.value) {
            Some(Value::Str(python)) => python.clone(),
            _ => self.recipe().phases.to_python(),
        }
    }
}
