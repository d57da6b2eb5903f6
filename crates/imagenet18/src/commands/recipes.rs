//! `imagenet18 recipes`: the published schedules.

use anyhow::Result;
use in18_recipe::{PRESETS, Preset, Recipe, preset};

use crate::cli::RecipesArgs;
use crate::exit::Usage;

/// Lists the schedules, or shows one.
pub fn recipes(arguments: &RecipesArgs) -> Result<()> {
    let Some(name) = &arguments.name else {
        for preset in &PRESETS {
            if arguments.json {
                println!("{}", serde_json::to_string(preset)?);
            } else {
                print_line(preset);
            }
        }
        return Ok(());
    };
    let preset = preset(name).ok_or_else(|| {
        let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
        Usage(format!("expected one of {}; got `{name}`", names.join(", ")))
    })?;
    if arguments.json {
        println!("{}", serde_json::to_string(preset)?);
    } else if arguments.toml {
        let (name, about) = (preset.name.to_owned(), Some(preset.about.to_owned()));
        print!("{}", Recipe { name: Some(name), about, phases: preset.phases() }.to_toml());
    } else {
        println!("{}", preset.text);
    }
    Ok(())
}

fn print_line(preset: &Preset) {
    println!("{:<12}  {}", preset.name, preset.about);
    println!("{:<12}  reached {} (devices: {})", "", preset.reached, preset.world);
}
