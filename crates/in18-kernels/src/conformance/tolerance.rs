//! How far a result may lie from the reference's, and why.

use in18_tensor::DType;

/// The unit roundoff of bf16: half a unit in the last of its 8 significant bits.
const BF16_ROUNDOFF: f64 = 1.0 / 256.0;

/// Bounds on the difference of a result from the expected one.
///
/// With *magnitude* the larger of [`floor`](Tolerance::floor) and the root mean square of the expected values,
///
/// * each element may differ by `relative · |expected| + absolute · magnitude`;
/// * the L2 norm of all differences may reach `l2 · magnitude · √elements`, plus the difference that one element,
///   the largest, may have (which only matters in tensors of a few hundred elements or fewer).
///
/// NaN matches NaN, and an infinity itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Share of the result's own L2 norm.
    pub l2: f64,
    /// Share of an element's own size.
    pub relative: f64,
    /// Share of the result's magnitude, for elements that cancellation left small.
    pub absolute: f64,
    /// The least magnitude to assume: that of the terms, where a whole result may cancel.
    pub floor: f64,
}

impl Tolerance {
    /// For results that are copies or counts.
    pub const EXACT: Tolerance = Tolerance { l2: 0.0, relative: 0.0, absolute: 0.0, floor: 0.0 };

    /// For results in fp32, in bf16 programs too: their sums are taken in fp32, in any order, over factors that
    /// both sides hold alike. With roundoff 6e-8 and up to some thousand terms that leaves about 1e-6.
    pub const SINGLE: Tolerance = Tolerance { l2: 1e-5, relative: 1e-5, absolute: 1e-4, floor: 0.0 };

    /// For activations that are computed in fp32 and rounded to bf16 once, when they are stored: both sides round
    /// nearly the same number, so that nearly all elements agree, and where an fp32 error tips the rounding
    /// they are neighbours, two roundoffs apart. About 1 element in 1,000 tips, hence an L2 norm of some 2e-4;
    /// a second rounding anywhere on the way would leave at least 1.5e-3.
    pub const ROUNDED_ONCE: Tolerance =
        Tolerance { l2: 1e-3, relative: 2.0 * BF16_ROUNDOFF, absolute: 1e-4, floor: 0.0 };

    /// For activations that are sums of a few (up to four) bf16 terms and may be rounded after each addition: three
    /// roundings and the last one's neighbour, of partial sums that may be larger than the sum.
    pub const ROUNDED_EACH_TERM: Tolerance = Tolerance {
        l2: 2.0 * BF16_ROUNDOFF,
        relative: 4.0 * BF16_ROUNDOFF,
        absolute: 12.0 * BF16_ROUNDOFF,
        floor: 0.0,
    };

    /// For an activation of this type that one operation computes: [`SINGLE`](Self::SINGLE) or
    /// [`ROUNDED_ONCE`](Self::ROUNDED_ONCE).
    pub fn activation(dtype: DType) -> Tolerance {
        if dtype == DType::Bf16 { Self::ROUNDED_ONCE } else { Self::SINGLE }
    }

    /// For the sums of a max pooling's gradient: [`SINGLE`](Self::SINGLE) or
    /// [`ROUNDED_EACH_TERM`](Self::ROUNDED_EACH_TERM).
    pub fn short_sum(dtype: DType) -> Tolerance {
        if dtype == DType::Bf16 { Self::ROUNDED_EACH_TERM } else { Self::SINGLE }
    }

    /// The same with a least magnitude.
    pub fn with_floor(self, floor: f64) -> Tolerance {
        Tolerance { floor, ..self }
    }

