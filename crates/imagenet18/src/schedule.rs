//! What is trained, and by which schedule: what the arguments say, and where they say nothing, their recipe.

use std::path::Path;

use anyhow::{Context, Result};
use in18_program::Arch;
use in18_recipe::{PRESETS, Phases, Preset, Recipe, Settings, preset};

use crate::cli::TrainArgs;
use crate::exit::Usage;

/// A schedule, and the network and flags that belong to it.
pub struct Schedule {
    /// The phases.
    pub phases: Phases,
    /// The network.
    pub arch: Arch,
    /// Whether residual blocks start as the identity.
    pub init_bn0: bool,
    /// Whether batch normalisation goes without weight decay.
    pub no_bn_wd: bool,
    /// What a recipe brought; none with `--phases`.
    pub brought: Option<Brought>,
}

/// What a recipe brought beside the phases.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Brought {
    /// As `--recipe` named it.
    recipe: String,
    /// Flags that the command line left to it.
    flags: Vec<String>,
    /// How many devices it was made for, and what these were.
    devices: Option<usize>,
    device: Option<&'static str>,
}

/// A recipe as `--recipe` names it.
struct Named {
    phases: Phases,
    settings: Settings,
    preset: Option<&'static Preset>,
}

impl Schedule {
    /// What the arguments mean.
    pub fn of(arguments: &TrainArgs) -> Result<Self> {
        let TrainArgs { arch, init_bn0, no_bn_wd, .. } = *arguments;
        if let Some(text) = arguments.phases.as_deref() {
            let phases = Phases::from_python(text).map_err(|error| Usage(format!("--phases: {error}")))?;
            let (init_bn0, no_bn_wd) = (init_bn0.unwrap_or(false), no_bn_wd.unwrap_or(false));
            return Ok(Schedule { phases, arch: arch.unwrap_or(DEFAULT_ARCH), init_bn0, no_bn_wd, brought: None });
        }
        let recipe = arguments.recipe.as_deref().context("expected --phases or --recipe")?;
        let Named { phases, settings, preset } = named(recipe)?;
        let wrong = |what: String| Usage(format!("--recipe {recipe}: arch: {what}"));
        let own_arch = settings.arch.as_deref().map(|arch| arch.parse::<Arch>().map_err(wrong)).transpose()?;
        let mut flags = Vec::new();
        if let (None, Some(own)) = (arch, own_arch) {
            flags.push(format!("--arch {own}"));
        }
        for (name, written, own) in
            [("--init-bn0", init_bn0, settings.init_bn0), ("--no-bn-wd", no_bn_wd, settings.no_bn_wd)]
        {
            if (written, own) == (None, Some(true)) {
                flags.push(name.to_owned());
            }
        }
        let (recipe, device) = (recipe.to_owned(), preset.map(|preset| preset.device));
        Ok(Schedule {
            phases,
            arch: arch.or(own_arch).unwrap_or(DEFAULT_ARCH),
            init_bn0: init_bn0.or(settings.init_bn0).unwrap_or(false),
            no_bn_wd: no_bn_wd.or(settings.no_bn_wd).unwrap_or(false),
            brought: Some(Brought { recipe, flags, devices: settings.devices, device }),
        })
    }
}

/// The network that is trained if nobody names one: the original's.
const DEFAULT_ARCH: Arch = Arch::RESNET50;

impl Brought {
    /// What a run on so many devices should tell of it, a line each.
    pub fn lines(&self, world: usize) -> Vec<String> {
        let Brought { recipe, flags, devices, device } = self;
        let mut lines = Vec::new();
        if !flags.is_empty() {
            let switches = flags.iter().filter(|flag| !flag.contains(' '));
            let offs: Vec<String> = switches.map(|flag| format!("{flag}=false")).collect();
            let off = match offs.is_empty() {
                true => String::new(),
                false => format!(" ({} for without)", offs.join(" ")),
            };
            lines.push(format!("note: --recipe {recipe} brings {}, for which it was written{off}", flags.join(" ")));
        }
        if let Some(made_for) = devices.filter(|&made_for| made_for != world) {
            let (share, times) = (fraction(world, made_for), fraction(made_for, world));
            let of_what = if world < made_for { "of" } else { "times" };
            let made_for = if made_for == 1 { "1 device".to_owned() } else { format!("{made_for} devices") };
            let kind = device.map_or_else(String::new, |device| format!(" ({device})"));
            let how = match device {
                Some(_) => format!("give its phases (`imagenet18 recipes {recipe}`) as --phases"),
                None => "write it anew".to_owned(),
            };
            lines.push(format!(
                "warning: --recipe {recipe} was made for {made_for}{kind}, got {world}: 'bs' is each device's, so the global \
                 batch is {share} {of_what} what its rates suit: take {made_for}, or {how} with 'bs' times {times} or 'lr' \
                 times {share}"
            ));
        }
        lines
    }
}

/// `3/4`, or `2`.
fn fraction(a: usize, b: usize) -> String {
    let (mut divisor, mut rest) = (a, b);
    while rest > 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    let (a, b) = (a / divisor.max(1), b / divisor.max(1));
    if b == 1 { a.to_string() } else { format!("{a}/{b}") }
}

fn named(recipe: &str) -> Result<Named> {
    if let Some(preset) = preset(recipe) {
        return Ok(Named { phases: preset.phases(), settings: preset.settings(), preset: Some(preset) });
    }
    if Path::new(recipe).extension().is_some_and(|extension| extension == "toml") {
        let text = std::fs::read_to_string(recipe)
            .map_err(|error| Usage(format!("--recipe {recipe}: expected a TOML file, got: {error}")))?;
        let Recipe { phases, settings, .. } =
            Recipe::from_toml(&text).map_err(|error| Usage(format!("--recipe {recipe}: {error}")))?;
        return Ok(Named { phases, settings, preset: None });
    }
    let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
    let names = names.join(", ");
    Err(Usage(format!("--recipe: expected {names} or a file that ends in .toml; got `{recipe}`")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_devices_are_warned_of_with_what_to_change() {
        let brought = |device, flags: &[&str]| Brought {
            recipe: "r".to_owned(),
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            devices: Some(8),
            device,
        };
        assert_eq!(brought(Some("V100"), &[]).lines(8), [""; 0]);
        assert_eq!(
            brought(Some("V100"), &[]).lines(1),
            [
                "warning: --recipe r was made for 8 devices (V100), got 1: 'bs' is each device's, so the global batch is 1/8 of what \
              its rates suit: take 8 devices, or give its phases (`imagenet18 recipes r`) as --phases with 'bs' times 8 or 'lr' times \
              1/8"
            ]
        );
        let more = &brought(None, &[]).lines(12)[0];
        assert!(more.contains("3/2 times what") && more.contains("'bs' times 2/3 or 'lr' times 3/2"), "{more}");
        let one = Brought { devices: Some(1), ..Brought::default() }.lines(2).concat();
        assert!(one.contains("made for 1 device, got 2: ") && one.contains("2 times what"), "{one}");
        assert_eq!(
            brought(None, &["--arch resnet50", "--init-bn0"]).lines(8),
            [
                "note: --recipe r brings --arch resnet50 --init-bn0, for which it was written (--init-bn0=false for without)"
            ]
        );
        assert_eq!(
            brought(None, &["--arch resnet50"]).lines(8),
            ["note: --recipe r brings --arch resnet50, for which it was written"]
        );
    }
}
