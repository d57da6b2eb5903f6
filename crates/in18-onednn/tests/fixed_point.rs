//! Convolutions of evaluations in fixed point, on inputs that would make sums overflow, scales
//! vanish, or errors hide.

use in18_kernels::conformance::inputs::Inputs;
use in18_kernels::conformance::{Bench, Case, Kind, Precision, Rounding, Stepping, ValueId, check_case};
use in18_kernels::op::{ConvNorm, Window};
use in18_kernels::reference::Reference;
use in18_onednn::OneDnn;
use in18_tensor::{DType, Shape, rounded};
use in18_testkit::skip::{Lack, impossible};

const CHANNELS: usize = 512;
const OUTPUTS: usize = 32;
const SIDE: usize = 16;
const IMAGES: usize = 2;
const PIXELS: usize = SIDE * SIDE;

fn src_shape() -> Shape {
    Shape::nchw(IMAGES, CHANNELS, SIDE, SIDE)
}

/// A 3×3 convolution whose normalisation changes nothing, and its result.
fn convolution(name: &str, src: impl Fn(usize) -> f32, weight: impl Fn(usize) -> f32) -> (Case, ValueId) {
    let (weight_shape, channels) = (Shape::new(&[OUTPUTS, CHANNELS, 3, 3]), Shape::new(&[OUTPUTS]));
    let precision = Precision { dtype: DType::Bf16, rounding: Rounding::OnceFromFixedPoint };
    let mut case = Case::new(name);
    let src_values = (0..src_shape().elements()).map(|i| rounded(DType::Bf16, src(i))).collect();
    let src = case.input("src", Kind::Activation, src_shape(), src_values);
    let weight =
        case.input("weight", Kind::Parameter, weight_shape, (0..weight_shape.elements()).map(weight).collect());
    let mut constant = |name, value| case.input(name, Kind::Parameter, channels, vec![value; OUTPUTS]);
    let (gamma, beta) = (constant("gamma", 1.0), constant("beta", 0.0));
    let (running_mean, running_variance) = (constant("running_mean", 0.0), constant("running_variance", 1.0));
    let dst = case.output("dst", Kind::Activation, Shape::nchw(IMAGES, OUTPUTS, SIDE, SIDE), precision.evaluation());
    let window = Window { kernel: 3, stride: 1, padding: 1 };
    let (epsilon, relu) = (0.0, false);
    case.push(ConvNorm { window, epsilon, relu, src, weight, gamma, beta, running_mean, running_variance, dst });
    (case, dst)
}

/// Random numbers by index.
fn random(name: &str, count: usize) -> Vec<f32> {
    Inputs::new(name, DType::Bf16).plain(count, 0.0, 1.0)
}

/// The provider, if it computes in bf16 here.
fn onednn() -> Option<OneDnn> {
    use in18_kernels::Kernels;
    let provider = OneDnn::new(None).expect("oneDNN starts");
    if !provider.supports(DType::Bf16) {
        impossible(Lack::Bf16);
        return None;
    }
    Some(provider)
}

#[test]
fn sums_of_any_inputs_agree_with_the_reference() {
    let Some(mut provider) = onednn() else { return };
    let mut reference = Reference::new();
    let mut expected = Bench::new(&mut reference, DType::Bf16).unwrap();
    let mut got = Bench::new(&mut provider, DType::Bf16).unwrap();
    let (noise, kernels) = (random("src", src_shape().elements()), random("weight", OUTPUTS * CHANNELS * 9));
    let channel = |i: usize| i / PIXELS % CHANNELS;
    let cases = [
        // Inputs and kernels have the same direction, which gives the largest sums that their norms
        // allow.
        convolution("equal", |_| 3.0, |_| 0.01),
        convolution("opposed", |i| 3.0 + 0.5 * noise[channel(i)].signum(), |_| -0.01),
        convolution("aligned noise", |i| noise[channel(i)].abs(), |i| noise[i / 9 % CHANNELS].abs()),
        // One channel has nearly all of the norm, which gives the largest numbers.
        convolution("one channel", |i| if channel(i) == 5 { 1e3 * noise[i] } else { 1e-3 * noise[i] }, |i| kernels[i]),
        convolution("one kernel", |i| noise[i], |i| if i / 9 % CHANNELS == 7 { 30.0 * kernels[i] } else { kernels[i] }),
        convolution("zeros", |_| 0.0, |i| kernels[i]),
        convolution("no kernels", |i| noise[i], |_| 0.0),
        convolution(
            "half of the image zeros",
            |i| if i % PIXELS < PIXELS / 2 { 0.0 } else { noise[i] },
            |i| kernels[i],
        ),
        convolution("small", |i| 1e-12 * noise[i], |i| 1e-6 * kernels[i]),
        convolution("large", |i| 1e12 * noise[i], |i| 1e6 * kernels[i]),
    ];
    for (case, _) in &cases {
        let failures = check_case(&mut expected, &mut got, case);
        assert!(failures.is_empty(), "{}", failures[0]);
    }
}

/// NaN and infinities show in the results around them, and nowhere else.
#[test]
fn numbers_that_are_none_show() {
    let Some(mut provider) = onednn() else { return };
    let mut bench = Bench::new(&mut provider, DType::Bf16).unwrap();
    let (noise, kernels) = (random("src", src_shape().elements()), random("weight", OUTPUTS * CHANNELS * 9));
    // Channel 20 of the first image, at pixel (9, 9). This pixel and its neighbours lie in a single
    // tile.
    let place = 20 * PIXELS + 9 * SIDE + 9;
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let (case, dst) = convolution("not finite", |i| if i == place { bad } else { noise[i] }, |i| kernels[i]);
        let outcome = bench.run(&case, Stepping::Whole).unwrap();
        for (i, &value) in outcome.get(dst).iter().enumerate() {
            let (image, y, x) = (i / (OUTPUTS * PIXELS), i % PIXELS / SIDE, i % SIDE);
            let touches = image == 0 && (8..=10).contains(&y) && (8..=10).contains(&x);
            let is_far = image != 0 || !(8..12).contains(&y) || !(8..12).contains(&x);
            assert!(!touches || !value.is_finite(), "{bad} is lost at {y}, {x}");
            assert!(!is_far || value.is_finite(), "{bad} shows at {y}, {x}");
        }
    }
    let (case, dst) =
        convolution("no number", |i| noise[i], |i| if i == 3 * 9 * CHANNELS { f32::NAN } else { kernels[i] });
    let outcome = bench.run(&case, Stepping::Whole).unwrap();
    for (i, &value) in outcome.get(dst).iter().enumerate() {
        let (output, y, x) = (i / PIXELS % OUTPUTS, i % PIXELS / SIDE, i % SIDE);
        // The kernel's first tap lies outside of the image for its first row and column.
        assert!(output != 3 || y == 0 || x == 0 || value.is_nan(), "lost at {y}, {x}");
        assert!(output == 3 || value.is_finite(), "shows in output {output}");
    }
}
