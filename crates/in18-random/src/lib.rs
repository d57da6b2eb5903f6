//! Randomness as a function: Philox 4x32-10, a counter-based generator.
//!
//! Every draw is a pure function of (seed, purpose, index, draw number). No state is shared, so no order of
//! evaluation, number of threads or interruption can change a result.
//!
//! J. Salmon, M. Moraes, R. Dror, D. Shaw: *Parallel Random Numbers: As Easy as 1, 2, 3*, SC 2011.
#![forbid(unsafe_code)]

mod beta;

/// What a draw is for, so that no two uses see the same numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An epoch's order; index (epoch, 0) for a permutation, (epoch, 1) for one within windows.
    Order = 0,
    /// Crop and flip of one image; index (epoch, image).
    Augmentation = 1,
    /// Initial values of one parameter; index (hash of its name, 0).
    Initialization = 2,
    /// Which images take the place of one that cannot be read; index (epoch, image).
    Replacement = 3,
    /// Whether an image is flipped in the epochs with even or with odd numbers; index (image, 0).
    Flip = 4,
    /// How the images of a training batch are mixed; index (epoch, place among the batches of all
    /// ranks).
    Mixing = 5,
    /// What is erased from one image; index (epoch, image).
    Erasing = 6,
    /// How the colours of one image are changed; index (epoch, image).
    Jitter = 7,
}

/// The draws that belong to one (seed, purpose, index), first to last.
#[derive(Debug, Clone)]
pub struct Draws {
    key: [u32; 2],
    /// Words 1 to 3 of the counter; word 0 counts blocks.
    rest: [u32; 3],
    block: u32,
    /// The second half of the last block, if it was not given out yet.
    kept: Option<u64>,
}

impl Draws {
    /// The draws of one index; what the index means is [`Purpose`]'s to say.
    pub fn new(seed: u64, purpose: Purpose, index: (u32, u32)) -> Self {
        let key = [seed as u32, (seed >> 32) as u32];
        Self { key, rest: [index.1, purpose as u32, index.0], block: 0, kept: None }
    }

    /// 64 uniform bits.
    pub fn bits(&mut self) -> u64 {
        if let Some(bits) = self.kept.take() {
            return bits;
        }
        let [x, y, z] = self.rest;
        let [a, b, c, d] = philox([self.block, x, y, z], self.key);
        self.block = self.block.wrapping_add(1);
        self.kept = Some(u64::from(c) | u64::from(d) << 32);
        u64::from(a) | u64::from(b) << 32
    }

    /// Uniform in `[low, high)`.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        // The upper 53 bits: every value is a multiple of 2^-53 in [0, 1).
        let unit = (self.bits() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64);
        low + (high - low) * unit
    }

    /// Uniform among `0..n`, 0 for an `n` of 0. The bias of at most n / 2^64 is far below what could be observed.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }

    /// Two independent values of the standard normal distribution (Box and Muller, 1958).
    pub fn normals(&mut self) -> [f64; 2] {
        // 1 − [0, 1) is never 0, whose logarithm is infinite.
        let radius = (-2.0 * (1.0 - self.uniform(0.0, 1.0)).ln()).sqrt();
        let angle = self.uniform(0.0, std::f64::consts::TAU);
        [radius * angle.cos(), radius * angle.sin()]
    }
}

/// A permutation of `0..n` that is a function of (seed, epoch).
pub fn permutation(seed: u64, epoch: u32, n: u32) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n).collect();
    shuffle(&mut Draws::new(seed, Purpose::Order, (epoch, 0)), &mut order);
    order
}

/// Brings items into an order of chance: Fisher-Yates, from the end.
pub fn shuffle<T>(draws: &mut Draws, items: &mut [T]) {
    for last in (1..items.len()).rev() {
        items.swap(last, draws.below(last as u64 + 1) as usize);
    }
}

/// One block of Philox 4x32 with 10 rounds; constants from the paper, section 3.2.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let [a, b, c, d] = counter;
        let left = u64::from(a) * 0xD251_1F53;
        let right = u64::from(c) * 0xCD9E_8D57;
        counter = [(right >> 32) as u32 ^ b ^ key[0], right as u32, (left >> 32) as u32 ^ d ^ key[1], left as u32];
        key[0] = key[0].wrapping_add(0x9E37_79B9);
        key[1] = key[1].wrapping_add(0xBB67_AE85);
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_gives_the_published_numbers() {
        // kat_vectors of the authors' Random123 1.09, "philox 4x32 10".
        let cases = [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, expected) in cases {
            assert_eq!(philox(counter, key), expected);
        }
    }

    #[test]
    fn draws_are_a_function_of_all_their_arguments() {
        let first = |seed, purpose, index| Draws::new(seed, purpose, index).bits();
        let base = first(1, Purpose::Augmentation, (2, 3));
        assert_eq!(base, first(1, Purpose::Augmentation, (2, 3)));
        for other in [
            first(0, Purpose::Augmentation, (2, 3)),
            first(1 | 1 << 32, Purpose::Augmentation, (2, 3)),
            first(1, Purpose::Augmentation, (3, 3)),
            first(1, Purpose::Order, (2, 3)),
            first(1, Purpose::Augmentation, (2, 4)),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn uniform_and_below_cover_their_range_evenly() {
        let mut draws = Draws::new(7, Purpose::Augmentation, (0, 0));
        let mut counts = [0_u32; 10];
        let mut sum = 0.0;
        for _ in 0..100_000 {
            counts[draws.below(10) as usize] += 1;
            let x = draws.uniform(-1.0, 3.0);
            assert!((-1.0..3.0).contains(&x));
            sum += x;
        }
        // 10,000 expected in each, deviation 95.
        assert!(counts.iter().all(|c| c.abs_diff(10_000) < 500), "{counts:?}");
        assert!((sum / 100_000.0 - 1.0).abs() < 0.02);
        assert_eq!(draws.below(0), 0);
        assert_eq!(draws.below(1), 0);
    }

    #[test]
    fn normals_have_the_moments_of_the_normal_distribution() {
        let mut draws = Draws::new(3, Purpose::Initialization, (9, 0));
        let values: Vec<f64> = (0..50_000).flat_map(|_| draws.normals()).collect();
        let moment = |k: i32| values.iter().map(|x| x.powi(k)).sum::<f64>() / values.len() as f64;
        // Deviations of the means of x, x² and x⁴ over 100,000 values: 0.003, 0.0045, 0.031.
        assert!(moment(1).abs() < 0.015, "{}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.02, "{}", moment(2));
        assert!((moment(4) - 3.0).abs() < 0.15, "{}", moment(4));
    }

    #[test]
    fn permutations_are_fresh_fair_and_complete() {
        let a = permutation(1, 0, 1000);
        let mut sorted = a.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<_>>());
        assert_eq!(a, permutation(1, 0, 1000));
        assert_ne!(a, permutation(1, 1, 1000));
        assert_ne!(a, permutation(2, 0, 1000));
        assert!(permutation(1, 0, 0).is_empty());
        // Each of the 24 orders of four elements, 1000 times expected, deviation 31.
        let mut counts = std::collections::HashMap::new();
        for epoch in 0..24_000 {
            *counts.entry(permutation(5, epoch, 4)).or_insert(0_u32) += 1;
        }
        assert_eq!(counts.len(), 24);
        assert!(counts.values().all(|c| c.abs_diff(1000) < 160), "{counts:?}");
    }
}
