//! The schedule that the arguments name.

use std::path::Path;

use anyhow::{Context, Result};
use in18_recipe::{PRESETS, Phases, Recipe, preset};

use crate::exit::Usage;

/// The phases of `--phases TEXT` or `--recipe NAME|FILE.toml`.
pub fn phases(phases: Option<&str>, recipe: Option<&str>) -> Result<Phases> {
    if let Some(text) = phases {
        return Phases::from_python(text).map_err(|error| Usage(format!("--phases: {error}")).into());
    }
    let recipe = recipe.context("expected --phases or --recipe")?;
    if let Some(preset) = preset(recipe) {
        return Ok(preset.phases());
    }
    if Path::new(recipe).extension().is_some_and(|extension| extension == "toml") {
        let text = std::fs::read_to_string(recipe)
            .map_err(|error| Usage(format!("--recipe {recipe}: expected a TOML file, got: {error}")))?;
        let recipe = Recipe::from_toml(&text).map_err(|error| Usage(format!("--recipe {recipe}: {error}")))?;
        return Ok(recipe.phases);
    }
    let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
    let names = names.join(", ");
    Err(Usage(format!("--recipe: expected {names} or a file that ends in .toml; got `{recipe}`")).into())
}
