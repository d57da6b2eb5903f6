//! Deterministic inputs. They are chosen so that no ReLU and no maximum depends on a rounding
//! error.

use in18_tensor::{DType, Shape, rounded};

/// A stream of values that depends on its name alone. A new case therefore changes no other case's
/// inputs.
pub struct Inputs {
    state: u64,
    dtype: DType,
}

impl Inputs {
    /// The stream of that name; its activations are rounded to the given type.
    pub fn new(name: &str, dtype: DType) -> Self {
        // FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/
        let hash = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        Inputs { state: hash, dtype }
    }

    /// The next 64 bits: SplitMix64 (Steele, Lea and Flood, *Fast Splittable Pseudorandom Number
    /// Generators*, 2014).
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// An integer below `bound`, which must not be 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }

    /// A value of mean 0 and deviation 1, nearly normal: the sum of four uniform ones.
    pub fn value(&mut self) -> f32 {
        let bits = self.bits();
        let sum: f64 = (0..4).map(|i| ((bits >> (16 * i)) & 0xffff) as f64 / 65536.0 - 0.5).sum();
        (sum * 3f64.sqrt()) as f32
    }

    /// fp32 values with a mean and a deviation.
    pub fn plain(&mut self, count: usize, mean: f32, deviation: f32) -> Vec<f32> {
        (0..count).map(|_| mean + deviation * self.value()).collect()
    }

    /// The values of an activation, with mean 0 and deviation 1, rounded to its type.
    pub fn activation(&mut self, shape: Shape) -> Vec<f32> {
        let values = (0..shape.elements()).map(|_| self.value()).collect();
        self.rounded(values)
    }

    /// An activation whose channels have different means and deviations, like the input of a batch
    /// normalisation.
    pub fn channels(&mut self, shape: Shape) -> Vec<f32> {
        let means = self.plain(shape[1], 0.0, 1.0);
        let deviations: Vec<f32> = (0..shape[1]).map(|_| 0.5 + self.below(100) as f32 / 100.0).collect();
        let values = self.activation(shape).into_iter().enumerate();
        let shifted = values.map(|(i, value)| {
            let c = i / (shape[2] * shape[3]) % shape[1];
            means[c] + deviations[c] * value
        });
        let shifted = shifted.collect();
        self.rounded(shifted)
    }

    fn rounded(&self, values: Vec<f32>) -> Vec<f32> {
        values.into_iter().map(|value| rounded(self.dtype, value)).collect()
    }

    /// An activation without equal values among any `DISTINCT` that follow one another in a plane.
    /// All are multiples of 1/16 (exact in bf16) up to 16 in size, and negative if `negative` says
    /// so.
    pub fn distinct(&mut self, shape: Shape, negative: bool) -> Vec<f32> {
        const DISTINCT: usize = 256;
        let mut order: Vec<usize> = (0..DISTINCT).collect();
        for last in (1..DISTINCT).rev() {
            order.swap(last, self.below(last + 1));
        }
        let offset = if negative { DISTINCT as f32 } else { DISTINCT as f32 / 2.0 };
        (0..shape.elements()).map(|i| (order[i % DISTINCT] as f32 - offset) / 16.0).collect()
    }

    /// An activation like a ReLU's result: few different values, half of them zeros, so that many
    /// maxima are equal.
    pub fn with_ties(&mut self, shape: Shape) -> Vec<f32> {
        (0..shape.elements()).map(|_| self.below(4).saturating_sub(1) as f32).collect()
    }

    /// Labels below a number of classes.
    pub fn labels(&mut self, count: usize, classes: usize) -> Vec<f32> {
        (0..count).map(|_| self.below(classes) as f32).collect()
    }

    /// Pixels, black and white among them.
    pub fn pixels(&mut self, shape: Shape) -> Vec<f32> {
        let mut pixels: Vec<f32> = (0..shape.elements()).map(|_| self.below(256) as f32).collect();
        pixels[0] = 0.0;
        if let Some(last) = pixels.last_mut() {
            *last = 255.0;
        }
        pixels
    }
}

/// A beta for each channel such that no result `gamma · x̂ + beta` of a batch normalisation lies
/// near zero. There a rounding error would decide what ReLU lets through.
///
/// It sorts the channel's values of `gamma · x̂`, finds the widest gap in the middle half of them,
/// and puts zero in the middle of that gap. In a channel of up to some thousand values, the gap is
/// wide enough by a factor of a hundred. If all values are equal (gamma or the variance is 0), or
/// nearly equal, all results are positive, at least 1/2.
pub fn beta_clear_of_zero(src: &[f32], shape: Shape, gamma: &[f32], epsilon: f32) -> Vec<f32> {
    let pixels = shape[2] * shape[3];
    let beta = gamma.iter().enumerate().map(|(c, &gamma)| {
        let planes = src.chunks_exact(pixels).skip(c).step_by(shape[1]);
        let mut values: Vec<f64> = planes.flatten().map(|&value| f64::from(value)).collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
        let scale = f64::from(gamma) / (variance + f64::from(epsilon)).sqrt();
        values.iter_mut().for_each(|value| *value = (*value - mean) * scale);
        values.sort_by(f64::total_cmp);
        let middle = &values[values.len() / 4..values.len() - values.len() / 4];
        let gaps = middle.windows(2).map(|pair| (pair[1] - pair[0], (pair[0] + pair[1]) / 2.0));
        let (gap, at) = gaps.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((0.0, 0.0));
        if gap > 1e-4 { -at as f32 } else { (0.5 - values[0]) as f32 }
    });
    beta.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_mean_0_and_deviation_1() {
        let values = Inputs::new("values", DType::F32).plain(10_000, 0.0, 1.0);
        let mean = values.iter().sum::<f32>() / 1e4;
        let variance = values.iter().map(|v| v * v).sum::<f32>() / 1e4;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }

    #[test]
    fn distinct_values_are_distinct_and_exact() {
        for negative in [false, true] {
            let mut values = Inputs::new("distinct", DType::Bf16).distinct(Shape::nchw(1, 1, 16, 16), negative);
            assert!(values.iter().all(|&value| value == rounded(DType::Bf16, value) && value.abs() <= 16.0));
            assert_eq!(values.iter().all(|&value| value < 0.0), negative);
            values.sort_by(f32::total_cmp);
            values.dedup();
            assert_eq!(values.len(), 256);
        }
    }

    #[test]
    fn no_result_lies_near_zero() {
        let shape = Shape::nchw(4, 3, 20, 20);
        let mut inputs = Inputs::new("clear", DType::Bf16);
        let src = inputs.channels(shape);
        let gamma = [1.0, -2.0, 0.0];
        let beta = beta_clear_of_zero(&src, shape, &gamma, 1e-5);
        assert_eq!(beta[2], 0.5);
        for c in 0..2 {
            let values: Vec<f64> =
                src.chunks_exact(400).skip(c).step_by(3).flatten().map(|&value| f64::from(value)).collect();
            let mean = values.iter().sum::<f64>() / 1600.0;
            let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 1600.0 + 1e-5).sqrt();
            let results = values.iter().map(|v| f64::from(gamma[c]) * (v - mean) / deviation + f64::from(beta[c]));
            let positive = results.clone().filter(|&result| result > 0.0).count();
            assert!((400..=1200).contains(&positive), "channel {c} lets {positive} of 1600 through");
            assert!(results.map(f64::abs).fold(f64::MAX, f64::min) > 5e-5, "channel {c}");
        }
    }
}
