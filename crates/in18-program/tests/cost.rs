//! The arithmetic of whole programs against published figures.

use in18_kernels::reference::Reference;
use in18_program::{Arch, Mode, Model, Size};
use in18_tensor::DType;

fn flops(arch: Arch, mode: Mode, side: usize) -> u64 {
    let mut model = Model::new(Box::new(Reference::new()), arch.network(1000), DType::F32).unwrap();
    let size = Size { batch: 1, height: side, width: side };
    model.prepare(mode, size).unwrap();
    model.operations(mode, size).unwrap().iter().map(|op| op.flops()).sum()
}

/// torchvision's documentation gives these numbers of multiply-adds, in 10⁹, for 224 px ("GFLOPS"
/// of each `ResNet*_Weights`).
#[test]
fn multiply_adds_are_the_published_ones() {
    for (arch, published) in
        [(Arch::RESNET18, 1.81), (Arch::RESNET34, 3.66), (Arch::RESNET50, 4.09), (Arch::RESNET101, 7.80)]
    {
        let pairs = flops(arch, Mode::Evaluation, 224) as f64 / 2e9;
        assert!((pairs - published).abs() < 0.006, "{arch}: {pairs} against {published}");
    }
}

/// The multiply-adds of timm 1.0.31's networks, in 10⁹, for 224 px, counted over its convolutions
/// and its classifier.
#[test]
fn multiply_adds_of_resnet_d_are_timms() {
    for (arch, counted) in [(Arch::RESNET18, 2.053_713_92), (Arch::RESNET50, 4.328_824_832)] {
        let pairs = flops(arch.as_d(), Mode::Evaluation, 224) as f64 / 2e9;
        assert!((pairs - counted).abs() < 1e-9, "{arch}: {pairs} against {counted}");
    }
}

/// The backward half costs twice the forward half, except for the first convolution: its input
/// needs no gradient.
#[test]
fn training_costs_three_forward_passes_less_one_gradient() {
    let (forward, training) = (flops(Arch::RESNET50, Mode::Evaluation, 64), flops(Arch::RESNET50, Mode::Training, 64));
    let stem = 2 * 64 * 32 * 32 * 3 * 49;
    assert_eq!(training, 3 * forward - stem);
}
