//! How one photo is composed: background, clutter, the object, clutter before it, camera noise.
//!
//! What makes the set hard enough to need a network: colours, brightness, size, place, turn,
//! texture and background are drawn alike for every class, so no average of pixels tells the
//! classes apart; only the outline (and the checker's pattern) does. What keeps it learnable from
//! 160 photos a class: the object is the only large thing with a sharp edge, it stands out in
//! brightness, and it lies near the middle, where random crops find it.

use crate::canvas::{Canvas, Colour, Fill, Placement, blend, luma};
use crate::class::{Class, Outline};
use crate::random::Stream;
use crate::spec::Split;
use std::f32::consts::TAU;

/// Length of the short side, pixels.
const SHORT_SIDE: (u32, u32) = (72, 200);
/// Width over height.
const ASPECT: (f32, f32) = (0.5, 2.0);
/// Diameter of the object's circle as a share of the short side.
const OBJECT_SIZE: (f32, f32) = (0.6, 0.9);
/// Least difference in brightness between the object and what lies behind it, of 255.
const CONTRAST: f32 = 60.0;
/// Brightness of the object's colours.
const BRIGHTNESS: (u32, u32) = (15, 240);
// The most that is refused is what lies within CONTRAST of one value and within half of that of
// another. Something must be left to choose from.
const _: () = assert!(3.0 * CONTRAST + 2.0 < (BRIGHTNESS.1 - BRIGHTNESS.0) as f32);
const JPEG_QUALITY: (u32, u32) = (60, 95);
const GREY_SHARE: f32 = 0.08;

/// A photo that is not encoded yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Photo {
    /// What it shows.
    pub class: Class,
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// One channel in place of three.
    pub grey: bool,
    /// JPEG quality that it is to be stored with.
    pub quality: u8,
    /// (height, width, 3) RGB, or (height, width, 1) if `grey`.
    pub pixels: Vec<u8>,
}

/// Draws a photo. Its class is `index` modulo 10; all else follows from the three arguments too.
///
/// The same bytes come out on every run of one build; `sin`, `cos` and `exp` come from the
/// platform, so another one may differ in the last bit of a colour.
#[must_use]
pub fn draw(seed: u64, split: Split, index: usize) -> Photo {
    let mut stream = Stream::new(seed, split, index);
    let stream = &mut stream;
    let class = Class::ALL[index % Class::ALL.len()];
    let short = stream.integer(SHORT_SIDE.0, SHORT_SIDE.1) as f32;
    // The mean of two: extreme shapes are rarer than moderate ones, as among real photos.
    let mut log_aspect = || stream.uniform(ASPECT.0.ln(), ASPECT.1.ln());
    let aspect = ((log_aspect() + log_aspect()) / 2.0).exp();
    let (width, height) =
        if aspect < 1.0 { (short, (short / aspect).round()) } else { ((short * aspect).round(), short) };
    let mut canvas = Canvas::new(width as usize, height as usize);

    background(&mut canvas, stream, short);
    for _ in 0..stream.integer(5, 9) {
        clutter(&mut canvas, stream, short, 1.0);
    }
    object(&mut canvas, stream, short, class);
    for _ in 0..stream.integer(0, 2) {
        clutter(&mut canvas, stream, short, 0.5);
    }

    let grey = stream.chance(GREY_SHARE);
    let noise = stream.uniform(0.0, 9.0);
    let mut pixels = Vec::with_capacity(canvas.pixels.len() * if grey { 1 } else { 3 });
    for pixel in &canvas.pixels {
        // One draw for the three channels: like a sensor's shot noise after demosaicing, and it
        // survives JPEG's coarser chroma.
        let shift = (stream.unit() + stream.unit() - 1.0) * noise;
        if grey {
            pixels.push(byte(luma(*pixel) + shift));
        } else {
            pixels.extend(pixel.map(|channel| byte(channel + shift)));
        }
    }
    Photo {
        class,
        width: canvas.width,
        height: canvas.height,
        grey,
        quality: stream.integer(JPEG_QUALITY.0, JPEG_QUALITY.1) as u8,
        pixels,
    }
}

