//! The weights of a row's pixels when the row becomes narrower or wider: Pillow's triangle filter
//! (`precompute_coeffs` in Resample.c), in the 16-bit fractions of fast_image_resize. Sums with
//! these weights equal those of fast_image_resize to the bit.

/// Pixels processed at a time.
pub(super) const GROUP: usize = 4;

/// The most fractional bits that sums have room for: 32, less 8 for a value and 2 for overflow.
const PRECISION_BITS: u32 = 32 - 8 - 2;

/// The weights of a row. Keeps its memory.
#[derive(Debug, Default)]
pub(super) struct Weights {
    /// Number of fractional bits.
    pub precision: u32,
    /// Groups of weights per pixel.
    pub groups: usize,
    /// For each pixel: the first source pixel with a weight.
    pub starts: Vec<u32>,
    /// For each pixel, then each group; zeros after the last weight.
    pub values: Vec<[i16; GROUP]>,
    exact: Vec<f64>,
    /// For each pixel: the number of its weights, and where they begin in `exact`.
    bounds: Vec<(usize, usize)>,
}

impl Weights {
    /// Computes the weights that turn `from` pixels into `out` pixels.
    pub(super) fn compute(&mut self, from: u32, out: u32) {
        let scale = f64::from(from) / f64::from(out);
        let radius = scale.max(1.0);
        let reciprocal = 1.0 / radius;
        self.starts.clear();
        self.exact.clear();
        self.bounds.clear();
        let mut largest = 0.0_f64;
        for x in 0..out {
            let center = (f64::from(x) + 0.5) * scale;
            let reached = (center - radius).floor().max(0.0) as u32;
            let mut start = reached;
            let end = (center + radius).ceil().min(f64::from(from)) as u32;
            let center = center - 0.5;
            let first = self.exact.len();
            let mut sum = 0.0;
            for pixel in reached..end {
                let distance = ((f64::from(pixel) - center) * reciprocal).abs();
                let weight = if distance < 1.0 { 1.0 - distance } else { 0.0 };
                if pixel == start && weight == 0.0 {
                    start += 1;
                } else {
                    self.exact.push(weight);
                    sum += weight;
                }
            }
            while self.exact.len() > first && self.exact.last() == Some(&0.0) {
                self.exact.pop();
            }
            if sum != 0.0 {
                self.exact[first..].iter_mut().for_each(|weight| *weight /= sum);
            }
            largest = self.exact[first..].iter().fold(largest, |most, &weight| most.max(weight));
            self.starts.push(start);
            self.bounds.push((self.exact.len() - first, first));
        }
        let is_last = |precision: &u32| (largest * f64::from(1 << (precision + 1))).round() as i32 >= 1 << 15;
        self.precision = (0..PRECISION_BITS).find(is_last).unwrap_or(PRECISION_BITS - 1);
        self.groups = self.bounds.iter().map(|(count, _)| count.div_ceil(GROUP)).max().unwrap_or(0).max(1);
        self.values.clear();
        self.values.resize(out as usize * self.groups, [0; GROUP]);
        let one = f64::from(1 << self.precision);
        for (values, &(count, first)) in self.values.chunks_exact_mut(self.groups).zip(&self.bounds) {
            for (value, &weight) in values.as_flattened_mut().iter_mut().zip(&self.exact[first..first + count]) {
                *value = (weight * one).round() as i16;
            }
        }
    }
}
