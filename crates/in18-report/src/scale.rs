//! Numbers to places: axes with round ticks, and long curves made short.

/// A stretch of numbers, drawn from one place to another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub low: f64,
    pub high: f64,
    pub from: f64,
    pub to: f64,
}

impl Scale {
    /// Where a number is drawn. One beyond the scale is drawn at its end.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        self.from + (self.to - self.from) * share.clamp(0.0, 1.0)
    }
}

/// Round numbers from at or below `low` to at or above `high`, about `count` steps apart.
pub(crate) fn ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    let width = high - low;
    let (low, width) = if width > 0.0 && width.is_finite() { (low, width) } else { (low, low.abs().max(1.0)) };
    let rough = width / count as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|nice| nice * power).find(|&step| step >= rough * 0.999);
    let step = step.unwrap_or(rough);
    let first = (low / step + 1e-9).floor();
    let last = ((low + width) / step - 1e-9).ceil();
    (0..=(last - first) as usize).map(|at| (first + at as f64) * step).collect()
}

/// A number under its tick, with as many decimals as the ticks' distance asks for.
pub(crate) fn tick_label(value: f64, step: f64) -> String {
    if !(1e-6..1e6).contains(&step) {
        return format!("{value:.0e}");
    }
    let decimals = (-(step.log10() + 1e-9).floor()).max(0.0) as usize;
    format!("{:.decimals$}", if value == 0.0 { 0.0 } else { value })
}

/// A curve of at most about `2 * buckets` points: the lowest and the highest of each bucket of neighbours, in order,
/// so that no extreme is lost. A bucket with what is no number keeps the first such point.
pub(crate) fn thinned(points: &[(f64, f64)], buckets: usize) -> Vec<(f64, f64)> {
    if points.len() <= 2 * buckets {
        return points.to_vec();
    }
    let length = points.len().div_ceil(buckets);
    let mut out = Vec::with_capacity(2 * buckets + 2);
    for bucket in points.chunks(length) {
        let finite = || (0..bucket.len()).filter(|&at| bucket[at].1.is_finite());
        let low = finite().min_by(|&a, &b| bucket[a].1.total_cmp(&bucket[b].1));
        let high = finite().max_by(|&a, &b| bucket[a].1.total_cmp(&bucket[b].1));
        let broken = (0..bucket.len()).find(|&at| !bucket[at].1.is_finite());
        let mut kept: Vec<usize> = [low, high, broken].into_iter().flatten().collect();
        kept.sort_unstable();
        kept.dedup();
        out.extend(kept.into_iter().map(|at| bucket[at]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_enclose() {
        for (low, high, count, want) in [
            (0.0, 76.0, 4, vec![0.0, 20.0, 40.0, 60.0, 80.0]),
            (0.0, 27.0, 6, vec![0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0]),
            (1.2, 1.2, 2, vec![1.0, 2.0, 3.0]),
        ] {
            assert_eq!(ticks(low, high, count), want, "{low} to {high}");
        }
        assert_eq!(tick_label(0.25, 0.05), "0.25");
        assert_eq!(tick_label(20.0, 20.0), "20");
    }

    #[test]
    fn thinning_keeps_extremes_and_breaks() {
        let mut points: Vec<(f64, f64)> = (0..100_000).map(|at| (f64::from(at), f64::from(at % 7))).collect();
        points[54_321].1 = 99.0;
        points[77_777].1 = -99.0;
        points[99_998].1 = f64::NAN;
        let thin = thinned(&points, 300);
        assert!(thin.len() <= 601 + 300, "{}", thin.len());
        assert!(thin.contains(&(54_321.0, 99.0)) && thin.contains(&(77_777.0, -99.0)));
        assert!(thin.iter().any(|point| point.1.is_nan()));
        assert!(thin.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(thinned(&points[..9], 300).len(), 9);
    }
}
