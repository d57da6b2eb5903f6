//! One of the recipes that are compared.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use in18_kernels::reference::Reference;
use in18_program::{Arch, Mode, Model, Size};
use in18_recipe::{Plan, PlanInput, Recipe};
use in18_system::WholeFile;
use in18_tensor::DType;
use in18_train::{Data, TrainError};

use crate::cli::CompareArgs;
use crate::exit::Usage;
use crate::recipe::Chosen;

/// A recipe, with where its runs lie.
pub struct Variant {
    /// As the command line has it.
    pub name: String,
    /// The folder of its runs.
    pub folder: PathBuf,
    /// Forward arithmetic for an image of 128 px over ResNet-18's.
    pub cost: f64,
    recipe: Recipe,
}

impl Variant {
    /// Reads a recipe and the fields after it, and checks that it fits the images.
    pub fn read(written: &str, arguments: &CompareArgs) -> Result<Self> {
        let mut words = written.split_whitespace();
        let name = words.next().ok_or_else(|| Usage("--recipe: expected a recipe, got an empty text".to_owned()))?;
        let fields: Vec<String> = words.map(str::to_owned).collect();
        let Chosen { recipe, arch, .. } = Chosen::named(name, &fields)?;
        let data = Data::open(&arguments.data, &recipe, &arguments.reading.options())?;
        Plan::resolve(&recipe, &PlanInput::by_train_dir(1, data.train_images()))?;
        let name = std::iter::once(name.to_owned()).chain(fields).collect::<Vec<String>>().join(" ");
        let cost = flops(arch)? / flops(Arch::RESNET18)?;
        Ok(Variant { folder: arguments.logdir.join(folder_name(&name)), name, cost, recipe })
    }

    /// The file of its recipe.
    pub fn toml(&self) -> PathBuf {
        self.folder.join("recipe.toml")
    }

    /// Writes the recipe beside its runs, or checks that it is the one that they had.
    pub fn keep(&self) -> Result<()> {
        let (path, text) = (self.toml(), self.recipe.to_toml());
        match fs::read_to_string(&path) {
            Ok(before) if before == text => return Ok(()),
            Ok(_) => {
                let (name, path) = (&self.name, path.display());
                let remedy = "take another --logdir";
                let says =
                    format!("--recipe {name}: expected the recipe of the runs so far, {path}, got a changed one");
                return Err(Usage(format!("{says}; {remedy}")).into());
            }
            Err(_) => {}
        }
        let written = fs::create_dir_all(&self.folder)
            .and_then(|()| WholeFile::new(&path))
            .and_then(|file| file.write_durably(text.as_bytes()));
        Ok(written.map_err(|cause| TrainError::Write { path, cause })?)
    }
}

/// Refuses a recipe that is given twice, since the runs of two share no folder.
pub fn check_names(variants: &[Variant]) -> Result<()> {
    for (at, variant) in variants.iter().enumerate() {
        if variants[..at].iter().any(|before| before.folder == variant.folder) {
            let name = &variant.name;
            return Err(
                Usage(format!("--recipe: expected different recipes, got `{name}` twice: name each once")).into()
            );
        }
    }
    Ok(())
}

/// Letters, digits and a few signs of a name, which may be a path.
fn folder_name(name: &str) -> String {
    let plain = |letter: char| if letter.is_alphanumeric() || "=.,-_".contains(letter) { letter } else { '_' };
    name.trim_start_matches(['.', '/']).chars().map(plain).collect()
}

/// Floating-point operations of a network's forward half over an image of 128 px.
fn flops(arch: Arch) -> Result<f64> {
    let model = Model::new(Box::new(Reference::default()), arch.network(1000), DType::F32)?;
    Ok(model.flops(Mode::Evaluation, Size { batch: 1, height: 128, width: 128 })? as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_folders() {
        let folder = folder_name("../a b.toml average.ema_half_life=100 phases=[{'ep':0}]");
        assert_eq!(folder, "a_b.toml_average.ema_half_life=100_phases=___ep__0__");
    }

    #[test]
    fn deeper_networks_cost_more() {
        let (small, large) = (flops(Arch::RESNET18).unwrap(), flops(Arch::RESNET50).unwrap());
        // 4.09 and 1.81 Gflop at 224 px (He et al., 2015).
        assert!((large / small - 2.26).abs() < 0.03, "{}", large / small);
    }
}
