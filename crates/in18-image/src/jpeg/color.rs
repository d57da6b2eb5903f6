//! Converts rows of components to RGB (libjpeg-turbo's jdcolor.c and, for inks, Pillow's
//! Convert.c).

/// The meaning of the components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    Grey,
    YCbCr,
    Rgb,
    /// Inverted inks: Pillow takes all inks for Adobe's.
    Cmyk,
    /// The same inks; the first three are inverted once more and converted to YCbCr.
    Ycck,
}

/// Converts a row of samples, `rows[component]`, to `out`, (W, 3).
pub(super) fn convert(space: Space, rows: &[&[u8]], out: &mut [u8]) {
    let (pixels, _) = out.as_chunks_mut::<3>();
    match *rows {
        [grey] => {
            for (pixel, &grey) in pixels.iter_mut().zip(grey) {
                *pixel = [grey; 3];
            }
        }
        [first, second, third] if space == Space::YCbCr => ycc(first, second, third, pixels),
        [first, second, third] => {
            for (((pixel, &first), &second), &third) in pixels.iter_mut().zip(first).zip(second).zip(third) {
                *pixel = [first, second, third];
            }
        }
        [first, second, third, black] => {
            let inks = first.iter().zip(second).zip(third).zip(black);
            for (pixel, (((&first, &second), &third), &black)) in pixels.iter_mut().zip(inks) {
                // Adobe stores inks inverted. Stored as YCbCr, they are inverted once more.
                let inks = match space {
                    Space::Ycck => ycc_pixel(first, second, third),
                    _ => [first, second, third].map(|light| 255 - light),
                };
                *pixel = inks.map(|ink| under_black(ink, 255 - black));
            }
        }
        _ => {}
    }
}

/// Converts YCbCr to RGB.
#[inline(always)]
pub(super) fn ycc(y: &[u8], cb: &[u8], cr: &[u8], pixels: &mut [[u8; 3]]) {
    for (((pixel, &y), &cb), &cr) in pixels.iter_mut().zip(y).zip(cb).zip(cr) {
        *pixel = ycc_pixel(y, cb, cr);
    }
}

/// Converts YCbCr to RGB as JFIF 1.02 defines it, with 16 fractional bits.
#[inline(always)]
pub(super) fn ycc_pixel(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    // 1.402, 0.34414, 0.71414 and 1.772 times 2^16.
    let half = 1 << 15;
    let red = y + ((91_881 * cr + half) >> 16);
    let green = y + ((-22_554 * cb - 46_802 * cr + half) >> 16);
    let blue = y + ((116_130 * cb + half) >> 16);
    [red, green, blue].map(|value| value.clamp(0, 255) as u8)
}

/// Pillow's conversion of CMYK to RGB: the light that an ink leaves over black.
fn under_black(ink: u8, black: u8) -> u8 {
    let light = 255 - black;
    let product = u32::from(ink) * u32::from(light) + 128;
    light.saturating_sub(((product + (product >> 8)) >> 8) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primaries_come_out_as_jfif_has_them() {
        assert_eq!(ycc_pixel(0, 128, 128), [0; 3]);
        assert_eq!(ycc_pixel(255, 128, 128), [255; 3]);
        assert_eq!(ycc_pixel(76, 85, 255), [254, 0, 0]);
        assert_eq!(ycc_pixel(150, 44, 21), [0, 255, 1]);
        assert_eq!(ycc_pixel(29, 255, 107), [0, 0, 254]);
    }

    #[test]
    fn inks_are_taken_for_adobes() {
        let convert = |space, inks: [u8; 4]| {
            let mut out = [0; 3];
            convert(space, &[&inks[..1], &inks[1..2], &inks[2..3], &inks[3..]], &mut out);
            out
        };
        assert_eq!(convert(Space::Cmyk, [255; 4]), [255; 3]);
        assert_eq!(convert(Space::Cmyk, [255, 255, 255, 0]), [0; 3]);
        assert_eq!(convert(Space::Cmyk, [255, 0, 0, 255]), [255, 0, 0]);
        assert_eq!(convert(Space::Cmyk, [128, 64, 0, 128]), [64, 32, 0]);
        assert_eq!(convert(Space::Ycck, [0, 128, 128, 255]), [255; 3]);
        assert_eq!(convert(Space::Ycck, [255, 128, 128, 255]), [0; 3]);
    }
}
