//! The recipe that the arguments describe: what is trained, and how. A flag is short for a field.

use std::fmt::Display;
use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;
use in18_program::{self as program, Arch, BlurPooling};
use in18_recipe::{BlurPool, PRESETS, Phases, Precision, Recipe, Shortcut, Stem, preset};
use in18_tensor::DType;

pub use self::brought::Brought;
use crate::cli::{EngineArgs, EngineChoice, TrainArgs};
use crate::engine;
use crate::exit::Usage;

mod brought;

/// The recipe of a run, as written.
pub struct Chosen {
    /// The recipe, with every field that the command line has set.
    pub recipe: Recipe,
    /// Its network.
    pub arch: Arch,
    /// What `--recipe` brought; `None` with `--phases`.
    pub brought: Option<Brought>,
}

/// A flag that sets a field of the recipe.
pub struct Flag {
    /// The flag as the command line writes it.
    pub name: &'static str,
    /// The field that it sets.
    pub field: &'static str,
    /// The field's new value; `None` if the flag was not given.
    pub value: Option<String>,
}

impl Flag {
    /// What a command line writes to switch it off.
    pub fn off(&self) -> String {
        match self.name {
            "--init-bn0" | "--no-bn-wd" => format!("{}=false", self.name),
            _ => format!("-o {}=false", self.field),
        }
    }
}

impl Chosen {
    /// The recipe of the arguments: phases or a recipe, then the flags, then each `-o` in order.
    pub fn of(arguments: &TrainArgs) -> Result<Self> {
        let flags = flags(arguments)?;
        let (mut recipe, brought) = match &arguments.phases {
            Some(text) => {
                let phases = Phases::from_python(text).map_err(|error| Usage(format!("--phases: {error}")))?;
                (Recipe::from(phases), None)
            }
            None => {
                let name = arguments.recipe.as_deref().context("expected --phases or --recipe")?;
                let (recipe, brought) = named(name, &flags)?;
                (recipe, Some(brought))
            }
        };
        for Flag { name, field, value } in &flags {
            if let Some(value) = value {
                recipe.set(field, value).map_err(|error| Usage(format!("{name}: {error}")))?;
            }
        }
        for written in &arguments.fields {
            set(&mut recipe, written)?;
        }
        let arch = arch_of(&recipe).map_err(|error| Usage(format!("network.arch: {error}")))?;
        Ok(Chosen { recipe, arch, brought })
    }

    /// A recipe by its name or file, then fields as `-o` writes them.
    pub fn named(name: &str, fields: &[String]) -> Result<Self> {
        let (mut recipe, brought) = named(name, &[])?;
        for written in fields {
            set(&mut recipe, written)?;
        }
        let arch = arch_of(&recipe).map_err(|error| Usage(format!("network.arch: {error}")))?;
        Ok(Chosen { recipe, arch, brought: Some(brought) })
    }
}

/// Sets a field as `-o` writes it.
fn set(recipe: &mut Recipe, written: &str) -> Result<()> {
    let (field, value) = written
        .split_once('=')
        .ok_or_else(|| Usage(format!("-o: expected FIELD=VALUE, such as optimizer.momentum=0.95, got `{written}`")))?;
    recipe.set(field, value).map_err(|error| Usage(format!("-o {written}: {error}")))?;
    arch_of(recipe).map_err(|error| Usage(format!("-o {written}: {error}")))?;
    Ok(())
}

/// What `bench step` measures of a recipe: that of the name, or else the original's, with another
/// network if `arch` says so, and with the fields that `-o` writes.
pub fn measured(name: Option<&str>, arch: Option<Arch>, fields: &[String]) -> Result<(Recipe, Arch)> {
    const MEASURED: [&str; 4] = ["network", "loss", "optimizer", "average"];
    let mut recipe = match name {
        Some(name) => named(name, &[])?.0,
        None => Recipe::default(),
    };
    if let Some(arch) = arch {
        recipe.network.arch = arch.with_blur_pool(BlurPooling::None).to_string();
        set(&mut recipe, &format!("network.blurpool={}", arch.blur_pool()))?;
    }
    for written in fields {
        set(&mut recipe, written)?;
        let field = written.split_once('=').map_or(written.as_str(), |(field, _)| field);
        let section = field.split_once('.').map_or(field, |(section, _)| section);
        if section != "arch" && !MEASURED.contains(&section) {
            let sections = MEASURED.join(", ");
            let says = format!("-o {written}: expected a field of {sections}, which change what is measured");
            return Err(Usage(says).into());
        }
    }
    let arch = arch_of(&recipe).map_err(Usage)?;
    Ok((recipe, arch))
}

/// A recipe with the fields of its section `augment` that `-o` writes, where nothing else matters.
pub fn augment_with(fields: &[String]) -> Result<Recipe> {
    let mut recipe = Recipe::default();
    for written in fields {
        set(&mut recipe, written)?;
        if !written.starts_with("augment.") {
            let says = format!("-o {written}: expected a field of augment, which changes what is measured");
            return Err(Usage(says).into());
        }
    }
    Ok(recipe)
}

