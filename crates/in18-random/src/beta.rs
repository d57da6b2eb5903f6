//! The beta distribution: shares between 0 and 1.

use crate::Draws;

impl Draws {
    /// A value of the symmetric distribution Beta(`alpha`, `alpha`), in `[0, 1]`; `alpha` is above
    /// 0. It is X / (X + Y) of two gamma variates.
    pub fn beta(&mut self, alpha: f64) -> f64 {
        // With a small alpha both variates underflow, but their logarithms do not.
        let (x, y) = (self.log_gamma_variate(alpha), self.log_gamma_variate(alpha));
        1.0 / (1.0 + (y - x).exp())
    }

    /// The logarithm of a value of the gamma distribution of this shape and scale 1 (Marsaglia and
    /// Tsang, *A Simple Method for Generating Gamma Variables*, 2000).
    fn log_gamma_variate(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            // Section 6 of the paper: a variate of shape + 1, times U^(1 / shape).
            let uniform = 1.0 - self.uniform(0.0, 1.0);
            return self.log_gamma_variate(shape + 1.0) + uniform.ln() / shape;
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let [x, _] = self.normals();
            let v = (1.0 + c * x).powi(3);
            let uniform = 1.0 - self.uniform(0.0, 1.0);
            if v > 0.0 && uniform.ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return (d * v).ln();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Purpose;

    const N: usize = 100_000;

    fn values(alpha: f64) -> Vec<f64> {
        let mut draws = Draws::new(5, Purpose::Mixing, (0, 0));
        let values: Vec<f64> = (0..N).map(|_| draws.beta(alpha)).collect();
        assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
        values
    }

    /// Kolmogorov and Smirnov's distance exceeds 1.95 / sqrt(n) once in 1000 times. At nine of its
    /// points only, it is smaller still.
    #[test]
    fn quantiles_are_those_of_the_distribution() {
        // scipy.stats.beta.ppf(p, alpha, alpha) of p = 0.1, 0.2, ..., 0.9, SciPy 1.17.1.
        let cases = [
            (0.1, [8.86928e-8, 9.08147e-5, 0.00521487, 0.0863986, 0.5, 0.913601, 0.994785, 0.999909, 1.0 - 8.86928e-8]),
            (0.2, [0.000247765, 0.00788805, 0.0578806, 0.216342, 0.5, 0.783658, 0.942119, 0.992112, 0.999752]),
            (1.0, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]),
            (4.0, [0.278602, 0.350094, 0.405241, 0.453896, 0.5, 0.546104, 0.594759, 0.649906, 0.721398]),
        ];
        let bound = 1.95 / (N as f64).sqrt();
        for (alpha, quantiles) in cases {
            let values = values(alpha);
            for (tenth, quantile) in quantiles.into_iter().enumerate() {
                let below = values.iter().filter(|&&value| value <= quantile).count() as f64 / N as f64;
                let expected = (tenth + 1) as f64 / 10.0;
                assert!((below - expected).abs() < bound, "alpha {alpha}, {expected}: {below}");
            }
        }
    }

    /// All of the distribution functions that are elementary: the arcsine law, the uniform one and a
    /// cubic.
    #[test]
    fn values_follow_the_distribution_function() {
        let arcsine = |x: f64| x.sqrt().asin() * std::f64::consts::FRAC_2_PI;
        let cases: [(f64, &dyn Fn(f64) -> f64); 3] =
            [(0.5, &arcsine), (1.0, &|x| x), (2.0, &|x| x * x * (3.0 - 2.0 * x))];
        for (alpha, distribution) in cases {
            let mut values = values(alpha);
            values.sort_by(f64::total_cmp);
            let distance = values.iter().enumerate().map(|(index, &value)| {
                let at = distribution(value) * N as f64;
                (at - index as f64).abs().max((at - (index + 1) as f64).abs()) / N as f64
            });
            let distance = distance.fold(0.0, f64::max);
            assert!(distance < 1.95 / (N as f64).sqrt(), "alpha {alpha}: {distance}");
        }
    }

    #[test]
    fn moments_are_those_of_the_distribution() {
        for alpha in [0.01, 0.2, 0.7, 1.0, 3.0, 1e6] {
            let values = values(alpha);
            let mean = values.iter().sum::<f64>() / N as f64;
            let variance = values.iter().map(|value| (value - 0.5).powi(2)).sum::<f64>() / N as f64;
            let expected = 0.25 / (2.0 * alpha + 1.0);
            // Five deviations of the mean. Variances of such shares deviate by less than 1 %.
            assert!((mean - 0.5).abs() < 5.0 * (expected / N as f64).sqrt(), "alpha {alpha}: mean {mean}");
            assert!((variance / expected - 1.0).abs() < 0.02, "alpha {alpha}: {variance}, expected {expected}");
        }
        // Nearly always one of the two, and never not a number.
        assert!(values(1e-9).iter().all(|value| !(1e-9..=1.0 - 1e-9).contains(value)));
    }
}
