//! `[network]`: what is trained, and in which numbers.

use serde::{Deserialize, Serialize};

/// The network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// Its name, such as `resnet50`, the original's, or `resnet50d`, timm's. Who builds networks
    /// knows which names there are.
    pub arch: String,
    /// The type of activations.
    pub precision: Precision,
    /// The layers before max pooling.
    pub stem: Stem,
    /// How shortcuts drop pixels.
    pub shortcut: Shortcut,
    /// Where pixels are blurred before some of them are dropped.
    pub blurpool: BlurPool,
}

/// The layers before max pooling. The name of the network may say them, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stem {
    /// As the name of the network says: `resnet50d` has the deep stem, `resnet50` the original one.
    #[default]
    Auto,
    /// A 7×7 convolution with a stride of 2.
    Original,
    /// Three 3×3 convolutions, the first with a stride of 2 (He et al., *Bag of Tricks for Image
    /// Classification*, 2018).
    Deep,
}

/// How a shortcut drops pixels where its block has a stride. The name of the network may say it,
/// too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shortcut {
    /// As the name of the network says: `resnet50d` pools, `resnet50` does not.
    #[default]
    Auto,
    /// By the stride of its 1×1 convolution.
    Conv,
    /// By average pooling before a 1×1 convolution without a stride, as in ResNet-D.
    Pool,
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
        Network {
            arch: "resnet50".to_owned(),
            precision: Precision::Auto,
            stem: Stem::Auto,
            shortcut: Shortcut::Auto,
            blurpool: BlurPool::None,
        }
    }
}