/// The flags that set fields of the recipe.
fn flags(arguments: &TrainArgs) -> Result<Vec<Flag>> {
    fn given<T: ToString>(value: &Option<T>) -> Option<String> {
        value.as_ref().map(T::to_string)
    }
    fn named<T: ValueEnum>(value: Option<T>) -> Option<String> {
        value.and_then(|value| Some(value.to_possible_value()?.get_name().to_owned()))
    }
    let switch = |is_on: bool| is_on.then(|| true.to_string());
    let init = match &arguments.init {
        Some(path) => {
            let got = || Usage(format!("--init: expected a path in UTF-8, got {}", path.display()));
            Some(path.to_str().ok_or_else(got)?.to_owned())
        }
        None => None,
    };
    let TrainArgs { arch, init_bn0, no_bn_wd, momentum, weight_decay, seed, loss_scale, .. } = arguments;
    let flag = |name, field, value| Flag { name, field, value };
    Ok(vec![
        flag("--arch", "network.arch", given(arch)),
        flag("--init-bn0", "initial.bn0", given(init_bn0)),
        flag("--no-bn-wd", "optimizer.no_bn_wd", given(no_bn_wd)),
        flag("--momentum", "optimizer.momentum", given(momentum)),
        flag("--weight-decay", "optimizer.weight_decay", given(weight_decay)),
        flag("--precision", "network.precision", named(precision(arguments))),
        flag("--loss-scale", "loss.scale", given(loss_scale)),
        flag("--gradients", "optimizer.gradients", named(arguments.gradients)),
        flag("--init", "initial.from", init),
        flag("--new-head", "initial.new_head", switch(arguments.new_head)),
        flag("--shuffle", "data.shuffle", named(arguments.shuffle)),
        flag("--drop-last", "data.drop_last", switch(arguments.drop_last)),
        flag("--exif", "data.exif", switch(arguments.reading.exif)),
        flag("--seed", "seed", given(seed)),
    ])
}

/// The type of activations that the command line names. The original's `--fp16` counts where fp16
/// is available, and `auto` leaves the choice to the recipe.
fn precision(arguments: &TrainArgs) -> Option<Precision> {
    let engine = &arguments.engine;
    if arguments.original.fp16 && (engine.engine == EngineChoice::Torch || engine::takes_gpus(engine)) {
        return Some(Precision::Fp16);
    }
    Some(engine.precision).filter(|&precision| precision != Precision::Auto)
}

/// The recipe that `--recipe` names.
fn named(name: &str, flags: &[Flag]) -> Result<(Recipe, Brought)> {
    let preset = preset(name);
    let text = match preset {
        Some(preset) => preset.toml.to_owned(),
        None if Path::new(name).extension().is_some_and(|extension| extension == "toml") => {
            let unread = |error| Usage(format!("--recipe {name}: expected a TOML file, got: {error}"));
            std::fs::read_to_string(name).map_err(unread)?
        }
        None => {
            let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
            let names = names.join(", ");
            return Err(Usage(format!("--recipe: expected {names} or a file that ends in .toml; got `{name}`")).into());
        }
    };
    let wrong = |error: String| Usage(format!("--recipe {name}: {error}"));
    let recipe = Recipe::from_toml(&text).map_err(|error| wrong(error.to_string()))?;
    arch_of(&recipe).map_err(|error| wrong(format!("arch: {error}")))?;
    let stated = Recipe::stated_in_toml(&text).map_err(|error| wrong(error.to_string()))?;
    let brought = Brought::of(name, &recipe, preset.is_some(), &stated, flags);
    Ok((recipe, brought))
}

/// The network of a recipe.
fn arch_of(recipe: &Recipe) -> Result<Arch, String> {
    let arch: Arch = recipe.network.arch.parse()?;
    if arch.blur_pool() != BlurPooling::None {
        let plain = arch.with_blur_pool(BlurPooling::None);
        let remedy = format!("-o network.blurpool={}", arch.blur_pool());
        return Err(format!("expected {plain}, since a recipe says the rest by {remedy}; got `{arch}`"));
    }
    let stem = match recipe.network.stem {
        Stem::Auto => arch.stem(),
        Stem::Original => agreed("stem", arch, arch.stem(), program::Stem::Original)?,
        Stem::Deep => agreed("stem", arch, arch.stem(), program::Stem::Deep)?,
    };
    let shortcut = match recipe.network.shortcut {
        Shortcut::Auto => arch.shortcut(),
        Shortcut::Conv => agreed("shortcut", arch, arch.shortcut(), program::Shortcut::Conv)?,
        Shortcut::Pool => agreed("shortcut", arch, arch.shortcut(), program::Shortcut::Pool)?,
    };
    Ok(arch.with_stem(stem).with_shortcut(shortcut).with_blur_pool(match recipe.network.blurpool {
        BlurPool::None => BlurPooling::None,
        BlurPool::Convolutions => BlurPooling::Convolutions,
        BlurPool::All => BlurPooling::All,
    }))
}

/// What a field of the network says, unless the network's name says something else.
fn agreed<T: Copy + PartialEq + Default + Display>(field: &str, arch: Arch, named: T, written: T) -> Result<T, String> {
    if written == named || named == T::default() {
        return Ok(written);
    }
    Err(format!("expected network.{field} to be {named} or auto, since the network is {arch}; got {written}"))
}

/// The arguments of a recipe's engine: those given, with the recipe's type of activations.
pub fn engine_of(recipe: &Recipe, engine: &EngineArgs) -> EngineArgs {
    EngineArgs { precision: recipe.network.precision, ..engine.clone() }
}

/// What a recipe calls a type of activations.
pub fn precision_of(dtype: DType) -> Precision {
    match dtype {
        DType::Bf16 => Precision::Bf16,
        DType::F16 => Precision::Fp16,
        _ => Precision::Fp32,
    }
}
