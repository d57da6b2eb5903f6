//! Random erasing (Zhong et al., *Random Erasing Data Augmentation*, 2020): a rectangle of an image
//! is painted over, as timm's `RandomErasing` does it in its mode `const`.

use in18_image::{Crop, Size};
use in18_random::{Draws, Purpose};

use crate::plan::Augmentation;

/// ImageNet's mean colour, 255·(0.485, 0.456, 0.406) to the nearest: 0 after normalisation, to
/// within 0.009.
const MEAN: [u8; 3] = [124, 116, 104];

/// Bounds of the rectangle's share of the area.
const AREA: [f64; 2] = [0.02, 1.0 / 3.0];

/// Bounds of the rectangle's height / width.
const RATIO: [f64; 2] = [0.3, 1.0 / 0.3];

const TRIES: usize = 10;

/// Draws what is erased from the image with number `image`, once it has its size in the batch.
/// `None` if nothing is.
pub(crate) fn draw(augmentation: &Augmentation, image: u32, size: Size) -> Option<Crop> {
    let &Augmentation { seed, epoch, erase, .. } = augmentation;
    if erase == 0.0 {
        return None;
    }
    let mut draws = Draws::new(seed, Purpose::Erasing, (epoch, image));
    if draws.uniform(0.0, 1.0) >= erase {
        return None;
    }
    for _ in 0..TRIES {
        let area = size.pixels() as f64 * draws.uniform(AREA[0], AREA[1]);
        let ratio = draws.uniform(RATIO[0].ln(), RATIO[1].ln()).exp();
        let height = (area * ratio).sqrt().round_ties_even() as u32;
        let width = (area / ratio).sqrt().round_ties_even() as u32;
        if width < size.width && height < size.height {
            let top = draws.below(u64::from(size.height - height) + 1) as u32;
            let left = draws.below(u64::from(size.width - width) + 1) as u32;
            return Some(Crop { left, top, width, height });
        }
    }
    None
}

/// Paints a rectangle of an image of `width` pixels, (H, W, 3), in the mean colour.
pub(crate) fn erase(area: Crop, width: u32, pixels: &mut [u8]) {
    for y in area.top..area.top + area.height {
        let start = (y * width + area.left) as usize * 3;
        for pixel in pixels[start..start + area.width as usize * 3].chunks_exact_mut(3) {
            pixel.copy_from_slice(&MEAN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(erase: f64, size: Size) -> Vec<Option<Crop>> {
        let augmentation = Augmentation { erase, ..Augmentation::torchvision(3, 2, 0.08) };
        (0..4000).map(|image| draw(&augmentation, image, size)).collect()
    }

    #[test]
    fn rectangles_have_timms_distribution() {
        let size = Size::new(400, 300);
        let all: Vec<Crop> = drawn(1.0, size).into_iter().flatten().collect();
        // A try fails only where a side is longer than the image's.
        assert!(all.len() > 3990, "{}", all.len());
        let mut areas: Vec<f64> = all.iter().map(|it| it.size().pixels() as f64 / size.pixels() as f64).collect();
        areas.sort_by(f64::total_cmp);
        assert!(areas[0] > 0.019 && areas[areas.len() - 1] < 0.335);
        // Uniform: the median lies in the middle, but for what does not fit.
        assert!((areas[areas.len() / 2] - (AREA[0] + AREA[1]) / 2.0).abs() < 0.02, "{}", areas[areas.len() / 2]);
        for it in &all {
            let ratio = f64::from(it.height) / f64::from(it.width);
            assert!((0.28..3.5).contains(&ratio) && it.fits(size), "{it:?}");
        }
        let tall = all.iter().filter(|it| it.height > it.width).count();
        assert!(tall.abs_diff(all.len() / 2) < 250, "{tall}");
        let reach = |edge: fn(&Crop) -> bool| all.iter().filter(|it| edge(it)).count() > 5;
        assert!(reach(|it| it.left == 0) && reach(|it| it.left + it.width == 400));
        assert!(reach(|it| it.top == 0) && reach(|it| it.top + it.height == 300));
    }

    #[test]
    fn as_many_images_are_erased_as_the_probability_says() {
        let erased = |erase| drawn(erase, Size::new(64, 64)).into_iter().flatten().count();
        assert_eq!(erased(0.0), 0);
        assert!(erased(0.25).abs_diff(1000) < 140, "{}", erased(0.25));
        // The same rectangle, whatever the probability.
        let (some, all) = (drawn(0.25, Size::new(64, 64)), drawn(1.0, Size::new(64, 64)));
        assert!(some.iter().zip(&all).all(|(some, all)| some.is_none() || some == all));
        // No rectangle is smaller than a single pixel.
        assert_eq!(drawn(1.0, Size::new(1, 1)).into_iter().flatten().filter(|it| it.size().pixels() > 0).count(), 0);
    }

    #[test]
    fn the_rectangle_alone_is_painted() {
        let (size, area) = (Size::new(7, 5), Crop { left: 2, top: 1, width: 4, height: 3 });
        let before: Vec<u8> = (0..size.bytes()).map(|at| at as u8).collect();
        let mut after = before.clone();
        erase(area, size.width, &mut after);
        for (at, (before, after)) in before.chunks(3).zip(after.chunks(3)).enumerate() {
            let is_in = (2..6).contains(&(at % 7)) && (1..4).contains(&(at / 7));
            assert_eq!(after, if is_in { &MEAN[..] } else { before }, "{at}");
        }
        // The colour is 0 after normalisation.
        let [mean, deviation] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
        for channel in 0..3 {
            let normalised = (f64::from(MEAN[channel]) / 255.0 - mean[channel]) / deviation[channel];
            assert!(normalised.abs() < 0.5 / 255.0 / 0.224, "{normalised}");
        }
    }
}
