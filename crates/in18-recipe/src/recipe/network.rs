//! `[network]`: what is trained, and in which numbers.

use serde::{Deserialize, Serialize};

/// The network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// Its name, such as `resnet50`, the original's. Who builds networks knows which names there
    /// are.
    pub arch: String,
    /// The type of activations.
    pub precision: Precision,
    /// Where pixels are blurred before some of them are dropped.
    pub blurpool: BlurPool,
}

/// Where the network has BlurPool (Zhang, *Making Convolutional Networks Shift-Invariant Again*,
/// 2019): the filter `[1 2 1] ⊗ [1 2 1] / 16` on each channel, with zero padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BlurPool {
    /// Nowhere.
    #[default]
    None,
    /// Before each convolution with a stride and at least 16 input channels, as in FFCV.
    Convolutions,
    /// There, and between max pooling and its stride, as in MosaicML's composer.
    All,
}

/// The type of activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// bf16 or fp16 where the hardware computes it natively, else fp32.
    #[default]
    Auto,
    /// bfloat16, with fp32 master weights, statistics, loss and parameter gradients.
    Bf16,
    /// IEEE's half precision with a scaled loss, and the rest as with bf16. Engine torch only.
    Fp16,
    /// Single precision.
    Fp32,
}

impl Default for Network {
    fn default() -> Self {
        Network { arch: "resnet50".to_owned(), precision: Precision::Auto, blurpool: BlurPool::None }
    }
}
