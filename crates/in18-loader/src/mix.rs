//! Mixing the images of a batch: mixup and cutmix, as timm's `FastCollateMixup` does it.
//!
//! Image i is mixed with image N − 1 − i, after both are decoded, cropped and flipped. All images of
//! a batch are mixed in the same way. What that way is, the plan draws before the first image is
//! read. So it does not matter which thread mixes which pair, nor when.

use in18_image::{Crop, Size};
use in18_random::{Draws, Purpose};

/// How often, and how strongly, the images of a batch are mixed. 0 switches either kind off. With
/// both on, each batch takes one of them, with a probability of ½.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Mixing {
    /// α of mixup's shares, which are Beta(α, α) (Zhang et al., *mixup: Beyond Empirical Risk
    /// Minimization*, 2018).
    pub mixup: f64,
    /// α of cutmix's shares (Yun et al., *CutMix*, 2019).
    pub cutmix: f64,
}

/// How the images of one batch are mixed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mix {
    /// Mixup: each pixel is the weighted mean of two, rounded to the nearest (ties to even).
    Blend {
        /// The weight of an image's own pixels, from 0 to 1.
        share: f32,
    },
    /// Cutmix: a rectangle comes from the other image.
    Paste {
        /// The rectangle, which may be empty.
        area: Crop,
        /// The share of an image's area that stays its own.
        share: f32,
    },
}

/// What is mixed into the images of a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MixedIn<'a> {
    /// (N): the class of the image that is mixed into each image.
    pub labels: &'a [i32],
    /// How much each image's own class counts, from 0 to 1. The other class counts the rest.
    pub share: f32,
}

impl Mixing {
    /// Whether batches are mixed at all.
    pub fn is_on(self) -> bool {
        self.mixup > 0.0 || self.cutmix > 0.0
    }
}

impl Mix {
    /// Draws how a batch of images of this size is mixed. `place` is the batch's place among those
    /// of all ranks, so that each rank mixes its images in its own way. `None` if nothing is mixed.
    pub(crate) fn draw(mixing: Mixing, (seed, epoch, place): (u64, u32, u32), size: Size) -> Option<Self> {
        let Mixing { mixup, cutmix } = mixing;
        if !mixing.is_on() {
            return None;
        }
        let mut draws = Draws::new(seed, Purpose::Mixing, (epoch, place));
        let coin = draws.bits() >> 63 == 1;
        let pastes = if mixup > 0.0 && cutmix > 0.0 { coin } else { cutmix > 0.0 };
        // Pixels and labels must have the same share, so it is rounded to its type here.
        let share = draws.beta(if pastes { cutmix } else { mixup }) as f32;
        if !pastes {
            return Some(Mix::Blend { share });
        }
        let centre = (draws.below(u64::from(size.width)) as u32, draws.below(u64::from(size.height)) as u32);
        Some(Mix::paste(share, centre, size))
    }

    /// The rectangle of an area share of 1 − `share` around a centre (x, y) inside an image of this
    /// size, clipped at the image's border. The mix's share is what the clipped rectangle leaves.
    pub fn paste(share: f32, centre: (u32, u32), size: Size) -> Self {
        let side = (1.0 - f64::from(share)).sqrt();
        let range = |centre: u32, extent: u32| {
            let half = (f64::from(extent) * side) as u32 / 2;
            let low = centre.saturating_sub(half);
            (low, (centre + half).min(extent) - low)
        };
        let ((left, width), (top, height)) = (range(centre.0, size.width), range(centre.1, size.height));
        let area = Crop { left, top, width, height };
        let share = 1.0 - area.size().pixels() as f64 / size.pixels() as f64;
        Mix::Paste { area, share: share as f32 }
    }

    /// How much each image's own class counts.
    pub fn share(self) -> f32 {
        match self {
            Mix::Blend { share } | Mix::Paste { share, .. } => share,
        }
    }

