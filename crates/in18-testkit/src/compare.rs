//! How close two slices are, in words that explain a failing test.

use std::fmt;

/// How two slices of equal length differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Largest absolute difference; NaN if any element of either slice is NaN.
    pub max_abs: f64,
    /// The index of that difference.
    pub at: usize,
    /// `‖actual − expected‖ / ‖expected‖`; 0 if both are all zero.
    pub relative_l2: f64,
}

impl Difference {
    /// Compares two slices.
    ///
    /// # Panics
    /// If their lengths differ.
    pub fn between(actual: &[f32], expected: &[f32]) -> Self {
        assert_eq!(actual.len(), expected.len(), "lengths of the actual and the expected slice");
        let (mut max_abs, mut at, mut squares, mut norm) = (0.0f64, 0, 0.0, 0.0);
        for (index, (&a, &e)) in actual.iter().zip(expected).enumerate() {
            let distance = (f64::from(a) - f64::from(e)).abs();
            // A NaN is worse than any distance, and the first NaN counts.
            if distance > max_abs || (distance.is_nan() && !max_abs.is_nan()) {
                (max_abs, at) = (distance, index);
            }
            squares += distance * distance;
            norm += f64::from(e) * f64::from(e);
        }
        let relative_l2 = if squares == 0.0 { 0.0 } else { (squares / norm).sqrt() };
        Self { max_abs, at, relative_l2 }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "max |difference| {:.3e} at {}, relative L2 {:.3e}", self.max_abs, self.at, self.relative_l2)
    }
}

/// Asserts that every element is within `tolerance · max(|expected|, RMS of expected)` of the
/// expected one. The RMS is there because elements that cancel to nearly zero cannot be more exact
/// than the arithmetic.
///
/// # Panics
/// If an element is farther away (NaN always is), or the lengths differ. The message has `what`,
/// the first such index, and the whole difference.
#[track_caller]
pub fn assert_close(actual: &[f32], expected: &[f32], tolerance: f64, what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}: lengths of the actual and the expected slice");
    let mean_square = expected.iter().map(|&e| f64::from(e).powi(2)).sum::<f64>() / expected.len().max(1) as f64;
    let rms = mean_square.sqrt();
    // The comparison asks what is close, so that NaN counts as far.
    let close = |(a, e): (&f32, &f32)| {
        let (a, e) = (f64::from(*a), f64::from(*e));
        (a - e).abs() <= tolerance * e.abs().max(rms)
    };
    if let Some(index) = actual.iter().zip(expected).position(|pair| !close(pair)) {
        let count = actual.iter().zip(expected).filter(|&pair| !close(pair)).count();
        panic!(
            "{what}: {count} of {} elements differ by more than {tolerance:e}; first [{index}]: expected {}, got {} ({})",
            actual.len(),
            expected[index],
            actual[index],
            Difference::between(actual, expected)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn difference_finds_the_worst_element() {
        let difference = Difference::between(&[1.0, 2.0, 3.5], &[1.0, 2.0, 3.0]);
        assert_eq!((difference.max_abs, difference.at), (0.5, 2));
        assert!((difference.relative_l2 - 0.5 / 14f64.sqrt()).abs() < 1e-12);
        let nan = Difference::between(&[5.0, f32::NAN, 9.0], &[1.0, 2.0, 3.0]);
        assert!(nan.max_abs.is_nan() && nan.at == 1);
        assert_eq!(Difference::between(&[0.0], &[0.0]).relative_l2, 0.0);
    }

    #[test]
    fn cancelled_elements_are_judged_by_the_rms() {
        assert_close(&[1.0, 1e-7], &[1.0, 0.0], 1e-6, "cancelled");
    }

    #[test]
    #[should_panic(expected = "dx: 1 of 3 elements differ by more than 1e-5; first [1]: expected 2, got 2.001")]
    fn message_names_the_first_bad_element() {
        assert_close(&[1.0, 2.001, 3.0], &[1.0, 2.0, 3.0], 1e-5, "dx");
    }

    #[test]
    #[should_panic(expected = "y: 1 of 2")]
    fn nan_is_never_close() {
        assert_close(&[1.0, f32::NAN], &[1.0, 2.0], 1e9, "y");
    }
}
