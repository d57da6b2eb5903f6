//! Colour jitter: brightness, contrast and saturation change at random, as torchvision's
//! `ColorJitter` changes PIL images. The arithmetic is that of Pillow's `ImageEnhance`, bit for bit.

use in18_random::{Draws, Purpose, shuffle};

/// How far the colours of an image change. With j, a factor is uniform in `[max(0, 1 − j), 1 + j]`;
/// 0 switches a change off.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Jitter {
    /// Factor 0 gives black.
    pub brightness: f64,
    /// Factor 0 gives the image's mean grey.
    pub contrast: f64,
    /// Factor 0 gives a grey image.
    pub saturation: f64,
}

/// A change of all of an image's colours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Change {
    Brightness,
    Contrast,
    Saturation,
}

/// Draws the changes of the image with number `image`, in their order, with their factors.
pub(crate) fn draw(jitter: Jitter, seed: u64, epoch: u32, image: u32) -> [Option<(Change, f32)>; 3] {
    let Jitter { brightness, contrast, saturation } = jitter;
    if jitter == Jitter::default() {
        return [None; 3];
    }
    let mut draws = Draws::new(seed, Purpose::Jitter, (epoch, image));
    let all = [(Change::Brightness, brightness), (Change::Contrast, contrast), (Change::Saturation, saturation)];
    // Each factor is drawn in any case, so that none depends on whether another change is on.
    let mut changes = all.map(|(change, most)| {
        let factor = draws.uniform((1.0 - most).max(0.0), 1.0 + most) as f32;
        (most > 0.0).then_some((change, factor))
    });
    shuffle(&mut draws, &mut changes);
    changes
}

impl Change {
    /// Changes an image, (H, W, 3).
    pub(crate) fn apply(self, factor: f32, pixels: &mut [u8]) {
        match self {
            Change::Brightness => away_from(0, factor, pixels),
            Change::Contrast => away_from(mean_grey(pixels), factor, pixels),
            Change::Saturation => {
                for pixel in pixels.chunks_exact_mut(3) {
                    let grey = grey(pixel);
                    pixel.iter_mut().for_each(|value| *value = blend(grey, *value, factor));
                }
            }
        }
    }
}

/// Moves every value away from one level, or towards it if the factor is below 1.
fn away_from(level: u8, factor: f32, pixels: &mut [u8]) {
    let table: [u8; 256] = std::array::from_fn(|value| blend(level, value as u8, factor));
    pixels.iter_mut().for_each(|value| *value = table[usize::from(*value)]);
}

/// Pillow's `Image.blend`, in single precision; rounded towards zero, and clipped.
fn blend(from: u8, to: u8, factor: f32) -> u8 {
    (f32::from(from) + factor * (f32::from(to) - f32::from(from))) as u8
}

/// Pillow's `convert("L")`: ITU-R 601-2 luma with weights of 16 bits, to the nearest.
fn grey(pixel: &[u8]) -> u8 {
    let [red, green, blue] = [0, 1, 2].map(|channel| u32::from(pixel[channel]));
    ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16) as u8
}

/// The mean of the grey image, to the nearest.
fn mean_grey(pixels: &[u8]) -> u8 {
    let sum: u64 = pixels.chunks_exact(3).map(|pixel| u64::from(grey(pixel))).sum();
    (sum as f64 / (pixels.len() / 3) as f64 + 0.5) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    #[test]
    fn pixels_are_pillows() {
        for mut golden in golden::of("jitter") {
            for change in golden.parameters.split(',') {
                let (name, factor) = change.split_once('=').unwrap();
                let change = match name {
                    "brightness" => Change::Brightness,
                    "contrast" => Change::Contrast,
                    _ => Change::Saturation,
                };
                change.apply(factor.parse().unwrap(), &mut golden.before);
            }
            assert!(golden.before == golden.after, "{}", golden.parameters);
        }
    }

    #[test]
    fn factors_and_orders_are_even() {
        let jitter = Jitter { brightness: 0.4, contrast: 0.2, saturation: 1.5 };
        let all: Vec<_> = (0..6000).map(|image| draw(jitter, 1, 2, image)).collect();
        for (change, [low, high]) in
            [(Change::Brightness, [0.6, 1.4]), (Change::Contrast, [0.8, 1.2]), (Change::Saturation, [0.0, 2.5])]
        {
            let factors = all.iter().flatten().flatten().filter(|it| it.0 == change).map(|it| it.1);
            let (least, most) = factors.clone().fold((9f32, -9f32), |(least, most), it| (least.min(it), most.max(it)));
            let mean = factors.clone().map(f64::from).sum::<f64>() / 6000.0;
            assert!(factors.count() == 6000 && least >= low && most <= high);
            let middle = f64::from(low + high) / 2.0;
            assert!((mean - middle).abs() < 0.03, "{change:?}: {mean}");
            for place in 0..3 {
                let there = all.iter().filter(|it| it[place].unwrap().0 == change).count();
                assert!(there.abs_diff(2000) < 200, "{change:?} at {place}: {there}");
            }
        }
    }

    #[test]
    fn what_is_off_leaves_the_others_alone() {
        assert_eq!(draw(Jitter::default(), 1, 2, 3), [None; 3]);
        let all = Jitter { brightness: 0.4, contrast: 0.4, saturation: 0.4 };
        for image in 0..100 {
            let (with, without) = (draw(all, 1, 2, image), draw(Jitter { contrast: 0.0, ..all }, 1, 2, image));
            for (with, without) in with.into_iter().zip(without) {
                assert_eq!(without, with.filter(|it| it.0 != Change::Contrast));
            }
        }
    }
}