    /// The place of the image that is mixed into the one at this place of a batch of `images`. The
    /// middle image of an odd batch is its own partner, and stays as it is.
    pub fn partner(place: usize, images: usize) -> usize {
        images - 1 - place
    }

    /// Mixes two images of `width` pixels, each (H, W, 3), into each other.
    pub fn mix(self, width: u32, one: &mut [u8], other: &mut [u8]) {
        match self {
            Mix::Blend { share } => blend(share, one, other),
            Mix::Paste { area, .. } => {
                let row =
                    |y: u32| (y * width + area.left) as usize * 3..(y * width + area.left + area.width) as usize * 3;
                for y in area.top..area.top + area.height {
                    one[row(y)].swap_with_slice(&mut other[row(y)]);
                }
            }
        }
    }

    /// Mixes all images of a batch, (N, H, W, 3), each `size.bytes()` long.
    pub fn mix_batch(self, size: Size, pixels: &mut [u8]) {
        let (bytes, images) = (size.bytes(), pixels.len() / size.bytes());
        let (first, last) = pixels.split_at_mut(images.div_ceil(2) * bytes);
        for (one, other) in first.chunks_exact_mut(bytes).zip(last.chunks_exact_mut(bytes).rev()) {
            self.mix(size.width, one, other);
        }
    }
}

/// Adding this to a number from 0 to 2^22 rounds the number to an integer, ties to even, which then
/// stands in the low bits. Unlike `round_ties_even`, the addition exists in all vector instruction
/// sets.
const ROUNDS: f32 = (3 << 22) as f32;

