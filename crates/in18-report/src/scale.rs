//! Numbers to places: axes with round ticks, and long curves thinned to fewer points.

/// A range of numbers, drawn between two places.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub low: f64,
    pub high: f64,
    pub from: f64,
    pub to: f64,
}

impl Scale {
    /// Where a number is drawn. A number outside the range is drawn at its end.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        self.from + (self.to - self.from) * share.clamp(0.0, 1.0)
    }
}

/// Round numbers about `count` steps apart, from at or below `low` to at or above `high`.
pub(crate) fn ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    let width = high - low;
    let (low, width) = if width > 0.0 && width.is_finite() { (low, width) } else { (low, low.abs().max(1.0)) };
    let rough = width / count as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|nice| nice * power).find(|&step| step >= rough * 0.999);
    let step = step.unwrap_or(rough);
    let first = (low / step + 1e-9).floor();
    let last = ((low + width) / step - 1e-9).ceil();
    (0..=(last - first) as usize).map(|at| (first + at as f64) * step).collect()
}

/// The label of a tick, with as many decimals as the distance between ticks needs.
pub(crate) fn tick_label(value: f64, step: f64) -> String {
    if !(1e-6..1e6).contains(&step) {
        return format!("{value:.0e}");
    }
    let whole = |decimals: &usize| {
        let scaled = step * 10f64.powi(*decimals as i32);
        (scaled - scaled.round()).abs() < 1e-6
    };
    let decimals = (0..9).find(whole).unwrap_or(9);
    format!("{:.decimals$}", if value == 0.0 { 0.0 } else { value })
}

/// Neighbouring points of a long curve, drawn as one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bucket {
    /// Where the middle point lies.
    pub at: f64,
    /// The lowest of the finite values; NaN if there is none.
    pub low: f64,
    pub mean: f64,
    pub high: f64,
}

/// A curve of at most `most` buckets, each of the same number of neighbouring points. Buckets keep
/// their lowest and highest values, so that no extreme is lost.
pub(crate) fn thinned(points: &[(f64, f64)], most: usize) -> Vec<Bucket> {
    let bucket = |points: &[(f64, f64)]| {
        let values = || points.iter().map(|point| point.1).filter(|value| value.is_finite());
        Bucket {
            at: points[points.len() / 2].0,
            low: values().fold(f64::NAN, f64::min),
            mean: values().sum::<f64>() / values().count() as f64,
            high: values().fold(f64::NAN, f64::max),
        }
    };
    points.chunks(points.len().div_ceil(most).max(1)).map(bucket).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_enclose() {
        for (low, high, count, want) in [
            (0.0, 76.0, 4, vec![0.0, 20.0, 40.0, 60.0, 80.0]),
            (0.0, 94.0, 4, vec![0.0, 25.0, 50.0, 75.0, 100.0]),
            (0.0, 27.0, 6, vec![0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0]),
            (1.2, 1.2, 2, vec![1.0, 2.0, 3.0]),
        ] {
            assert_eq!(ticks(low, high, count), want, "{low} to {high}");
        }
        assert_eq!(tick_label(0.25, 0.05), "0.25");
        assert_eq!(tick_label(20.0, 20.0), "20");
        assert_eq!(tick_label(7.5, 2.5), "7.5");
    }

    #[test]
    fn thinning_keeps_extremes() {
        let mut points: Vec<(f64, f64)> = (0..100_000).map(|at| (f64::from(at), f64::from(at % 2))).collect();
        points[54_321].1 = 99.0;
        points[77_777].1 = -99.0;
        points[99_998].1 = f64::NAN;
        let thin = thinned(&points, 300);
        assert!(thin.len() <= 300, "{}", thin.len());
        assert!(thin.iter().any(|bucket| bucket.high == 99.0) && thin.iter().any(|bucket| bucket.low == -99.0));
        assert!(thin.is_sorted_by(|a, b| a.at < b.at));
        assert_eq!((thin[0].low, thin[0].mean, thin[0].high), (0.0, 0.5, 1.0));
        let few = thinned(&points[..3], 300);
        assert!(few.iter().map(|bucket| (bucket.at, bucket.mean)).eq(points[..3].iter().copied()));
        assert!(few.iter().all(|bucket| bucket.low == bucket.high));
        assert!(thinned(&[(0.0, f64::NAN)], 300)[0].mean.is_nan());
        assert!(thinned(&[], 300).is_empty());
    }
}
