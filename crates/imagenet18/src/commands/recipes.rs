//! `imagenet18 recipes`: the published schedules.

use anyhow::Result;
use in18_recipe::{PRESETS, Preset, Summary, preset};

use crate::cli::{RecipesArgs, RecipesCommand};
use crate::exit::Usage;
use crate::output;

/// Lists the schedules, or shows one.
pub fn recipes(arguments: &RecipesArgs) -> Result<()> {
    let text = match (&arguments.command, &arguments.name) {
        (Some(RecipesCommand::Show { name }), _) => find(name)?.recipe().to_toml(),
        (None, Some(name)) if arguments.toml => find(name)?.recipe().to_toml(),
        (None, Some(name)) if arguments.json => listed(find(name)?, true)?,
        (None, Some(name)) => format!("{}\n", find(name)?.summary().text),
        (None, None) => PRESETS.iter().map(|preset| listed(preset, arguments.json)).collect::<Result<String>>()?,
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

fn listed(preset: &Preset, json: bool) -> Result<String> {
    let summary = preset.summary();
    if json {
        return Ok(serde_json::to_string(&summary)? + "\n");
    }
    let Summary { name, about, reached, world, device, arch, init_bn0, no_bn_wd, .. } = summary;
    let mut flags = format!("--arch {arch}");
    for (flag, is_on) in [(" --init-bn0", init_bn0), (" --no-bn-wd", no_bn_wd)] {
        flags += if is_on { flag } else { "" };
    }
    Ok(format!("{name:<12}  {about}\n{0:<12}  reached {reached}\n{0:<12}  for {world} {device}; brings {flags}\n", ""))
}