/// A gradient under clouds of three grains.
fn background(canvas: &mut Canvas, stream: &mut Stream, short: f32) {
    let (from, to) = (colour(stream), colour(stream));
    let (sin, cos) = stream.uniform(0.0, TAU).sin_cos();
    let reach = (canvas.width as f32).hypot(canvas.height as f32);
    for row in 0..canvas.height {
        for column in 0..canvas.width {
            let along = (column as f32 * cos + row as f32 * sin) / reach;
            canvas.pixels[row * canvas.width + column] = blend(from, to, along * 0.5 + 0.5);
        }
    }
    for (grain, strength) in [(0.45, 0.6), (0.15, 0.35), (0.05, 0.25)] {
        let cell = short * grain * stream.uniform(0.7, 1.4);
        let tint = colour(stream);
        let strength = strength * stream.uniform(0.2, 1.0);
        canvas.cloud(stream, cell.max(2.0), tint, strength);
    }
}

/// One small thing that is no class: a line, a blob, a splinter with random corners, or an arc.
/// `size` scales it.
fn clutter(canvas: &mut Canvas, stream: &mut Stream, short: f32, size: f32) {
    let (outline, scale) = match stream.integer(0, 3) {
        0 => {
            let half_length = stream.uniform(0.1, 0.45);
            let line =
                Outline::Line { from: (-half_length, 0.0), to: (half_length, 0.0), half: stream.uniform(0.006, 0.018) };
            (line, (short * size, short * size))
        }
        1 => {
            let scale = |stream: &mut Stream| short * size * stream.uniform(0.03, 0.09);
            (Outline::Disc, (scale(stream), scale(stream)))
        }
        2 => {
            let corners = stream.integer(3, 6);
            let polygon = (0..corners)
                .map(|k| {
                    let turn = (k as f32 + stream.uniform(-0.35, 0.35)) / corners as f32;
                    let (sin, cos) = (TAU * turn).sin_cos();
                    let radius = stream.uniform(0.4, 1.0);
                    (radius * cos, radius * sin)
                })
                .collect();
            let scale = short * size * stream.uniform(0.05, 0.13);
            (Outline::Polygon(polygon), (scale, scale))
        }
        _ => {
            let crescent = Outline::Crescent { offset: stream.uniform(0.2, 0.4), bite: 0.98 };
            let scale = short * size * stream.uniform(0.06, 0.13);
            (crescent, (scale, scale * stream.uniform(0.5, 1.0)))
        }
    };
    let place = Placement {
        centre: (stream.unit() * canvas.width as f32, stream.unit() * canvas.height as f32),
        scale,
        turn: stream.uniform(0.0, TAU),
    };
    let fill = Fill::Plain(colour(stream));
    let opacity = stream.uniform(0.5, 1.0);
    canvas.paint(&outline, &place, &fill, opacity, 1.0);
}

fn object(canvas: &mut Canvas, stream: &mut Stream, short: f32, class: Class) {
    let outline = class.outline(stream.unit());
    let radius = short * stream.uniform(OBJECT_SIZE.0, OBJECT_SIZE.1) / 2.0;
    let stretch = stream.uniform(-0.1, 0.1).exp();
    // Off the middle, but whole: by up to 7 % of either side, and never over the border.
    let mut centre_on = |length: usize| {
        let length = length as f32;
        let room = (length / 2.0 - radius).max(0.0);
        length / 2.0 + stream.uniform(-1.0, 1.0) * room.min(length * 0.07)
    };
    let place = Placement {
        centre: (centre_on(canvas.width), centre_on(canvas.height)),
        scale: (radius * stretch.min(1.0), radius / stretch.max(1.0)),
        turn: stream.uniform(0.0, TAU),
    };

    let behind = mean_luma(canvas, &place);
    let first = brightness(stream, |b| (b - behind).abs() >= CONTRAST);
    // The checker's second colour differs from its first. The others' lies on the same side of the
    // background's brightness as the first, so that the outline stays whole.
    let second = match class {
        Class::Checker => brightness(stream, |b| (b - first).abs() >= CONTRAST && (b - behind).abs() >= CONTRAST / 2.0),
        _ => brightness(stream, |b| (b - behind).abs() >= CONTRAST && (b > behind) == (first > behind)),
    };
    let main = colour_of(stream, first);
    let second = colour_of(stream, second);
    let fill = match (class, stream.integer(0, 5)) {
        (Class::Checker, _) => Fill::Checker(main, second, stream.integer(3, 4) as f32),
        (_, 0..=2) => Fill::Plain(main),
        (_, 3) => Fill::Gradient(main, second),
        (_, 4) => Fill::Stripes(main, second, stream.uniform(0.2, 0.5)),
        _ => Fill::Dots(main, second, stream.uniform(0.25, 0.5)),
    };
    let opacity = stream.uniform(0.85, 1.0);
    let softness = stream.uniform(1.0, 1.0 + short * 0.015);
    canvas.paint(&outline, &place, &fill, opacity, softness);
}

