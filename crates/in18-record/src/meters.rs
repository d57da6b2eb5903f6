//! Averages over an epoch.

/// The running mean of a quantity, in which each value has a count as its weight (of images, as a
/// rule), and its latest value. They are `avg` and `val` of the original's `AverageMeter`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Meter {
    last: f64,
    sum: f64,
    count: u64,
}

impl Meter {
    /// Takes in a value that stands for `count` equal ones.
    pub fn add(&mut self, value: f64, count: u64) {
        self.last = value;
        self.sum += value * count as f64;
        self.count += count;
    }

    /// The latest value, 0 before the first.
    #[must_use]
    pub fn last(&self) -> f64 {
        self.last
    }

    /// The mean of all values since the meter was made; 0 if there are none.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / self.count as f64 }
    }

    /// Sum of the values, each times its count.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Sum of the counts.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_weigh_by_their_count() {
        let mut meter = Meter::default();
        assert_eq!((meter.last(), meter.mean()), (0.0, 0.0));
        meter.add(1.0, 30);
        meter.add(4.0, 10);
        assert_eq!(meter.last(), 4.0);
        assert_eq!(meter.mean(), 1.75);
        assert_eq!(meter.sum(), 70.0);
        assert_eq!(meter.count(), 40);
    }

    #[test]
    fn an_empty_batch_changes_no_mean() {
        let mut meter = Meter::default();
        meter.add(2.0, 5);
        meter.add(9.0, 0);
        assert_eq!(meter.mean(), 2.0);
    }
}
