//! What a schedule was written for beside its phases.

use serde::Serialize;

/// The network and the flags that a schedule's result was reached with, and for how many devices its batches and rates were
/// chosen. What is none, the schedule does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// The network's name, such as `resnet50`.
    pub arch: Option<String>,
    /// Whether the last batch normalisation of each residual block starts at 0.
    pub init_bn0: Option<bool>,
    /// Whether batch normalisation's parameters go without weight decay.
    pub no_bn_wd: Option<bool>,
    /// The number of devices: a global batch is `bs` times this.
    pub devices: Option<usize>,
}
