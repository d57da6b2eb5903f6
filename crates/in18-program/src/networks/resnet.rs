//! The ResNets of He et al., *Deep Residual Learning for Image Recognition*, 2015, as torchvision
//! builds them: in a bottleneck block the stride is on the 3×3 convolution ("ResNet v1.5"). With the
//! deep stem and pooling shortcuts they are timm's `resnet50d` and so on, and have its parameters'
//! names.

use in18_kernels::op::Window;

use super::options::Options;
use super::{Arch, Shortcut, Stem};
use crate::layers::{AddRelu, AvgPool, BatchNorm, Conv, GlobalAvgPool, Input, Linear};
use crate::network::{Network, NodeId};

/// All of them, smallest first.
pub(super) const ALL: &[Arch] = &[Arch::RESNET18, Arch::RESNET34, Arch::RESNET50, Arch::RESNET101, Arch::RESNET152];

impl Arch {
    /// 18 layers, basic blocks.
    pub const RESNET18: Arch =
        Arch::new("resnet18", |options, classes| build(Block::Basic, [2, 2, 2, 2], options, classes));

    /// 34 layers, basic blocks.
    pub const RESNET34: Arch =
        Arch::new("resnet34", |options, classes| build(Block::Basic, [3, 4, 6, 3], options, classes));

    /// 50 layers, bottleneck blocks.
    pub const RESNET50: Arch =
        Arch::new("resnet50", |options, classes| build(Block::Bottleneck, [3, 4, 6, 3], options, classes));

    /// 101 layers, bottleneck blocks.
    pub const RESNET101: Arch =
        Arch::new("resnet101", |options, classes| build(Block::Bottleneck, [3, 4, 23, 3], options, classes));

    /// 152 layers, bottleneck blocks.
    pub const RESNET152: Arch =
        Arch::new("resnet152", |options, classes| build(Block::Bottleneck, [3, 8, 36, 3], options, classes));
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    Basic,
    Bottleneck,
}

impl Block {
    /// Output channels over the block's width.
    fn expansion(self) -> usize {
        match self {
            Block::Basic => 1,
            Block::Bottleneck => 4,
        }
    }
}

/// Channels after the stem, and the width of the first stage.
const STEM_CHANNELS: usize = 64;

fn build(block: Block, blocks: [usize; 4], options: Options, classes: usize) -> Network {
    let mut network = Network::default();
    let input = network.push("input", Input, &[]);
    let x = match options.stem {
        Stem::Original => {
            let window = Window { kernel: 7, stride: 2, padding: 3 };
            options.blur_pool.conv(&mut network, "conv1", conv(window, 3, STEM_CHANNELS), input)
        }
        Stem::Deep => deep_stem(&mut network, options, input),
    };
    let x = norm(&mut network, "bn1", STEM_CHANNELS, true, false, x);
    let window = Window { kernel: 3, stride: 2, padding: 1 };
    let mut x = options.blur_pool.max_pool(&mut network, "maxpool", window, STEM_CHANNELS, x);
    let mut channels = STEM_CHANNELS;
    for (stage, &count) in blocks.iter().enumerate() {
        let width = STEM_CHANNELS << stage;
        for index in 0..count {
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            let name = format!("layer{}.{index}", stage + 1);
            x = residual(&mut network, (block, options), &name, (channels, width), stride, x);
            channels = width * block.expansion();
        }
    }
    let x = network.push("avgpool", GlobalAvgPool, &[x]);
    network.push("fc", Linear { inputs: channels, outputs: classes }, &[x]);
    network
}

/// The convolutions of the deep stem, with the normalisations between them. Its parts have timm's
/// numbers, which count the ReLUs, too.
fn deep_stem(network: &mut Network, options: Options, input: NodeId) -> NodeId {
    let half = STEM_CHANNELS / 2;
    let x = options.blur_pool.conv(network, "conv1.0", conv(three(2), 3, half), input);
    let x = norm(network, "conv1.1", half, true, false, x);
    let x = options.blur_pool.conv(network, "conv1.3", conv(three(1), half, half), x);
    let x = norm(network, "conv1.4", half, true, false, x);
    options.blur_pool.conv(network, "conv1.6", conv(three(1), half, STEM_CHANNELS), x)
}

