//! Validation's geometry: the resize before the centre crop, and rectangular validation's batches.

use in18_image::Size;

/// The length of the short side from which the original cuts a centre crop of size `sz`.
pub fn short_side(sz: u32) -> u32 {
    (f64::from(sz) * 1.14) as u32
}

/// The size to which an image is resized before a centre crop: torchvision's `Resize(short)`, which
/// gives the short side that length and keeps the ratio, rounding down.
pub fn resized_for_validation(image: Size, short: u32) -> Size {
    let (near, far) = (image.width.min(image.height).max(1), image.width.max(image.height));
    let long = u64::from(short) * u64::from(far) / u64::from(near);
    let long = u32::try_from(long).unwrap_or(u32::MAX);
    if image.width <= image.height { Size::new(short, long) } else { Size::new(long, short) }
}

/// Width / height, rounded to five digits as Python's `round` does (correctly, from the exact
/// binary value).
pub(crate) fn ratio(size: Size) -> f64 {
    round5(f64::from(size.width) / f64::from(size.height))
}

/// The size of all images of a batch, from their ratios. Their mean r is rounded to five digits. If
/// r < 1, the crop has width sz and height `int(sz / r) // 8 * 8`; otherwise it has height sz and
/// width `int(sz * r) // 8 * 8`.
pub(crate) fn batch_size(sz: u32, ratios: impl ExactSizeIterator<Item = f64>) -> Size {
    let n = ratios.len();
    let mean = round5(ratios.sum::<f64>() / n as f64);
    let eights = |x: f64| x as u32 / 8 * 8;
    if mean < 1.0 { Size::new(sz, eights(f64::from(sz) / mean)) } else { Size::new(eights(f64::from(sz) * mean), sz) }
}

fn round5(x: f64) -> f64 {
    // As in Python: formatting rounds the exact binary value half to even, and parsing is exact.
    format!("{x:.5}").parse().unwrap_or(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resizes_as_torchvision_does() {
        // From torchvision 0.28: `Resize(int(sz * 1.14))` of a PIL image.
        let cases = [
            ((500, 375), 128, (193, 145)),
            ((375, 500), 128, (145, 193)),
            ((320, 320), 224, (255, 255)),
            ((1, 7), 100, (113, 791)), // int(114 - 1e-14) is 113
            ((640, 427), 96, (163, 109)),
        ];
        for ((width, height), sz, (w, h)) in cases {
            assert_eq!(resized_for_validation(Size::new(width, height), short_side(sz)), Size::new(w, h));
        }
    }

    #[test]
    fn batches_take_the_mean_ratio() {
        // Worked out with the formula in Python.
        let cases: [(u32, &[f64], (u32, u32)); 6] = [
            (128, &[1.0], (128, 128)),
            (128, &[0.99999], (128, 128)),
            (128, &[0.75, 0.75], (128, 168)),
            (128, &[1.33333, 1.5], (176, 128)),
            (288, &[0.66667], (288, 424)),
            (100, &[1.0], (96, 100)),
        ];
        for (sz, ratios, (width, height)) in cases {
            assert_eq!(batch_size(sz, ratios.iter().copied()), Size::new(width, height), "{sz} {ratios:?}");
        }
    }

    #[test]
    fn ratios_have_five_digits() {
        assert_eq!(ratio(Size::new(500, 333)), 1.5015);
        assert_eq!(ratio(Size::new(1, 3)), 0.33333);
        assert_eq!(ratio(Size::new(320, 480)), 0.66667);
    }
}
