//! Initial values of parameters and statistics: torchvision's, with the original trainer's `--init-bn0` as an option.
//!
//! Convolutions: normal with deviation `√(2 / fan_out)`, `fan_out = O·K·K` (He et al., *Delving Deep into
//! Rectifiers*, 2015). Batch normalisation: gamma 1, beta 0, running mean 0, running variance 1. Classifier: as
//! PyTorch's `nn.Linear`, uniform in `±1/√inputs`, weights and bias; with [`Initialization::bn0`], weights
//! N(0, 0.01) instead, and gamma 0 at the end of every residual block (Goyal et al., *Accurate, Large Minibatch
//! SGD*, 2017, section 5.1).

use in18_random::{Draws, Purpose};

use crate::error::ProgramError;
use crate::model::Model;
use crate::table::{Entry, Role};

/// Deviation of the classifier's initial weights with `--init-bn0`.
const LINEAR_DEVIATION: f64 = 0.01;

/// How a network starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Initialization {
    /// Each seed is another network.
    pub seed: u64,
    /// Whether residual blocks start as the identity.
    pub bn0: bool,
}

impl Initialization {
    /// Sets all of a model's parameters and statistics; velocities stay as they are (zeros in a new model).
    pub fn apply(&self, model: &mut Model) -> Result<(), ProgramError> {
        let entries: Vec<Entry> =
            model.parameters().entries().iter().chain(model.statistics().entries()).cloned().collect();
        for entry in entries {
            model.set(&entry.name, &self.values(&entry))?;
        }
        Ok(())
    }

    /// The initial values of one entry: a function of the seed and its name.
    pub fn values(&self, entry: &Entry) -> Vec<f32> {
        let elements = entry.shape.elements();
        let mut draws = Draws::new(self.seed, Purpose::Initialization, (hash(&entry.name), 0));
        match entry.role {
            Role::ConvWeight => {
                let fan_out = entry.shape[0] * entry.shape[2] * entry.shape[3];
                normal(&mut draws, (2.0 / fan_out as f64).sqrt(), elements)
            }
            Role::LinearWeight if self.bn0 => normal(&mut draws, LINEAR_DEVIATION, elements),
            Role::LinearWeight => uniform(&mut draws, 1.0 / (entry.shape[1] as f64).sqrt(), elements),
            Role::LinearBias { inputs } => uniform(&mut draws, 1.0 / (inputs as f64).sqrt(), elements),
            Role::Gamma { ends_residual } => vec![if self.bn0 && ends_residual { 0.0 } else { 1.0 }; elements],
            Role::Beta | Role::RunningMean => vec![0.0; elements],
            Role::RunningVariance => vec![1.0; elements],
        }
    }
}

fn normal(draws: &mut Draws, deviation: f64, elements: usize) -> Vec<f32> {
    let pairs = std::iter::repeat_with(|| draws.normals()).flatten();
    pairs.take(elements).map(|value| (deviation * value) as f32).collect()
}

fn uniform(draws: &mut Draws, bound: f64, elements: usize) -> Vec<f32> {
    std::iter::repeat_with(|| draws.uniform(-bound, bound) as f32).take(elements).collect()
}

/// FNV-1a, 32 bits: distinct for all parameter names of a ResNet, as a test shows.
fn hash(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::{Arch, ParameterTable};

    fn deviation(values: &[f32]) -> f64 {
        (values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
    }

    #[test]
    fn names_hash_apart() {
        let table = ParameterTable::parameters(&Arch::Resnet152.network(10));
        let hashes: HashSet<u32> = table.entries().iter().map(|entry| hash(&entry.name)).collect();
        assert_eq!(hashes.len(), table.entries().len());
    }

    #[test]
    fn values_follow_the_recipe() {
        let table = ParameterTable::parameters(&Arch::Resnet50.network(1000));
        let plain = Initialization { seed: 1, bn0: false };
        let bn0 = Initialization { seed: 1, bn0: true };
        let values = |how: Initialization, name: &str| how.values(table.get(name).unwrap());

        let conv = values(bn0, "layer2.0.conv2.weight");
        let expected = (2.0f64 / (128.0 * 9.0)).sqrt();
        assert!((deviation(&conv) / expected - 1.0).abs() < 0.02);
        assert!((deviation(&values(bn0, "fc.weight")) / 0.01 - 1.0).abs() < 0.01);
        let bound = 1.0 / 2048f64.sqrt();
        for name in ["fc.weight", "fc.bias"] {
            let values = values(plain, name);
            assert!(values.iter().all(|&x| f64::from(x).abs() <= bound));
            assert!((deviation(&values) / (bound / 3f64.sqrt()) - 1.0).abs() < 0.1, "{name}");
        }
        assert!(values(bn0, "layer1.0.bn3.weight").iter().all(|&x| x == 0.0));
        assert!(values(plain, "layer1.0.bn3.weight").iter().all(|&x| x == 1.0));
        for name in ["layer1.0.bn2.weight", "layer1.0.downsample.1.weight", "bn1.weight"] {
            assert!(values(bn0, name).iter().all(|&x| x == 1.0), "{name}");
        }
    }

    #[test]
    fn seeds_differ_and_repeat() {
        let table = ParameterTable::parameters(&Arch::Resnet18.network(10));
        let entry = table.get("conv1.weight").unwrap();
        let values = |seed| Initialization { seed, bn0: false }.values(entry);
        assert_eq!(values(0), values(0));
        assert_ne!(values(0), values(1));
    }
}
