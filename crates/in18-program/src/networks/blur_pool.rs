//! Where networks have BlurPool.

use std::fmt;
use std::str::FromStr;

use in18_kernels::op::Window;

use crate::layers::{BlurPool, Conv, MaxPool};
use crate::network::{Network, NodeId};

/// Convolutions of fewer input channels are not blurred: what they see are the image's pixels.
const FEWEST_CHANNELS: usize = 16;

/// Where a network has BlurPool (Zhang, *Making Convolutional Networks Shift-Invariant Again*,
/// 2019; places as in MosaicML's composer with `blur_first`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub enum BlurPooling {
    /// Nowhere.
    #[default]
    None,
    /// Before each convolution with a stride and at least 16 input channels, as in FFCV.
    Convolutions,
    /// There, and in max pooling, whose stride BlurPool then has, as in composer.
    All,
}

/// The names of all places.
const NAMES: [(&str, BlurPooling); 3] =
    [("none", BlurPooling::None), ("convolutions", BlurPooling::Convolutions), ("all", BlurPooling::All)];

impl BlurPooling {
    /// Appends a convolution, blurred before if it drops pixels.
    pub(super) fn conv(self, network: &mut Network, name: &str, conv: Conv, x: NodeId) -> NodeId {
        let Conv { window, inputs: channels, .. } = conv;
        if self == BlurPooling::None || window.stride == 1 || channels < FEWEST_CHANNELS {
            return network.push(name, conv, &[x]);
        }
        // A convolution of single pixels may as well see only those that it keeps.
        let (blurred, stride) = if window.kernel == 1 { (window.stride, 1) } else { (1, window.stride) };
        let x = network.push(format!("{name}.blur"), BlurPool { channels, stride: blurred }, &[x]);
        network.push(name, Conv { window: Window { stride, ..window }, ..conv }, &[x])
    }

    /// Appends a max pooling of this many channels, blurred if it drops pixels.
    pub(super) fn max_pool(
        self,
        network: &mut Network,
        name: &str,
        window: Window,
        channels: usize,
        x: NodeId,
    ) -> NodeId {
        if self != BlurPooling::All || window.stride == 1 {
            return network.push(name, MaxPool { window }, &[x]);
        }
        let x = network.push(name, MaxPool { window: Window { stride: 1, ..window } }, &[x]);
        network.push(format!("{name}.blur"), BlurPool { channels, stride: window.stride }, &[x])
    }
}

impl fmt::Display for BlurPooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAMES.iter().find(|(_, places)| places == self).map_or("", |(name, _)| name))
    }
}

impl FromStr for BlurPooling {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = NAMES.iter().find(|(name, _)| *name == text);
        named.map(|&(_, places)| places).ok_or_else(|| format!("expected none, convolutions or all; got `{text}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Arch, ParameterTable};

    /// (name, stride) of each BlurPool, and of each convolution or max pooling with a stride.
    fn strided(arch: Arch) -> (Vec<(String, usize)>, Vec<String>) {
        let (mut blurs, mut others) = (Vec::new(), Vec::new());
        for node in arch.network(10).nodes() {
            if let Some(blur) = node.downcast::<BlurPool>() {
                blurs.push((node.name.clone(), blur.stride));
            }
            let conv = node.downcast().map(|conv: &Conv| conv.window);
            let window = conv.or(node.downcast().map(|pool: &MaxPool| pool.window));
            if window.is_some_and(|window| window.stride > 1) {
                others.push(node.name.clone());
            }
        }
        (blurs, others)
    }

    #[test]
    fn blurs_come_before_what_drops_pixels() {
        for (arch, conv) in [(Arch::RESNET18, "conv1"), (Arch::RESNET50, "conv2")] {
            assert!(strided(arch).0.is_empty());
            let stages = 2..=4;
            let convs: Vec<String> = stages.clone().map(|stage| format!("layer{stage}.0.{conv}")).collect();
            let expected: Vec<(String, usize)> = stages
                .flat_map(|stage| {
                    [(format!("layer{stage}.0.{conv}.blur"), 1), (format!("layer{stage}.0.downsample.0.blur"), 2)]
                })
                .collect();
            let (blurs, others) = strided(arch.with_blur_pool(BlurPooling::Convolutions));
            assert_eq!(blurs, expected);
            assert_eq!(others, [&["conv1".to_owned(), "maxpool".to_owned()], &convs[..]].concat());
            let (blurs, others) = strided(arch.with_blur_pool(BlurPooling::All));
            assert_eq!(blurs, [&[("maxpool.blur".to_owned(), 2)], &expected[..]].concat());
            assert_eq!(others, [&["conv1".to_owned()], &convs[..]].concat());
        }
    }

    /// In ResNet-D, the deep stem's first convolution sees the image's pixels, and average pooling
    /// stands where BlurPool would blur before a shortcut.
    #[test]
    fn resnet_d_has_no_blur_in_stem_and_shortcuts() {
        let (blurs, others) = strided(Arch::RESNET50.as_d().with_blur_pool(BlurPooling::All));
        let convs = [2, 3, 4].map(|stage| format!("layer{stage}.0.conv2"));
        let expected: Vec<(String, usize)> = convs.iter().map(|conv| (format!("{conv}.blur"), 1)).collect();
        assert_eq!(blurs, [&[("maxpool.blur".to_owned(), 2)], &expected[..]].concat());
        assert_eq!(others, [&["conv1.0".to_owned()], &convs[..]].concat());
    }

    #[test]
    fn parameters_are_the_same_with_and_without() {
        for arch in Arch::all().flat_map(Arch::forms) {
            let entries = |arch: Arch| ParameterTable::parameters(&arch.network(10)).entries().to_vec();
            assert_eq!(entries(arch), entries(arch.with_blur_pool(BlurPooling::All)), "{arch}");
        }
    }
}