/// Any colour, away from the ends so that noise is not clipped.
fn colour(stream: &mut Stream) -> Colour {
    std::array::from_fn(|_| stream.uniform(15.0, 240.0))
}

/// A brightness among those that `allowed` lets pass, each as likely as the others. Counted out
/// rather than drawn again and again until one fits, so that it always ends.
fn brightness(stream: &mut Stream, allowed: impl Fn(f32) -> bool) -> f32 {
    let (low, high) = BRIGHTNESS;
    let candidates: Vec<f32> = (low..=high).map(|b| b as f32).filter(|&b| allowed(b)).collect();
    candidates[stream.integer(0, candidates.len() as u32 - 1) as usize]
}

/// Any colour of a given brightness: a random one, darkened towards black or lightened towards
/// white until its brightness fits.
fn colour_of(stream: &mut Stream, brightness: f32) -> Colour {
    let any = colour(stream);
    let luma = luma(any);
    if luma > brightness {
        blend(any, [0.0; 3], 1.0 - brightness / luma)
    } else {
        blend(any, [255.0; 3], (brightness - luma) / (255.0 - luma))
    }
}

/// Mean brightness of the box that the object will cover.
fn mean_luma(canvas: &Canvas, place: &Placement) -> f32 {
    let radius = place.scale.0.max(place.scale.1);
    let span = |centre: f32, length: usize| {
        let first = (centre - radius).max(0.0) as usize;
        first..((centre + radius) as usize).clamp(first + 1, length)
    };
    let mut sum = 0.0;
    let mut count = 0.0;
    for row in span(place.centre.1, canvas.height) {
        for column in span(place.centre.0, canvas.width) {
            sum += luma(canvas.pixels[row * canvas.width + column]);
            count += 1.0;
        }
    }
    sum / count
}

fn byte(value: f32) -> u8 {
    // The cast saturates.
    value.round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_has_the_brightness_that_was_asked_for() {
        let mut stream = Stream::new(5, Split::Train, 0);
        for wanted in (BRIGHTNESS.0..=BRIGHTNESS.1).map(|b| b as f32) {
            let colour = colour_of(&mut stream, wanted);
            assert!((luma(colour) - wanted).abs() < 0.01, "{colour:?} for {wanted}");
            assert!(colour.iter().all(|c| (0.0..=255.0).contains(c)), "{colour:?}");
        }
    }

    /// The first version drew colours until two fitted, and never ended for a checker whose first
    /// colour left no room beside the background's brightness.
    #[test]
    fn two_contrasting_brightnesses_exist_for_any_background() {
        let mut stream = Stream::new(6, Split::Train, 0);
        for behind in (0..=255).map(|b| b as f32) {
            for _ in 0..200 {
                let first = brightness(&mut stream, |b| (b - behind).abs() >= CONTRAST);
                let second =
                    brightness(&mut stream, |b| (b - first).abs() >= CONTRAST && (b - behind).abs() >= CONTRAST / 2.0);
                assert!((first - second).abs() >= CONTRAST);
            }
        }
    }
}
