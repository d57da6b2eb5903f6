//! The ResNets of He et al., *Deep Residual Learning for Image Recognition*, 2015, as torchvision
//! builds them: in a bottleneck block the stride is on the 3×3 convolution ("ResNet v1.5").

use in18_kernels::op::Window;

use super::{Arch, BlurPooling};
use crate::layers::{AddRelu, BatchNorm, Conv, GlobalAvgPool, Input, Linear};
use crate::network::{Network, NodeId};

/// All of them, smallest first.
pub(super) const ALL: &[Arch] = &[Arch::RESNET18, Arch::RESNET34, Arch::RESNET50, Arch::RESNET101, Arch::RESNET152];

impl Arch {
    /// 18 layers, basic blocks.
    pub const RESNET18: Arch = Arch::new("resnet18", |blur, classes| build(Block::Basic, [2, 2, 2, 2], blur, classes));

    /// 34 layers, basic blocks.
    pub const RESNET34: Arch = Arch::new("resnet34", |blur, classes| build(Block::Basic, [3, 4, 6, 3], blur, classes));

    /// 50 layers, bottleneck blocks.
    pub const RESNET50: Arch =
        Arch::new("resnet50", |blur, classes| build(Block::Bottleneck, [3, 4, 6, 3], blur, classes));

    /// 101 layers, bottleneck blocks.
    pub const RESNET101: Arch =
        Arch::new("resnet101", |blur, classes| build(Block::Bottleneck, [3, 4, 23, 3], blur, classes));

    /// 152 layers, bottleneck blocks.
    pub const RESNET152: Arch =
        Arch::new("resnet152", |blur, classes| build(Block::Bottleneck, [3, 8, 36, 3], blur, classes));
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

fn build(block: Block, blocks: [usize; 4], blur: BlurPooling, classes: usize) -> Network {
    let mut network = Network::default();
    let input = network.push("input", Input, &[]);
    let stem = Window { kernel: 7, stride: 2, padding: 3 };
    let x = blur.conv(&mut network, "conv1", conv(stem, 3, STEM_CHANNELS), input);
    let x = norm(&mut network, "bn1", STEM_CHANNELS, true, false, x);
    let window = Window { kernel: 3, stride: 2, padding: 1 };
    let mut x = blur.max_pool(&mut network, "maxpool", window, STEM_CHANNELS, x);
    let mut channels = STEM_CHANNELS;
    for (stage, &count) in blocks.iter().enumerate() {
        let width = STEM_CHANNELS << stage;
        for index in 0..count {
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            let name = format!("layer{}.{index}", stage + 1);
            x = residual(&mut network, (block, blur), &name, (channels, width), stride, x);
            channels = width * block.expansion();
        }
    }
    let x = network.push("avgpool", GlobalAvgPool, &[x]);
    network.push("fc", Linear { inputs: channels, outputs: classes }, &[x]);
    network
}

fn residual(
    network: &mut Network,
    (block, blur): (Block, BlurPooling),
    name: &str,
    (channels, width): (usize, usize),
    stride: usize,
    x: NodeId,
) -> NodeId {
    let outputs = width * block.expansion();
    let named = |part: &str| format!("{name}.{part}");
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
        let y = blur.conv(network, &named("downsample.0"), conv(one(stride), channels, outputs), x);
        norm(network, &named("downsample.1"), outputs, false, false, y)
    } else {
        x
    };
    network.push(named("relu"), AddRelu, &[own, shortcut])
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