    /// What is wrong with a result, if anything is: its L2 error, its worst element, how many are out of bounds.
    pub fn violation(&self, expected: &[f32], got: &[f32]) -> Option<String> {
        if expected.len() != got.len() {
            return Some(format!("expected {} elements, got {}", expected.len(), got.len()));
        }
        let norm = |values: &[f32]| values.iter().map(|&v| f64::from(v).powi(2)).filter(|v| v.is_finite()).sum::<f64>();
        let root = (expected.len() as f64).sqrt();
        let magnitude = self.floor.max(norm(expected).sqrt() / root);
        let allowed = |expected: f32| self.relative * f64::from(expected.abs()) + self.absolute * magnitude;

        let (mut squares, mut bad) = (0.0, 0);
        let (mut worst, mut worst_excess) = (None, f64::NEG_INFINITY);
        let mut largest_allowed = 0.0;
        for (at, (&expected, &got)) in expected.iter().zip(got).enumerate() {
            if (expected.is_nan() && got.is_nan()) || expected == got {
                continue;
            }
            let error = (f64::from(expected) - f64::from(got)).abs();
            let error = if error.is_finite() { error } else { f64::INFINITY };
            let allowed = if expected.is_finite() { allowed(expected) } else { 0.0 };
            squares += error * error;
            bad += usize::from(error > allowed);
            if error - allowed > worst_excess {
                (worst, worst_excess) = (Some(at), error - allowed);
            }
        }
        for &expected in expected.iter().filter(|expected| expected.is_finite()) {
            largest_allowed = allowed(expected).max(largest_allowed);
        }
        let at = worst?;
        let l2_allowed = self.l2 * magnitude * root + largest_allowed;
        if bad == 0 && squares.sqrt() <= l2_allowed {
            return None;
        }
        Some(format!(
            "relative L2 error {:.2e} (allowed {:.2e}), {bad} of {} elements out of bounds, worst at {at}: expected {:e}, \
             got {:e}",
            squares.sqrt() / (magnitude * root),
            l2_allowed / (magnitude * root),
            expected.len(),
            expected[at],
            got[at],
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_element_by_element_and_on_the_whole() {
        struct Case {
            name: &'static str,
            tolerance: Tolerance,
            expected: &'static [f32],
            got: &'static [f32],
            passes: bool,
        }
        let once = Tolerance::ROUNDED_ONCE;
        let cases = [
            Case { name: "equal", tolerance: Tolerance::EXACT, expected: &[1.0, 2.0], got: &[1.0, 2.0], passes: true },
            Case {
                name: "nearly equal, exact wanted",
                tolerance: Tolerance::EXACT,
                expected: &[1.0, 2.0],
                got: &[1.0, 2.0000002],
                passes: false,
            },
            Case {
                name: "nearly equal",
                tolerance: Tolerance::SINGLE,
                expected: &[1.0, 2.0],
                got: &[1.0, 2.0000002],
                passes: true,
            },
            Case { name: "length", tolerance: once, expected: &[1.0], got: &[1.0, 1.0], passes: false },
            Case {
                name: "a bf16 neighbour",
                tolerance: once,
                expected: &[1.0; 4],
                got: &[1.0078125; 4],
                passes: false,
            },
            Case {
                name: "one bf16 neighbour",
                tolerance: once,
                expected: &[1.0; 4],
                got: &[1.0, 1.0, 1.0078125, 1.0],
                passes: true,
            },
            Case {
                name: "two bf16 places",
                tolerance: once,
                expected: &[1.0; 4],
                got: &[1.0, 1.0, 1.015625, 1.0],
                passes: false,
            },
            Case { name: "both NaN", tolerance: once, expected: &[f32::NAN, 1.0], got: &[f32::NAN, 1.0], passes: true },
            Case { name: "NaN", tolerance: once, expected: &[1.0, 1.0], got: &[f32::NAN, 1.0], passes: false },
            Case { name: "not NaN", tolerance: once, expected: &[f32::NAN, 1.0], got: &[0.0, 1.0], passes: false },
            Case {
                name: "infinity",
                tolerance: once,
                expected: &[f32::INFINITY, 1.0],
                got: &[f32::INFINITY, 1.0],
                passes: true,
            },
            Case {
                name: "not infinity",
                tolerance: once,
                expected: &[f32::INFINITY, 1.0],
                got: &[3e38, 1.0],
                passes: false,
            },
            Case { name: "noise on zeros", tolerance: once, expected: &[0.0; 4], got: &[1e-7; 4], passes: false },
            Case {
                name: "noise on zeros, of terms that are not small",
                tolerance: once.with_floor(1.0),
                expected: &[0.0; 4],
                got: &[1e-7; 4],
                passes: true,
            },
        ];
        for case in cases {
            let violation = case.tolerance.violation(case.expected, case.got);
            assert_eq!(violation.is_none(), case.passes, "{}: {violation:?}", case.name);
        }
    }
}
