//! `[initial]`: the values that training starts from.

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, ensure};

/// Initial values. By default torchvision's: Kaiming normal convolutions, normalisations of gamma 1
/// and beta 0, a uniform classifier.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Initial {
    /// The original's `--init-bn0`: the last batch normalisation of each residual block starts with
    /// gamma 0, so that the block starts as the identity, and the classifier's weights are drawn
    /// from N(0, 0.01) (Goyal et al., *Accurate, Large Minibatch SGD*, 2017, section 5.1).
    pub bn0: bool,
    /// Of `bn0` only the blocks that start as the identity.
    pub zero_gamma: bool,
    /// How the classifier's weights start.
    pub head: Head,
    /// How the classifier's bias starts.
    pub bias: Bias,
    /// A safetensors file with torchvision's names to start from instead.
    pub from: Option<String>,
    /// With `from`: start the classifier from random values all the same.
    pub new_head: bool,
}

/// How the classifier's weights start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Head {
    /// PyTorch's: uniform in ±1/√inputs.
    #[default]
    Uniform,
    /// N(0, 0.01), which `bn0` has, too.
    Normal,
}

/// How the classifier's bias starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bias {
    /// PyTorch's: uniform in ±1/√inputs.
    #[default]
    Uniform,
    /// −ln K for K classes, so that binary cross entropy starts with each class at 1/K.
    Prior,
}

impl Initial {
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let has_file = self.from.is_some() || !self.new_head;
        ensure(has_file, "initial.new_head", "'from', a network's file, beside it", "none")
    }
}
