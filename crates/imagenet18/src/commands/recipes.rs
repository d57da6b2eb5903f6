//! `imagenet18 recipes`: the published schedules.

use anyhow::Result;
use in18_recipe::{PRESETS, Preset, Recipe, preset};

use crate::cli::RecipesArgs;
use crate::exit::Usage;
use crate::output;

/// Lists the schedules, or shows one.
pub fn recipes(arguments: &RecipesArgs) -> Result<()> {
    let text = match &arguments.name {
        Some(name) => one(find(name)?, arguments)?,
        None => PRESETS.iter().map(|preset| listed(preset, arguments.json)).collect::<Result<String>>()?,
    };
    output::print(&text)
}

fn find(name: &str) -> Result<&'static Preset> {
    let preset = preset(name).ok_or_else(|| {
        let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
        Usage(format!("expected one of {}; got `{name}`", names.join(", ")))
    })?;
    Ok(preset)
}

fn one(preset: &Preset, arguments: &RecipesArgs) -> Result<String> {
    if arguments.toml {
        let (name, about) = (preset.name.to_owned(), Some(preset.about.to_owned()));
        return Ok(Recipe { name: Some(name), about, settings: preset.settings(), phases: preset.phases() }.to_toml());
    }
    if arguments.json { listed(preset, true) } else { Ok(format!("{}\n", preset.text)) }
}

fn listed(preset: &Preset, json: bool) -> Result<String> {
    if json {
        return Ok(serde_json::to_string(preset)? + "\n");
    }
    let Preset { name, about, reached, world, device, arch, init_bn0, no_bn_wd, .. } = preset;
    let mut flags = format!("--arch {arch}");
    for (flag, is_on) in [(" --init-bn0", init_bn0), (" --no-bn-wd", no_bn_wd)] {
        flags += if *is_on { flag } else { "" };
    }
    Ok(format!("{name:<12}  {about}\n{0:<12}  reached {reached}\n{0:<12}  for {world} {device}; brings {flags}\n", ""))
}