fn residual(
    network: &mut Network,
    (block, options): (Block, Options),
    name: &str,
    (channels, width): (usize, usize),
    stride: usize,
    x: NodeId,
) -> NodeId {
    let outputs = width * block.expansion();
    let named = |part: &str| format!("{name}.{part}");
    let blur = options.blur_pool;
    let own = match block {
        Block::Basic => {
            let y = blur.conv(network, &named("conv1"), conv(three(stride), channels, width), x);
            let y = norm(network, &named("bn1"), width, true, false, y);
            let y = blur.conv(network, &named("conv2"), conv(three(1), width, width), y);
            norm(network, &named("bn2"), width, false, true, y)
        }
        Block::Bottleneck => {
            let y = blur.conv(network, &named("conv1"), conv(one(1), channels, width), x);
            let y = norm(network, &named("bn1"), width, true, false, y);
            let y = blur.conv(network, &named("conv2"), conv(three(stride), width, width), y);
            let y = norm(network, &named("bn2"), width, true, false, y);
            let y = blur.conv(network, &named("conv3"), conv(one(1), width, outputs), y);
            norm(network, &named("bn3"), outputs, false, true, y)
        }
    };
    let shortcut = if stride != 1 || channels != outputs {
        shortcut(network, options, &named("downsample"), (channels, outputs), stride, x)
    } else {
        x
    };
    network.push(named("relu"), AddRelu, &[own, shortcut])
}

/// A shortcut that changes the image's size or its channels. timm's numbers count the pooling, and
/// what stands in its place where nothing is pooled.
fn shortcut(
    network: &mut Network,
    options: Options,
    name: &str,
    (channels, outputs): (usize, usize),
    stride: usize,
    x: NodeId,
) -> NodeId {
    match options.shortcut {
        Shortcut::Conv => {
            let conv = conv(one(stride), channels, outputs);
            let y = options.blur_pool.conv(network, &format!("{name}.0"), conv, x);
            norm(network, &format!("{name}.1"), outputs, false, false, y)
        }
        Shortcut::Pool => {
            // The mean of all pixels is a low-pass filter already, so BlurPool has no place here.
            let x = if stride == 1 { x } else { network.push(format!("{name}.0"), AvgPool, &[x]) };
            let y = network.push(format!("{name}.1"), conv(one(1), channels, outputs), &[x]);
            norm(network, &format!("{name}.2"), outputs, false, false, y)
        }
    }
}

fn one(stride: usize) -> Window {
    Window { kernel: 1, stride, padding: 0 }
}

fn three(stride: usize) -> Window {
    Window { kernel: 3, stride, padding: 1 }
}

fn conv(window: Window, inputs: usize, outputs: usize) -> Conv {
    Conv { window, inputs, outputs }
}

fn norm(network: &mut Network, name: &str, channels: usize, relu: bool, ends_residual: bool, x: NodeId) -> NodeId {
    network.push(name, BatchNorm { relu, ends_residual, ..BatchNorm::new(channels) }, &[x])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ParameterTable;

    fn layers(arch: Arch, prefix: &str) -> Vec<String> {
        let network = arch.network(10);
        network.nodes().iter().map(|node| node.name.clone()).filter(|name| name.starts_with(prefix)).collect()
    }

    #[test]
    fn the_deep_stem_has_timms_names() {
        let arch = Arch::RESNET50.with_stem(Stem::Deep);
        assert_eq!(layers(arch, "conv1"), ["conv1.0", "conv1.1", "conv1.3", "conv1.4", "conv1.6"]);
        assert_eq!(layers(arch, "layer2.0.downsample"), ["layer2.0.downsample.0", "layer2.0.downsample.1"]);
        let table = ParameterTable::parameters(&arch.network(10));
        let shape = |name: &str| table.entries().iter().find(|entry| entry.name == name).unwrap().shape;
        assert_eq!(shape("conv1.0.weight").extents(), [32, 3, 3, 3]);
        assert_eq!(shape("conv1.3.weight").extents(), [32, 32, 3, 3]);
        assert_eq!(shape("conv1.6.weight").extents(), [64, 32, 3, 3]);
    }

    #[test]
    fn shortcuts_pool_where_a_block_has_a_stride() {
        let arch = Arch::RESNET50.with_shortcut(Shortcut::Pool);
        assert_eq!(layers(arch, "conv1"), ["conv1"]);
        assert_eq!(layers(arch, "layer1.0.downsample"), ["layer1.0.downsample.1", "layer1.0.downsample.2"]);
        for stage in 2..=4 {
            let expected = [0, 1, 2].map(|part| format!("layer{stage}.0.downsample.{part}"));
            assert_eq!(layers(arch, &format!("layer{stage}.0.downsample")), expected);
        }
        assert!(layers(Arch::RESNET18.as_d(), "layer1.0.downsample").is_empty());
    }
}
