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
    /// A safetensors file with torchvision's names to start from instead.
    pub from: Option<String>,
    /// With `from`: start the classifier from random values all the same.
    pub new_head: bool,
}

impl Initial {
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let has_file = self.from.is_some() || !self.new_head;
        ensure(has_file, "initial.new_head", "'from', a network's file, beside it", "none")
    }
}
