//! Initial values of parameters and statistics: torchvision's, with the original trainer's
//! `--init-bn0` as an option. Each layer says how its own are distributed
//! ([`Layer::initial`](crate::layers::Layer::initial)).

use in18_random::{Draws, Purpose};

use crate::error::ProgramError;
use crate::layers::Parameter;
use crate::model::Model;
use crate::network::Node;

/// How initial values are distributed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    /// All values are this number.
    Constant(f32),
    /// Normal, with mean 0.
    Normal {
        /// Standard deviation.
        deviation: f64,
    },
    /// Uniform in `±bound`.
    Uniform {
        /// The largest value.
        bound: f64,
    },
}

/// How a network starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Initialization {
    /// Each seed gives other values.
    pub seed: u64,
    /// Whether residual blocks start as the identity: the gamma that ends a block's own path is 0.
    pub zero_gamma: bool,
    /// Whether the classifier's weights are drawn from N(0, 0.01).
    pub normal_head: bool,
    /// Whether the classifier's bias is −ln K for K classes, so that the sigmoid of each class
    /// starts near 1/K (Lin et al., *Focal Loss for Dense Object Detection*, 2017, section 4.1).
    pub prior_bias: bool,
}

impl Initialization {
    /// torchvision's.
    pub const fn torchvision(seed: u64) -> Self {
        Initialization { seed, zero_gamma: false, normal_head: false, prior_bias: false }
    }

    /// The original trainer's `--init-bn0` (Goyal et al., *Accurate, Large Minibatch SGD*, 2017,
    /// section 5.1).
    pub const fn bn0(seed: u64) -> Self {
        Initialization { zero_gamma: true, normal_head: true, ..Self::torchvision(seed) }
    }

    /// Sets all of a model's parameters and statistics; velocities stay as they are (zeros in a new
    /// model).
    pub fn apply(&self, model: &mut Model) -> Result<(), ProgramError> {
        for node in model.network().nodes().to_vec() {
            for parameter in node.layer.parameters().iter().chain(&node.layer.statistics()) {
                model.set(&node.parameter_name(parameter.name), &self.values(&node, parameter))?;
            }
        }
        Ok(())
    }

    /// The initial values of one of a layer's parameters or statistics: a function of the seed and
    /// its name.
    pub fn values(&self, node: &Node, parameter: &Parameter) -> Vec<f32> {
        let elements = parameter.shape.elements();
        let name = node.parameter_name(parameter.name);
        let mut draws = Draws::new(self.seed, Purpose::Initialization, (hash(&name), 0));
        match node.layer.initial(parameter.name, self) {
            Distribution::Constant(value) => vec![value; elements],
            Distribution::Normal { deviation } => normal(&mut draws, deviation, elements),
            Distribution::Uniform { bound } => uniform(&mut draws, bound, elements),
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
    use crate::{Arch, Network, ParameterTable};

    fn values(how: Initialization, network: &Network, name: &str) -> Vec<f32> {
        let (layer, parameter) = name.rsplit_once('.').unwrap();
        let node = network.nodes().iter().find(|node| node.name == layer).unwrap();
        let parameters = node.layer.parameters();
        how.values(node, parameters.iter().find(|known| known.name == parameter).unwrap())
    }

    fn deviation(values: &[f32]) -> f64 {
        (values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
    }

    #[test]
    fn names_hash_apart() {
        for arch in Arch::RESNET152.forms() {
            let table = ParameterTable::parameters(&arch.network(10));
            let hashes: HashSet<u32> = table.entries().iter().map(|entry| hash(&entry.name)).collect();
            assert_eq!(hashes.len(), table.entries().len(), "{arch}");
        }
    }

    #[test]
    fn values_follow_the_recipe() {
        let network = Arch::RESNET50.network(1000);
        let plain = Initialization::torchvision(1);
        let bn0 = Initialization::bn0(1);
        let values = |how, name| values(how, &network, name);

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
        let prior = Initialization { prior_bias: true, ..plain };
        assert!(values(prior, "fc.bias").iter().all(|&x| x == -(1000f32.ln())));
        assert_eq!(values(prior, "fc.weight"), values(plain, "fc.weight"));
        assert!(values(bn0, "layer1.0.bn3.weight").iter().all(|&x| x == 0.0));
        assert!(values(plain, "layer1.0.bn3.weight").iter().all(|&x| x == 1.0));
        for name in ["layer1.0.bn2.weight", "layer1.0.downsample.1.weight", "bn1.weight"] {
            assert!(values(bn0, name).iter().all(|&x| x == 1.0), "{name}");
        }
    }

    #[test]
    fn seeds_differ_and_repeat() {
        let network = Arch::RESNET18.network(10);
        let values = |seed| values(Initialization::torchvision(seed), &network, "conv1.weight");
        assert_eq!(values(0), values(0));
        assert_ne!(values(0), values(1));
    }
}
