//! Fused operations on the reference provider: each gives what its parts give.

use in18_kernels::conformance::{Bench, Case, Kind, Outcome, Stepping, Tolerance};
use in18_kernels::op::{
    AddRelu, BatchNorm, BatchNormAddRelu, BatchNormInference, Conv, ConvNorm, ConvNormAddRelu, Window,
};
use in18_kernels::reference::Reference;
use in18_tensor::{DType, Shape};

/// Results are compared here, not by the bench.
const ANY: Tolerance = Tolerance::EXACT;

#[test]
fn a_folded_normalisation_equals_its_parts() {
    let (window, epsilon) = (Window { kernel: 3, stride: 1, padding: 1 }, 0.5);
    let (src_shape, dst_shape) = (Shape::nchw(2, 3, 5, 4), Shape::nchw(2, 4, 5, 4));
    let (weight_shape, channels) = (Shape::new(&[4, 3, 3, 3]), Shape::new(&[4]));
    let mut case = Case::new("folded");
    let src = case.input("src", Kind::Activation, src_shape, irregular(120, 0.125));
    let addend = irregular(160, 0.25);
    let weight = case.input("weight", Kind::Parameter, weight_shape, irregular(108, 0.0625));
    let gamma = case.input("gamma", Kind::Parameter, channels, vec![0.5, -1.5, 2.0, 1.0]);
    let beta = case.input("beta", Kind::Parameter, channels, vec![0.25, 1.0, -3.0, 0.0]);
    let running_mean = case.input("running_mean", Kind::Parameter, channels, vec![0.5, -0.5, 2.0, 0.0]);
    let running_variance = case.input("running_variance", Kind::Parameter, channels, vec![0.5, 1.75, 3.5, 8.5]);

    let sums = case.output("sums", Kind::Activation, dst_shape, ANY);
    case.push(Conv { window, src, weight, dst: sums });
    for relu in [false, true] {
        let mut case = case.clone();
        let normal = case.output("normal", Kind::Activation, dst_shape, ANY);
        let norm =
            BatchNormInference { epsilon, relu, src: sums, gamma, beta, running_mean, running_variance, dst: normal };
        case.push(norm);
        let dst = case.output("dst", Kind::Activation, dst_shape, ANY);
        case.push(ConvNorm { window, epsilon, relu, src, weight, gamma, beta, running_mean, running_variance, dst });
        let other = case.input("addend", Kind::Activation, dst_shape, addend.clone());
        let sum = case.output("sum", Kind::Activation, dst_shape, ANY);
        case.push(AddRelu { a: normal, b: other, dst: sum });
        let in_place = case.updated("in place", Kind::Activation, dst_shape, addend.clone(), ANY);
        case.push(ConvNormAddRelu {
            window,
            epsilon,
            src,
            weight,
            gamma,
            beta,
            running_mean,
            running_variance,
            dst: in_place,
        });
        let outcome = run(&case);
        assert_close("ConvNorm", outcome.get(dst), outcome.get(normal));
        if !relu {
            assert_close("ConvNormAddRelu", outcome.get(in_place), outcome.get(sum));
        }
    }
}

#[test]
fn a_residual_end_equals_its_parts() {
    let (shape, channels) = (Shape::nchw(2, 3, 2, 3), Shape::new(&[3]));
    let (epsilon, momentum) = (0.25, 0.1);
    let mut case = Case::new("residual end");
    let src = case.input("src", Kind::Activation, shape, irregular(36, 0.25));
    let addend = case.input("addend", Kind::Activation, shape, irregular(36, 0.125));
    let gamma = case.input("gamma", Kind::Parameter, channels, vec![0.5, -1.5, 2.0]);
    let beta = case.input("beta", Kind::Parameter, channels, vec![0.25, 1.0, -1.0]);
    // Each of the two operations has statistics of its own to update: mean, inverse deviation,
    // running mean, running variance.
    let mut statistics = || {
        let running_mean = case.updated("running_mean", Kind::Parameter, channels, vec![0.5; 3], ANY);
        let running_variance = case.updated("running_variance", Kind::Parameter, channels, vec![2.0; 3], ANY);
        let mean = case.output("mean", Kind::Parameter, channels, ANY);
        [mean, case.output("inverse_deviation", Kind::Parameter, channels, ANY), running_mean, running_variance]
    };
    let (apart, together) = (statistics(), statistics());
    let normal = case.output("normal", Kind::Activation, shape, ANY);
    let sum = case.output("sum", Kind::Activation, shape, ANY);
    let dst = case.output("dst", Kind::Activation, shape, ANY);
    let [mean, inverse_deviation, running_mean, running_variance] = apart;
    case.push(BatchNorm {
        epsilon,
        momentum,
        relu: false,
        src,
        gamma,
        beta,
        running_mean,
        running_variance,
        dst: normal,
        mean,
        inverse_deviation,
    });
    case.push(AddRelu { a: normal, b: addend, dst: sum });
    let [mean, inverse_deviation, running_mean, running_variance] = together;
    case.push(BatchNormAddRelu {
        epsilon,
        momentum,
        src,
        addend,
        gamma,
        beta,
        running_mean,
        running_variance,
        dst,
        mean,
        inverse_deviation,
    });
    let outcome = run(&case);
    assert_close("dst", outcome.get(dst), outcome.get(sum));
    for (apart, together) in apart.into_iter().zip(together) {
        assert_eq!(outcome.get(apart), outcome.get(together));
    }
}

/// Values that look random and are exact in few bits.
fn irregular(count: usize, scale: f32) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + 13) % 41) as f32 * scale - 20.0 * scale).collect()
}

fn run(case: &Case) -> Outcome {
    let mut reference = Reference::new();
    let outcome = Bench::new(&mut reference, DType::F32).unwrap().run(case, Stepping::Whole).unwrap();
    assert!(outcome.damage.is_empty(), "{}: {:?}", case.name(), outcome.damage);
    outcome
}

/// To the last bits of fp32.
fn assert_close(name: &str, got: &[f32], expected: &[f32]) {
    let is_close = |(got, expected): (&f32, &f32)| (got - expected).abs() <= 1e-6 * expected.abs().max(0.1);
    assert_eq!(got.len(), expected.len(), "{name}");
    assert!(got.iter().zip(expected).all(is_close), "{name}: expected {expected:?}, got {got:?}");
}
