//! How far a result may lie from the reference's, and why.

use in18_tensor::DType;

/// How often a provider rounds to the type of activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Once, when an operation stores its result. Gradients of parameters are fp32 throughout.
    Once,
    /// Like `Once`, but an evaluation's convolutions may compute with 16-bit fixed-point numbers on
    /// the way.
    OnceFromFixedPoint,
    /// After each of the steps that an operation consists of, as in libtorch. Gradients of a
    /// convolution's weights are rounded once, before they become fp32.
    EachStep,
}

/// Which tolerances apply. They follow from the type of activations and from how often results are
/// rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Precision {
    /// The type of activations.
    pub dtype: DType,
    /// How often they are rounded.
    pub rounding: Rounding,
}

impl Precision {
    /// For an activation that one operation computes in one step.
    pub fn activation(self) -> Tolerance {
        Tolerance::rounded_once(self.dtype)
    }

    /// For an activation that one operation computes in several steps, such as a normalisation and
    /// a sum.
    pub fn steps(self) -> Tolerance {
        match self.rounding {
            Rounding::Once | Rounding::OnceFromFixedPoint => Tolerance::rounded_once(self.dtype),
            Rounding::EachStep => Tolerance::rounded_each_term(self.dtype),
        }
    }

    /// For an evaluation's convolution with everything that is fused to it.
    pub fn evaluation(self) -> Tolerance {
        match self.rounding {
            Rounding::OnceFromFixedPoint => Tolerance::rounded_from_fixed_point(self.dtype),
            Rounding::Once | Rounding::EachStep => self.steps(),
        }
    }

    /// For the sums of a max pooling's gradient.
    pub fn short_sum(self) -> Tolerance {
        Tolerance::rounded_each_term(self.dtype)
    }

    /// For the gradient of a convolution's source. libtorch's fp16 convolutions on the CPU round
    /// each term of the sum.
    pub fn source_gradient(self) -> Tolerance {
        match (self.rounding, self.dtype) {
            (Rounding::EachStep, DType::F16) => Tolerance::rounded_each_term(self.dtype),
            _ => self.activation(),
        }
    }

    /// For the gradient of a convolution's weights.
    pub fn weight_gradient(self) -> Tolerance {
        match self.rounding {
            Rounding::Once | Rounding::OnceFromFixedPoint => Tolerance::SINGLE,
            Rounding::EachStep if self.dtype == DType::F16 => self.source_gradient(),
            Rounding::EachStep => Tolerance::rounded_alone(self.dtype),
        }
    }
}

/// The unit roundoff of a type: half a unit in the last of its significant bits. bf16 has 8 of
/// them, fp16 has 11.
fn roundoff(dtype: DType) -> Option<f64> {
    match dtype {
        DType::Bf16 => Some(2f64.powi(-8)),
        DType::F16 => Some(2f64.powi(-11)),
        DType::F32 | DType::U8 | DType::I32 => None,
    }
}

/// Bounds on the difference of a result from the expected one.
///
/// With *magnitude* the larger of [`floor`](Tolerance::floor) and the root mean square of the
/// expected values,
///
/// * each element may differ by `relative · |expected| + absolute · magnitude`;
/// * the L2 norm of all differences may reach `l2 · magnitude · √elements`, plus the difference
///   that one element, the largest, may have. The second term only matters in tensors of a few
///   hundred elements or fewer.
///
/// NaN matches NaN, and an infinity matches the same infinity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Share of the result's own L2 norm.
    pub l2: f64,
    /// Share of an element's own size.
    pub relative: f64,
    /// Share of the result's magnitude, for elements that cancellation left small.
    pub absolute: f64,
    /// The least magnitude to assume: that of the terms, for results that may cancel as a whole.
    pub floor: f64,
}

impl Tolerance {
    /// For results that are copies or counts.
    pub const EXACT: Tolerance = Tolerance { l2: 0.0, relative: 0.0, absolute: 0.0, floor: 0.0 };

    /// For results in fp32, in bf16 programs too. Their sums are taken in fp32, in any order, over
    /// factors that both sides hold alike. With a roundoff of 6e-8 and up to some thousand terms,
    /// that leaves about 1e-6.
    pub const SINGLE: Tolerance = Tolerance { l2: 1e-5, relative: 1e-5, absolute: 1e-4, floor: 0.0 };

    /// For activations that are computed in fp32 and rounded once, when they are stored. Both sides
    /// round nearly the same number, so nearly all elements agree. Where an fp32 error tips the
    /// rounding, the two results are neighbours, two roundoffs apart. In bf16, about 1 element in
    /// 1,000 tips: an L2 norm of some 2e-4. A second rounding on the way would leave at least
    /// 1.5e-3. fp16 is finer by a factor of 8, and 8 times more elements tip.
    fn rounded_once(dtype: DType) -> Tolerance {
        let once = |roundoff| Tolerance { l2: 0.256 * roundoff, relative: 2.0 * roundoff, absolute: 1e-4, floor: 0.0 };
        roundoff(dtype).map_or(Self::SINGLE, once)
    }

    /// For activations that are rounded once, of sums that are off by a quarter of a roundoff of
    /// their magnitude (root mean square). Sums of 16-bit fixed-point numbers are like that. The
    /// error is less than that of a second rounding, which leaves 0.4 roundoffs in the mean of what
    /// it rounds. Single elements reach six times that error.
    fn rounded_from_fixed_point(dtype: DType) -> Tolerance {
        let fixed =
            |roundoff| Tolerance { l2: 0.5 * roundoff, relative: 2.0 * roundoff, absolute: 1.5 * roundoff, floor: 0.0 };
        roundoff(dtype).map_or(Self::SINGLE, fixed)
    }

    /// For results that are rounded once and compared with results that are not rounded: at most
    /// half a unit in the last place, and less than half of that in the mean.
    fn rounded_alone(dtype: DType) -> Tolerance {
        let alone = |roundoff| Tolerance { l2: 0.5 * roundoff, relative: 1.01 * roundoff, absolute: 1e-4, floor: 0.0 };
        roundoff(dtype).map_or(Self::SINGLE, alone)
    }

    /// For activations that are sums of up to four terms and may be rounded after each addition.
    /// There are three roundings, of partial sums that may be larger than the sum, and the last one
    /// may go to the neighbouring value.
    fn rounded_each_term(dtype: DType) -> Tolerance {
        let each = |roundoff| Tolerance {
            l2: 2.0 * roundoff,
            relative: 4.0 * roundoff,
            absolute: 12.0 * roundoff,
            floor: 0.0,
        };
        roundoff(dtype).map_or(Self::SINGLE, each)
    }

    /// The same with a least magnitude.
    pub fn with_floor(self, floor: f64) -> Tolerance {
        Tolerance { floor, ..self }
    }

    /// What is wrong with a result, or `None`: its L2 error, its worst element, and how many
    /// elements are out of bounds.
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
        let once = Tolerance::rounded_once(DType::Bf16);
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
