//! The reference's forward halves (and what finite differences cannot see) against results worked
//! out by hand.

mod layers;
mod refusals;
mod training;

use in18_kernels::conformance::{Bench, Case, Outcome, Stepping, Tolerance};
use in18_kernels::op::Window;
use in18_kernels::reference::Reference;
use in18_tensor::DType;

/// Results are compared here, not by the bench.
const ANY: Tolerance = Tolerance::EXACT;

const POINT: Window = Window { kernel: 1, stride: 1, padding: 0 };
const SQUARE: Window = Window { kernel: 3, stride: 1, padding: 1 };
const SQUARE_HALVING: Window = Window { kernel: 3, stride: 2, padding: 1 };

fn run(case: &Case, dtype: DType) -> Outcome {
    let mut reference = Reference::new();
    let outcome = Bench::new(&mut reference, dtype).unwrap().run(case, Stepping::Whole).unwrap();
    assert!(outcome.damage.is_empty(), "{}: {:?}", case.name(), outcome.damage);
    outcome
}

/// To the last bits of fp32; NaN equals NaN.
fn assert_close(name: &str, got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len(), "{name}");
    let close = |(&got, &expected): (&f32, &f32)| {
        (got.is_nan() && expected.is_nan()) || (got - expected).abs() <= 1e-6 * expected.abs().max(0.1)
    };
    assert!(got.iter().zip(expected).all(close), "{name}: expected {expected:?}, got {got:?}");
}
