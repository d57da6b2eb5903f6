//! The training augmentation's geometry: torchvision's `RandomResizedCrop.get_params` and a flip.

use in18_image::{Crop, Size};
use in18_random::{Draws, Purpose};

use crate::plan::Augmentation;

/// Bounds of a crop's width / height.
const RATIO: (f64, f64) = (3.0 / 4.0, 4.0 / 3.0);

const TRIES: usize = 10;

/// The random part of what training does to one image in one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlipAndCrop {
    /// What is cut out, before resizing.
    pub crop: Crop,
    /// Whether the result is mirrored left to right.
    pub flip: bool,
}

impl FlipAndCrop {
    /// Draws crop and flip (probability 1/2) of the image with number `image` and size `size`.
    pub fn draw(augmentation: &Augmentation, image: u32, size: Size) -> Self {
        let &Augmentation { seed, epoch, min_scale } = augmentation;
        let mut draws = Draws::new(seed, Purpose::Augmentation, (epoch, image));
        // The flip comes first. It is then the same, however many tries the crop takes.
        let flip = draws.bits() >> 63 == 1;
        let crop = random_resized_crop(&mut draws, size, min_scale);
        Self { crop, flip }
    }
}

/// torchvision's random resized crop. It tries up to ten times: an area share that is uniform in
/// `[min_scale, 1]`, a width / height that is log-uniform in [3/4, 4/3], and, if such a crop fits,
/// a uniform corner. If none fits, it takes the largest central crop with the image's own ratio,
/// clamped to those bounds. Sizes are rounded half to even, as Python rounds.
pub fn random_resized_crop(draws: &mut Draws, size: Size, min_scale: f64) -> Crop {
    let area = size.pixels() as f64;
    for _ in 0..TRIES {
        let target = area * draws.uniform(min_scale, 1.0);
        let ratio = draws.uniform(RATIO.0.ln(), RATIO.1.ln()).exp();
        let width = (target * ratio).sqrt().round_ties_even() as u32;
        let height = (target / ratio).sqrt().round_ties_even() as u32;
        if (1..=size.width).contains(&width) && (1..=size.height).contains(&height) {
            let top = draws.below(u64::from(size.height - height) + 1) as u32;
            let left = draws.below(u64::from(size.width - width) + 1) as u32;
            return Crop { left, top, width, height };
        }
    }
    central_crop(size)
}

fn central_crop(size: Size) -> Crop {
    let Size { width, height } = size;
    let ratio = f64::from(width) / f64::from(height);
    let (width, height) = if ratio < RATIO.0 {
        let height = (f64::from(width) / RATIO.0).round_ties_even() as u32;
        (width, height)
    } else if ratio > RATIO.1 {
        let width = (f64::from(height) * RATIO.1).round_ties_even() as u32;
        (width, height)
    } else {
        (width, height)
    };
    Crop { left: (size.width - width) / 2, top: (size.height - height) / 2, width, height }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Largest distance between the empirical distribution of `values` and a cumulative
    /// distribution function: Kolmogorov and Smirnov's D. For n values of that distribution it
    /// exceeds 1.95 / sqrt(n) once in 1000 times.
    fn distance(mut values: Vec<f64>, cdf: impl Fn(f64) -> f64) -> f64 {
        values.sort_by(f64::total_cmp);
        let n = values.len() as f64;
        values
            .iter()
            .enumerate()
            .map(|(i, &v)| {
                let p = cdf(v);
                (p - i as f64 / n).abs().max((p - (i + 1) as f64 / n).abs())
            })
            .fold(0.0, f64::max)
    }

    const N: u32 = 20_000;

    fn crops(size: Size, min_scale: f64) -> Vec<FlipAndCrop> {
        (0..N).map(|image| FlipAndCrop::draw(&Augmentation { seed: 3, epoch: 1, min_scale }, image, size)).collect()
    }

    #[test]
    fn area_ratio_and_corner_have_the_recipes_distribution() {
        // Scales up to 1/2 of a square always fit (sqrt(1/2 · 4/3) < 1). No try is lost then, and
        // the distributions are exactly the recipe's. Scales go up to 1, so the test looks at those
        // below 1/2.
        let size = Size::new(4000, 4000);
        let bound = 1.95 / f64::from(N / 3).sqrt();
        let all = crops(size, 0.08);
        let shares = |c: &Crop| c.size().pixels() as f64 / size.pixels() as f64;
        let small: Vec<Crop> = all.iter().map(|c| c.crop).filter(|c| shares(c) < 0.5).collect();
        assert!(small.len() > N as usize / 3);

        let d = distance(small.iter().map(shares).collect(), |s| (s - 0.08) / 0.42);
        assert!(d < bound, "area share: {d}");
        let (low, high) = (RATIO.0.ln(), RATIO.1.ln());
        let ratios = small.iter().map(|c| (f64::from(c.width) / f64::from(c.height)).ln()).collect();
        let d = distance(ratios, |r| ((r - low) / (high - low)).clamp(0.0, 1.0));
        assert!(d < bound, "log ratio: {d}");
        for (name, place) in [
            ("left", (|c| f64::from(c.left) / f64::from(4000 - c.width)) as fn(&Crop) -> f64),
            ("top", |c| f64::from(c.top) / f64::from(4000 - c.height)),
        ] {
            let d = distance(small.iter().map(place).collect(), |p| p);
            assert!(d < bound, "{name}: {d}");
        }
        let flips = all.iter().filter(|c| c.flip).count();
        assert!(flips.abs_diff(N as usize / 2) < 300, "{flips} flips");
    }

    #[test]
    fn every_corner_is_reached() {
        // Half of the area of 5 x 5 pixels: crops of 3 x 4 and similar sizes have few corners.
        let mut seen = std::collections::HashSet::new();
        for c in crops(Size::new(5, 5), 0.08) {
            assert!(c.crop.fits(Size::new(5, 5)), "{c:?}");
            if c.crop.size() == Size::new(3, 3) {
                seen.insert((c.crop.left, c.crop.top));
            }
        }
        assert_eq!(seen.len(), 9);
    }

    #[test]
    fn min_scale_is_kept() {
        let size = Size::new(500, 375);
        for c in crops(size, 0.35) {
            let share = c.crop.size().pixels() as f64 / size.pixels() as f64;
            assert!(share > 0.345, "{c:?}");
        }
    }

    #[test]
    fn images_that_no_crop_fits_get_the_central_one() {
        // (size, left, top, width, height), from torchvision's get_params with a scale of (1, 1).
        let cases = [
            ((1000, 10), (493, 0, 13, 10)),
            ((10, 1000), (0, 493, 10, 13)),
            ((100, 75), (0, 0, 100, 75)),
            ((1, 1), (0, 0, 1, 1)),
            ((1, 3), (0, 1, 1, 1)),
            ((2, 9), (0, 3, 2, 3)), // 2 / 0.75 = 2.67
        ];
        for ((width, height), (left, top, crop_width, crop_height)) in cases {
            let expected = Crop { left, top, width: crop_width, height: crop_height };
            assert_eq!(central_crop(Size::new(width, height)), expected);
        }
        // The whole area of a very wide image never fits.
        let mut draws = Draws::new(0, Purpose::Augmentation, (0, 0));
        assert_eq!(random_resized_crop(&mut draws, Size::new(1000, 10), 1.0), central_crop(Size::new(1000, 10)));
    }
}
