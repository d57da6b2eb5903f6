//! The training augmentation's geometry: torchvision's `RandomResizedCrop.get_params` and a flip.

use in18_image::{Crop, Size};
use in18_random::{Draws, Purpose};

use crate::plan::{Augmentation, Flip};

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
    /// Draws crop and flip of the image with number `image` and size `size`.
    pub fn draw(augmentation: &Augmentation, image: u32, size: Size) -> Self {
        let &Augmentation { seed, epoch, .. } = augmentation;
        let mut draws = Draws::new(seed, Purpose::Augmentation, (epoch, image));
        // The flip comes first. It is then the same, however many tries the crop takes. It is drawn
        // in any case, so that crops do not depend on flips.
        let coin = draws.bits() >> 63 == 1;
        let flip = match augmentation.flip {
            Flip::None => false,
            Flip::Random => coin,
            Flip::Alternating => {
                let first = Draws::new(seed, Purpose::Flip, (image, 0)).bits() >> 63 == 1;
                first ^ (epoch % 2 == 1)
            }
        };
        let crop = random_resized_crop(&mut draws, size, augmentation);
        Self { crop, flip }
    }
}

/// torchvision's random resized crop. It tries up to ten times: an area share that is uniform in
/// `[min_scale, max_scale]`, a width / height that is log-uniform in `ratio`, and, if such a crop
/// fits, a uniform corner. If none fits, it takes the largest central crop with the image's own ratio,
/// clamped to those bounds. Sizes are rounded half to even, as Python rounds.
pub fn random_resized_crop(draws: &mut Draws, size: Size, augmentation: &Augmentation) -> Crop {
    let &Augmentation { min_scale, max_scale, ratio: [low, high], .. } = augmentation;
    let area = size.pixels() as f64;
    for _ in 0..TRIES {
        let target = area * draws.uniform(min_scale, max_scale);
        let ratio = draws.uniform(low.ln(), high.ln()).exp();
        let width = (target * ratio).sqrt().round_ties_even() as u32;
        let height = (target / ratio).sqrt().round_ties_even() as u32;
        if (1..=size.width).contains(&width) && (1..=size.height).contains(&height) {
            let top = draws.below(u64::from(size.height - height) + 1) as u32;
            let left = draws.below(u64::from(size.width - width) + 1) as u32;
            return Crop { left, top, width, height };
        }
    }
    central_crop(size, [low, high])
}

fn central_crop(size: Size, [low, high]: [f64; 2]) -> Crop {
    let Size { width, height } = size;
    let ratio = f64::from(width) / f64::from(height);
    let (width, height) = if ratio < low {
        let height = (f64::from(width) / low).round_ties_even() as u32;
        (width, height)
    } else if ratio > high {
        let width = (f64::from(height) * high).round_ties_even() as u32;
        (width, height)
    } else {
        (width, height)
    };
    // A ratio far from 1 can round a side of a thin image to nothing.
    let (width, height) = (width.max(1), height.max(1));
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

    const RATIO: [f64; 2] = [3.0 / 4.0, 4.0 / 3.0];

    fn crops(size: Size, min_scale: f64) -> Vec<FlipAndCrop> {
        (0..N).map(|image| FlipAndCrop::draw(&Augmentation::torchvision(3, 1, min_scale), image, size)).collect()
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
        let [low, high] = RATIO.map(f64::ln);
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
    fn bounds_are_kept() {
        let bounds = Augmentation { max_scale: 0.5, ratio: [1.0, 2.0], ..Augmentation::torchvision(3, 1, 0.25) };
        let size = Size::new(4000, 4000);
        let shares: Vec<f64> = (0..1000)
            .map(|image| {
                let Crop { width, height, .. } = FlipAndCrop::draw(&bounds, image, size).crop;
                let ratio = f64::from(width) / f64::from(height);
                assert!((0.999..2.001).contains(&ratio), "{ratio}");
                f64::from(width) * f64::from(height) / size.pixels() as f64
            })
            .collect();
        assert!(shares.iter().all(|share| (0.249..0.501).contains(share)));
        assert!(shares.iter().any(|&share| share < 0.26) && shares.iter().any(|&share| share > 0.49));
        // A wide image of one row has a crop of one row.
        let thin = Augmentation { ratio: [4.0, 4.0], ..bounds };
        assert!(FlipAndCrop::draw(&thin, 0, Size::new(1, 9)).crop.fits(Size::new(1, 9)));
    }

    #[test]
    fn alternating_flips_show_both_sides_in_two_epochs_and_leave_crops_alone() {
        let size = Size::new(100, 100);
        let epoch = |epoch, flip| {
            let augmentation = Augmentation { flip, ..Augmentation::torchvision(3, epoch, 0.08) };
            (0..1000).map(|image| FlipAndCrop::draw(&augmentation, image, size)).collect::<Vec<_>>()
        };
        let [first, second, third] = [0, 1, 2].map(|number| epoch(number, Flip::Alternating));
        let flips = |all: &[FlipAndCrop]| all.iter().map(|one| one.flip).collect::<Vec<bool>>();
        assert!(flips(&first).iter().zip(flips(&second)).all(|(&one, other)| one != other));
        assert_eq!(flips(&first), flips(&third));
        let count = flips(&first).iter().filter(|&&flip| flip).count();
        assert!(count.abs_diff(500) < 60, "{count}");
        for (one, other) in first.iter().zip(epoch(0, Flip::Random)).chain(first.iter().zip(epoch(0, Flip::None))) {
            assert_eq!(one.crop, other.crop);
        }
        assert!(flips(&epoch(0, Flip::None)).iter().all(|flip| !flip));
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
            assert_eq!(central_crop(Size::new(width, height), RATIO), expected);
        }
        // The whole area of a very wide image never fits.
        let mut draws = Draws::new(0, Purpose::Augmentation, (0, 0));
        let whole = Augmentation::torchvision(0, 0, 1.0);
        assert_eq!(
            random_resized_crop(&mut draws, Size::new(1000, 10), &whole),
            central_crop(Size::new(1000, 10), RATIO)
        );
    }
}
