//! A counter-based random generator, and the parameters, pixels and labels of the golden cases that
//! are made with it.
//!
//! Value `index` of stream `name` depends on these two alone, and every step up to an `f32` is
//! exact. So `scripts/golden/networks.py` computes the same bits in NumPy, and neither side stores
//! a tensor. The golden files contain samples to check that both agree.

/// Which of a case's two networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// All residual branches are active, so that every parameter has a gradient to compare.
    Open,
    /// The last BatchNorm of every residual block has gamma 0 and a small beta; for training steps.
    Bn0,
}

/// The stream of a name: the 64-bit FNV-1a hash of its bytes.
pub fn stream(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |value, byte| (value ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// 64 random bits: output number `index`, from 0, of SplitMix64 with the state `stream`.
pub fn bits(stream: u64, index: usize) -> u64 {
    let z = stream.wrapping_add((index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A value in [-1, 1), exact in `f32`: the top 24 bits, centred, over 2²³.
pub fn uniform(stream: u64, index: usize) -> f32 {
    ((bits(stream, index) >> 40) as i32 - (1 << 23)) as f32 / (1 << 23) as f32
}

/// The initial values of torchvision's parameter `name`, row-major in its `shape`: (O, I, KH, KW)
/// for convolutions, (classes, features) for the classifier's weights. `arch` is "resnet18" or
/// "resnet50", or one of them with BlurPool or as ResNet-D.
///
/// Running means start at 0 and running variances at 1; they are not parameters.
pub fn initial_parameter(arch: &str, name: &str, shape: &[usize], start: Start) -> Vec<f32> {
    let stream = stream(name);
    let draws = (0..shape.iter().product()).map(|index| uniform(stream, index));
    match shape {
        // Kaiming, fan-out: a uniform distribution with standard deviation √(2 / (O·KH·KW)).
        &[outputs, _, height, width] => {
            let bound = (6.0 / (outputs * height * width) as f64).sqrt() as f32;
            draws.map(|u| u * bound).collect()
        }
        [_, _] => draws.map(|u| u * 0.02).collect(),
        _ if name == "fc.bias" => draws.map(|u| u * 0.1).collect(),
        _ if name.ends_with("weight") => {
            let closed = start == Start::Bn0 && is_last_of_block(arch, name);
            draws.map(|u| if closed { 0.0 } else { 1.0 + 0.2 * u }).collect()
        }
        _ => {
            let shift = beta_shift(arch, name, start);
            draws.enumerate().map(|(channel, u)| 0.1 * u + if channel % 2 == 0 { shift } else { -shift }).collect()
        }
    }
}

/// A batch of pixels, (N, H, W, 3) u8: a coarse grid of random levels, 16 pixels apart and
/// interpolated bilinearly, plus noise. `height` and `width` are multiples of 16.
pub fn images(salt: u64, step: usize, batch: usize, height: usize, width: usize) -> Vec<u8> {
    let (rows, columns) = (height / 16 + 1, width / 16 + 1);
    let grid = stream(&format!("images/{salt}/{step}/grid"));
    let noise = stream(&format!("images/{salt}/{step}/noise"));
    let mut pixels = Vec::with_capacity(batch * height * width * 3);
    for image in 0..batch {
        let knot = |row: usize, column: usize, channel: usize| {
            (bits(grid, ((image * rows + row) * columns + column) * 3 + channel) >> 57) as usize
        };
        for y in 0..height {
            for x in 0..width {
                let (row, column, down, right) = (y / 16, x / 16, y % 16, x % 16);
                for channel in 0..3 {
                    let smooth = (knot(row, column, channel) * (16 - down) * (16 - right)
                        + knot(row, column + 1, channel) * (16 - down) * right
                        + knot(row + 1, column, channel) * down * (16 - right)
                        + knot(row + 1, column + 1, channel) * down * right)
                        / 256;
                    let noise = (bits(noise, pixels.len()) >> 57) as usize;
                    pixels.push((smooth + noise) as u8);
                }
            }
        }
    }
    pixels
}

/// A batch of labels, (N), each in 0..classes.
pub fn labels(salt: u64, step: usize, batch: usize, classes: usize) -> Vec<u32> {
    let stream = stream(&format!("labels/{salt}/{step}"));
    (0..batch).map(|index| ((bits(stream, index) >> 33) % classes as u64) as u32).collect()
}

/// The recipe's normalisation of pixels, (…, 3) u8 to (…, 3) f32, rounded once from float64.
pub fn normalised(pixels: &[u8]) -> Vec<f32> {
    const MEAN: [f64; 3] = [0.485, 0.456, 0.406];
    const DEVIATION: [f64; 3] = [0.229, 0.224, 0.225];
    let value = |(i, &p): (usize, &u8)| ((f64::from(p) - MEAN[i % 3] * 255.0) / (DEVIATION[i % 3] * 255.0)) as f32;
    pixels.iter().enumerate().map(value).collect()
}

/// Betas are shifted up and down in turn, to keep ReLU's arguments off zero; the script says why.
fn beta_shift(arch: &str, name: &str, start: Start) -> f32 {
    match start {
        Start::Bn0 if is_last_of_block(arch, name) => 0.0,
        Start::Open if name.contains("downsample") => 1.0,
        Start::Bn0 | Start::Open => 2.5,
    }
}

fn is_last_of_block(arch: &str, name: &str) -> bool {
    name.contains(if arch.starts_with("resnet50") { ".bn3." } else { ".bn2." })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_and_bits_are_the_published_algorithms() {
        // FNV's own test vector for "foobar", and SplitMix64's first outputs from state 0.
        assert_eq!(stream("foobar"), 0x8594_4171_f739_67e8);
        assert_eq!(bits(0, 0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(bits(0, 1), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn uniform_fills_its_interval_evenly() {
        let stream = stream("uniform");
        let draws: Vec<f64> = (0..100_000).map(|i| f64::from(uniform(stream, i))).collect();
        assert!(draws.iter().all(|u| (-1.0..1.0).contains(u)));
        let mean = draws.iter().sum::<f64>() / 1e5;
        let variance = draws.iter().map(|u| u * u).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.01 && (variance - 1.0 / 3.0).abs() < 0.005, "mean {mean}, variance {variance}");
    }

    #[test]
    fn bn0_closes_only_the_last_norm_of_a_block() {
        let gamma = |arch, name| initial_parameter(arch, name, &[64], Start::Bn0)[0];
        assert_eq!(gamma("resnet18", "layer1.0.bn2.weight"), 0.0);
        assert_ne!(gamma("resnet18", "layer1.0.bn1.weight"), 0.0);
        assert_eq!(gamma("resnet50", "layer1.0.bn3.weight"), 0.0);
        assert_ne!(gamma("resnet50", "layer1.0.bn2.weight"), 0.0);
        assert_ne!(initial_parameter("resnet18", "layer1.0.bn2.weight", &[64], Start::Open)[0], 0.0);
    }

    #[test]
    fn normalisation_is_the_recipes() {
        let expected = [(0.0 - 0.485 * 255.0) / (0.229 * 255.0), (255.0 - 0.456 * 255.0) / (0.224 * 255.0), 0.0];
        let actual = normalised(&[0, 255, 104]);
        assert!((f64::from(actual[0]) - expected[0]).abs() < 1e-6 && (f64::from(actual[1]) - expected[1]).abs() < 1e-6);
        assert!(actual[2].abs() < 0.01);
    }
}