/// Single precision with one rounding each for both products and their sum, as NumPy computes it.
fn blend(share: f32, one: &mut [u8], other: &mut [u8]) {
    let rest = 1.0 - share;
    for (one, other) in one.iter_mut().zip(other) {
        let (a, b) = (f32::from(*one), f32::from(*other));
        *one = (a * share + b * rest + ROUNDS).to_bits() as u8;
        *other = (b * share + a * rest + ROUNDS).to_bits() as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    #[test]
    fn pixels_and_shares_are_timms() {
        for mut golden in golden::of("blend") {
            let mix = Mix::Blend { share: golden.parameters.parse().unwrap() };
            mix.mix_batch(golden.size, &mut golden.before);
            assert!(golden.before == golden.after, "{mix:?}");
        }
        for mut golden in golden::of("paste") {
            let numbers: Vec<&str> = golden.parameters.split(',').collect();
            let [x, y] = [1, 2].map(|at| numbers[at].parse().unwrap());
            let mix = Mix::paste(numbers[0].parse().unwrap(), (x, y), golden.size);
            mix.mix_batch(golden.size, &mut golden.before);
            assert!(golden.before == golden.after, "{mix:?}");
            assert_eq!(Some(mix.share()), golden.share, "{mix:?}");
        }
    }

    fn mixing(mixup: f64, cutmix: f64) -> Mixing {
        Mixing { mixup, cutmix }
    }

    fn batch(size: Size, images: usize) -> Vec<u8> {
        (0..images * size.bytes()).map(|i| (i * 7919 % 251) as u8).collect()
    }

    #[test]
    fn settings_choose_the_kind() {
        let draw = |mixing, place| Mix::draw(mixing, (3, 1, place), Size::new(32, 32));
        let pastes = |mixing| {
            let all = (0..1000).map(|place| draw(mixing, place).unwrap());
            all.filter(|mix| matches!(mix, Mix::Paste { .. })).count()
        };
        assert!((0..100).all(|place| draw(mixing(0.0, 0.0), place).is_none()));
        assert_eq!((pastes(mixing(0.2, 0.0)), pastes(mixing(0.0, 1.0))), (0, 1000));
        assert!(pastes(mixing(0.2, 1.0)).abs_diff(500) < 60);
        // Which kind a batch takes does not depend on how strong either is.
        for place in 0..100 {
            let kinds = [mixing(0.2, 1.0), mixing(3.0, 0.1)]
                .map(|mixing| matches!(draw(mixing, place), Some(Mix::Paste { .. })));
            assert_eq!(kinds[0], kinds[1]);
        }
        assert_eq!(draw(mixing(0.2, 1.0), 5), draw(mixing(0.2, 1.0), 5));
        let all = |seed, epoch| {
            (0..9).map(|place| Mix::draw(mixing(1.0, 0.0), (seed, epoch, place), Size::new(8, 8))).collect()
        };
        let [base, seed, epoch]: [Vec<_>; 3] = [all(1, 2), all(2, 2), all(1, 3)];
        assert!(base != seed && base != epoch && base.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn rectangles_lie_within_the_image_and_have_the_share_that_is_told() {
        let size = Size::new(37, 29);
        let (mut sum, mut corners) = (0.0, 0);
        for place in 0..2000 {
            let Some(Mix::Paste { area, share }) = Mix::draw(mixing(0.0, 1.0), (7, 0, place), size) else {
                panic!("no rectangle");
            };
            assert!(area.left + area.width <= size.width && area.top + area.height <= size.height, "{area:?}");
            let outside = 1.0 - area.size().pixels() as f64 / size.pixels() as f64;
            assert_eq!(share, outside as f32);
            // The shares of both labels sum to 1 exactly.
            assert_eq!(share + (1.0 - share), 1.0);
            sum += f64::from(share);
            corners += usize::from(area.left == 0 && area.top == 0);
        }
        // Shares are uniform, and clipping makes rectangles smaller.
        assert!((0.5..0.8).contains(&(sum / 2000.0)), "{}", sum / 2000.0);
        assert!(corners > 50);
    }

    #[test]
    fn shares_of_a_blend_sum_to_one() {
        for place in 0..10_000 {
            let share = Mix::draw(mixing(0.4, 0.0), (1, 0, place), Size::new(8, 8)).unwrap().share();
            assert!((0.0..=1.0).contains(&share) && share + (1.0 - share) == 1.0, "{share}");
        }
    }

    #[test]
    fn pixels_outside_a_rectangle_stay_and_those_inside_are_exchanged() {
        let size = Size::new(21, 13);
        for images in 1..6 {
            for place in 0..50 {
                let mix = Mix::draw(mixing(0.0, 1.0), (9, 4, place), size).unwrap();
                let Mix::Paste { area, .. } = mix else { panic!("no rectangle") };
                let (before, mut after) = (batch(size, images), batch(size, images));
                mix.mix_batch(size, &mut after);
                for (at, pixel) in after.iter().enumerate() {
                    let (image, inside) = (at / size.bytes(), at % size.bytes());
                    let (x, y) = (inside as u32 / 3 % size.width, inside as u32 / 3 / size.width);
                    let is_in = (area.left..area.left + area.width).contains(&x)
                        && (area.top..area.top + area.height).contains(&y);
                    let from = if is_in { Mix::partner(image, images) } else { image };
                    assert_eq!(*pixel, before[from * size.bytes() + inside], "{images} images, {area:?}, {at}");
                }
            }
        }
    }

    /// Every pair of bytes, against the formula in double precision. They may differ where that is
    /// within single precision's rounding of a half.
    #[test]
    fn blends_are_weighted_means_to_the_nearest() {
        for share in [0.0, 1.0, 0.5, 0.25, 0.1, 0.7654321, 1e-9] {
            for a in 0..=255 {
                let (mut one, mut other) = (vec![a; 256], (0..=255).collect::<Vec<u8>>());
                blend(share, &mut one, &mut other);
                for b in 0..=255 {
                    let (share, [a, b]) = (f64::from(share), [a, b].map(f64::from));
                    for (found, expected) in [
                        (one[b as usize], a * share + b * (1.0 - share)),
                        (other[b as usize], b * share + a * (1.0 - share)),
                    ] {
                        assert!((f64::from(found) - expected).abs() < 0.5 + 1e-4, "{a}, {b}, {share}: {found}");
                    }
                }
            }
        }
    }
}
