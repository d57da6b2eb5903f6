//! Operands that do not fit are refused, in one line.

use in18_kernels::op::{Add, AvgPool, BlurPool, Conv, MaxPool, SGD_SCALARS, Sgd, Window};
use in18_kernels::reference::Reference;
use in18_kernels::{KernelError, Kernels, Op};
use in18_tensor::{DType, Format, Region, Shape, Tensor};

use super::{POINT, SQUARE};

#[test]
fn operands_that_do_not_fit_are_refused() {
    let mut reference = Reference::new();
    let arena = reference.allocate(4096).unwrap();
    let activation = |shape: Shape, dtype: DType| {
        let region = Region { arena, offset: 0, bytes: 1024 };
        Tensor { region, shape, dtype, format: Format::Activation }
    };
    let a = activation(Shape::nchw(1, 2, 3, 4), DType::F32);
    let weight = Tensor { format: Format::Plain, ..activation(Shape::new(&[2, 2, 3, 3]), DType::F32) };
    let small = Region { bytes: 95, ..a.region };
    let window = SQUARE;
    struct Misfit {
        name: &'static str,
        op: Op,
        message: &'static str,
    }
    let cases = [
        Misfit {
            name: "another shape",
            op: Add { a, b: activation(Shape::nchw(1, 2, 4, 3), DType::F32), dst: a }.into(),
            message: "Add: b must be 1x2x3x4 fp32 Activation, got 1x2x4x3 fp32 Activation",
        },
        Misfit {
            name: "another type",
            op: Add { a, b: activation(Shape::nchw(1, 2, 3, 4), DType::Bf16), dst: a }.into(),
            message: "Add: b must be 1x2x3x4 fp32 Activation, got 1x2x3x4 bf16 Activation",
        },
        Misfit {
            name: "no image",
            op: Add { a: activation(Shape::new(&[4]), DType::F32), b: a, dst: a }.into(),
            message: "Add: a must be (N, C, H, W), got 4",
        },
        Misfit {
            name: "an empty batch",
            op: Add { a: activation(Shape::nchw(0, 2, 3, 4), DType::F32), b: a, dst: a }.into(),
            message: "Add: a must be without an empty extent, got 0x2x3x4",
        },
        Misfit {
            name: "weights of another kernel",
            op: Conv { window: POINT, src: a, weight, dst: a }.into(),
            message: "Conv: weight must be 2x2x1x1 fp32 Plain, got 2x2x3x3 fp32 Plain",
        },
        Misfit {
            name: "a result of another size",
            op: Conv { window, src: a, weight, dst: activation(Shape::nchw(1, 2, 2, 2), DType::F32) }.into(),
            message: "Conv: dst must be 1x2x3x4 fp32 Activation, got 1x2x2x2 fp32 Activation",
        },
        Misfit {
            name: "a workspace that is too small",
            op: MaxPool { window, src: a, dst: a, workspace: Tensor { region: small, ..a } }.into(),
            message: "MaxPool: workspace must be at least 96 bytes long, got 95 bytes",
        },
        Misfit {
            name: "a window that stands still",
            op: Conv { window: Window { stride: 0, ..window }, src: a, weight, dst: a }.into(),
            message: "Conv: window must be of a positive stride and a padding below its side, \
                      got Window { kernel: 3, stride: 0, padding: 1 }",
        },
        Misfit {
            name: "a blur that leaves out too much",
            op: BlurPool { stride: 3, src: a, dst: a }.into(),
            message: "BlurPool: stride must be from 1 to 2, got 3",
        },
        Misfit {
            name: "an average pooling that keeps too much",
            op: AvgPool { src: a, dst: a }.into(),
            message: "AvgPool: dst must be 1x2x2x2 fp32 Activation, got 1x2x3x4 fp32 Activation",
        },
        Misfit {
            name: "a blur of another size",
            op: BlurPool { stride: 2, src: a, dst: a }.into(),
            message: "BlurPool: dst must be 1x2x2x2 fp32 Activation, got 1x2x3x4 fp32 Activation",
        },
    ];
    let row = |offset, length| Tensor {
        region: Region { arena, offset, bytes: 4 * length },
        ..Tensor { format: Format::Plain, ..activation(Shape::new(&[length]), DType::F32) }
    };
    let sgd = Sgd {
        weight_decay: 0.0,
        decoupled: false,
        nesterov: false,
        scalars: row(0, SGD_SCALARS),
        gradient: row(64, 8),
        parameter: row(128, 8),
        velocity: row(192, 8),
    };
    let cases = cases.into_iter().chain([
        Misfit {
            name: "a velocity of another length",
            op: Sgd { velocity: row(192, 7), ..sgd }.into(),
            message: "Sgd: velocity must be 8 fp32 Plain, got 7 fp32 Plain",
        },
        Misfit {
            name: "an update over its own gradient",
            op: Sgd { gradient: row(132, 8), ..sgd }.into(),
            message: "Sgd: gradient must be apart from parameter, got a region that overlaps it",
        },
    ]);
    for misfit in cases {
        let error = reference.compile(&[misfit.op]).expect_err(misfit.name);
        assert_eq!(error.to_string(), misfit.message, "{}", misfit.name);
    }

    // Whether a region fits its arena is known only once arenas have their sizes.
    let outside = Tensor { region: Region { offset: 4095, ..a.region }, ..a };
    let program = reference.compile(&[Add { a: outside, b: a, dst: a }.into()]).unwrap();
    assert!(matches!(reference.run(program, 0..1), Err(KernelError::OutOfBounds { size: 4096, .. })));
}
