//! The random stream of one photo.
//!
//! Own code and not a crate because the set must stay the same, byte for byte, over the years, and
//! ten lines are easier to freeze than a dependency's choice of algorithm.

use crate::Split;

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014),
/// started at a hash of (seed, split, index).
pub(crate) struct Stream(u64);

impl Stream {
    /// The stream of one photo.
    pub(crate) fn new(seed: u64, split: Split, index: usize) -> Self {
        let split = match split {
            Split::Train => 1,
            Split::Validation => 2,
        };
        // Mixed after each word, so that neighbouring seeds and indices share no run of numbers.
        Self(mix(mix(mix(seed).wrapping_add(split)).wrapping_add(index as u64)))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(&mut self) -> f32 {
        // The top 24 bits are exact in an f32.
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Uniform in [low, high).
    pub(crate) fn uniform(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Uniform among the integers low..=high.
    pub(crate) fn integer(&mut self, low: u32, high: u32) -> u32 {
        // The bias of the remainder is below 2^-32 for these small ranges.
        low + (self.next() % u64::from(high - low + 1)) as u32
    }

    pub(crate) fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_the_published_splitmix64() {
        // First outputs of the reference implementation started at state 0.
        let mut stream = Stream(0);
        assert_eq!(stream.next(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(stream.next(), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn uniform_covers_its_range_evenly() {
        let mut stream = Stream::new(3, Split::Train, 0);
        let mean =
            (0..10_000).map(|_| stream.uniform(2.0, 4.0)).inspect(|x| assert!((2.0..4.0).contains(x))).sum::<f32>()
                / 10_000.0;
        assert!((mean - 3.0).abs() < 0.03, "mean {mean}");
    }

    #[test]
    fn neighbours_differ() {
        let first = |seed, split, index| Stream::new(seed, split, index).next();
        let all = [
            first(0, Split::Train, 0),
            first(0, Split::Train, 1),
            first(1, Split::Train, 0),
            first(0, Split::Validation, 0),
        ];
        for (k, a) in all.iter().enumerate() {
            assert!(all[k + 1..].iter().all(|b| a != b));
        }
    }
}
