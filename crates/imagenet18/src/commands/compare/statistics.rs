//! The mean of a few numbers, and how sure it is.

use std::fmt;

use serde_json::{Value, json};

/// A mean with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The number of values.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, with n − 1; NaN for one value.
    pub deviation: f64,
    /// Half the length of the mean's 95 % interval, by Student's distribution; NaN for one value.
    pub half_interval: f64,
}

impl Estimate {
    /// Of these values; `None` of no values.
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (squares / (n as f64 - 1.0)).sqrt();
        let half_interval = student(n - 1) * deviation / (n as f64).sqrt();
        Some(Estimate { n, mean, deviation, half_interval })
    }

    /// As an object; what is NaN is null.
    pub fn json(self) -> Value {
        let Estimate { n, mean, deviation, half_interval } = self;
        json!({ "n": n, "mean": mean, "deviation": deviation, "half_interval": half_interval })
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Estimate { n, mean, deviation, half_interval } = self;
        match n {
            1 => write!(f, "{mean:.2}"),
            _ => write!(f, "{mean:.2} ± {half_interval:.2} ({deviation:.2})"),
        }
    }
}

/// The 97.5 % point of Student's distribution. Up to ten degrees of freedom from its table; beyond,
/// the first terms of its expansion around the normal distribution's (Abramowitz and Stegun,
/// 26.7.5), which are right to 0.001 there.
fn student(degrees: usize) -> f64 {
    const TABLE: [f64; 10] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];
    let Some(before) = degrees.checked_sub(1) else { return f64::NAN };
    TABLE.get(before).copied().unwrap_or_else(|| {
        let (x, n): (f64, f64) = (1.959_964, degrees as f64);
        let first = (x.powi(3) + x) / 4.0;
        let second = (5.0 * x.powi(5) + 16.0 * x.powi(3) + 3.0 * x) / 96.0;
        let third = (3.0 * x.powi(7) + 19.0 * x.powi(5) + 17.0 * x.powi(3) - 15.0 * x) / 384.0;
        x + first / n + second / (n * n) + third / n.powi(3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_those_of_the_textbook() {
        // scipy.stats.t.interval(0.95, 4, 3, scipy.stats.sem([1, 2, 3, 4, 5])): 1.0368 to 4.9632.
        let five = Estimate::of(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        assert_eq!((five.n, five.mean), (5, 3.0));
        assert!((five.deviation - 2.5_f64.sqrt()).abs() < 1e-12);
        assert!((five.half_interval - 1.9632).abs() < 1e-3, "{}", five.half_interval);
        assert_eq!(five.to_string(), "3.00 ± 1.96 (1.58)");
        let one = Estimate::of(&[7.0]).unwrap();
        assert!(one.half_interval.is_nan());
        assert_eq!(one.to_string(), "7.00");
        assert_eq!(Estimate::of(&[]), None);
    }

    #[test]
    fn students_points_are_those_of_the_table() {
        for (degrees, expected) in [(1, 12.706), (4, 2.776), (11, 2.201), (15, 2.131), (29, 2.045), (100, 1.984)] {
            assert!((student(degrees) - expected).abs() < 1e-3, "{degrees}: {}", student(degrees));
        }
    }
}
