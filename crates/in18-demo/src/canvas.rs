//! Pixels and how a shape is laid over them. Knows no classes and no files.

use crate::class::Outline;
use crate::random::Stream;

/// Red, green, blue, 0 to 255.
pub(crate) type Colour = [f32; 3];

/// A picture being painted.
pub(crate) struct Canvas {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// (height, width) colours, row by row.
    pub(crate) pixels: Vec<Colour>,
}

/// Where and how large an outline lies on the canvas: pixel = centre + turn(scale · unit).
pub(crate) struct Placement {
    pub(crate) centre: (f32, f32),
    /// Pixels a unit of the outline, along its own x and y.
    pub(crate) scale: (f32, f32),
    /// Radians.
    pub(crate) turn: f32,
}

/// A colour for every point of a shape, in the outline's own units.
pub(crate) enum Fill {
    Plain(Colour),
    /// From one colour at x = −1 to another at x = 1.
    Gradient(Colour, Colour),
    /// Bands across x, `period` units from one to the next.
    Stripes(Colour, Colour, f32),
    /// Round dots on a grid, `period` units from one to the next.
    Dots(Colour, Colour, f32),
    /// A chessboard over the square of a regular 4-gon with corners on the axes: `cells` a side.
    Checker(Colour, Colour, f32),
}

impl Canvas {
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self { width, height, pixels: vec![[0.0; 3]; width * height] }
    }

    /// Lays a filled outline over what is there. `opacity` 1 hides it; `softness` is the width of
    /// the edge in pixels, 1 for plain antialiasing.
    pub(crate) fn paint(&mut self, outline: &Outline, place: &Placement, fill: &Fill, opacity: f32, softness: f32) {
        let (sin, cos) = place.turn.sin_cos();
        // Distances are in the outline's units; the smaller scale keeps a stretched edge sharp.
        let pixels_a_unit = place.scale.0.min(place.scale.1);
        let reach = place.scale.0.max(place.scale.1) * outline.reach() + softness;
        let columns = span(place.centre.0, reach, self.width);
        for row in span(place.centre.1, reach, self.height) {
            for column in columns.clone() {
                let dx = column as f32 + 0.5 - place.centre.0;
                let dy = row as f32 + 0.5 - place.centre.1;
                let x = (dx * cos + dy * sin) / place.scale.0;
                let y = (dy * cos - dx * sin) / place.scale.1;
                let distance = outline.distance(x, y) * pixels_a_unit;
                let cover = (0.5 - distance / softness).clamp(0.0, 1.0) * opacity;
                if cover > 0.0 {
                    let colour = fill.at(x, y, pixels_a_unit);
                    let pixel = &mut self.pixels[row * self.width + column];
                    *pixel = blend(*pixel, colour, cover);
                }
            }
        }
    }

    /// Pulls every pixel towards `colour` by smooth value noise: `strength` (0 to 1) where the
    /// noise is highest, nothing where it is lowest. `cell` is the noise's grain in pixels.
    pub(crate) fn cloud(&mut self, stream: &mut Stream, cell: f32, colour: Colour, strength: f32) {
        let columns = (self.width as f32 / cell) as usize + 2;
        let rows = (self.height as f32 / cell) as usize + 2;
        let lattice: Vec<f32> = (0..columns * rows).map(|_| stream.unit()).collect();
        for row in 0..self.height {
            let (y, fy) = lattice_at(row, cell);
            for column in 0..self.width {
                let (x, fx) = lattice_at(column, cell);
                let at = |dy: usize, dx: usize| lattice[(y + dy) * columns + x + dx];
                let upper = at(0, 0) + (at(0, 1) - at(0, 0)) * fx;
                let lower = at(1, 0) + (at(1, 1) - at(1, 0)) * fx;
                let noise = upper + (lower - upper) * fy;
                let pixel = &mut self.pixels[row * self.width + column];
                *pixel = blend(*pixel, colour, noise * strength);
            }
        }
    }
}

impl Outline {
    /// Radius of a circle around the origin that holds the shape.
    fn reach(&self) -> f32 {
        match self {
            Self::Disc | Self::Ring { .. } | Self::Crescent { .. } => 1.0,
            Self::Polygon(corners) => corners.iter().map(|c| c.0.hypot(c.1)).fold(0.0, f32::max),
            Self::Line { from, to, half } => from.0.hypot(from.1).max(to.0.hypot(to.1)) + half,
        }
    }
}

impl Fill {
    /// The colour at a point; edges inside the pattern are a pixel wide.
    fn at(&self, x: f32, y: f32, pixels_a_unit: f32) -> Colour {
        match *self {
            Self::Plain(colour) => colour,
            Self::Gradient(from, to) => blend(from, to, (x * 0.5 + 0.5).clamp(0.0, 1.0)),
            Self::Stripes(a, b, period) => {
                let wave = triangle_wave(x / period) * period;
                blend(a, b, (0.5 + wave * pixels_a_unit).clamp(0.0, 1.0))
            }
            Self::Dots(a, b, period) => {
                let (u, v) = (x / period, y / period);
                let distance = ((u - u.round()).hypot(v - v.round()) - 0.3) * period;
                blend(b, a, (0.5 + distance * pixels_a_unit).clamp(0.0, 1.0))
            }
            Self::Checker(a, b, cells) => {
                // The 4-gon's corners lie on the axes: turn by 45° to get its sides upright, then
                // scale the side (√2 units) to the number of cells; a corner starts a cell.
                let half = std::f32::consts::FRAC_1_SQRT_2;
                let cell = std::f32::consts::SQRT_2 / cells;
                let u = ((x + y) * half + half) / cell;
                let v = ((y - x) * half + half) / cell;
                // A product of two waves of period 2 cells changes sign from cell to cell.
                let edge = |t: f32| {
                    let nearest = t.round();
                    let side = if (nearest as i32).rem_euclid(2) == 0 { 1.0 } else { -1.0 };
                    ((t - nearest) * side * cell * pixels_a_unit * 2.0).clamp(-1.0, 1.0)
                };
                blend(a, b, 0.5 + 0.5 * edge(u) * edge(v))
            }
        }
    }
}

/// `cover` of the new colour over the old one.
pub(crate) fn blend(under: Colour, over: Colour, cover: f32) -> Colour {
    std::array::from_fn(|c| under[c] + (over[c] - under[c]) * cover)
}

/// Brightness by ITU-R BT.601, the weights that JPEG's Y uses.
pub(crate) fn luma(colour: Colour) -> f32 {
    0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
}

/// −0.25 to 0.25, zero at every half: positive on one band, negative on the next.
fn triangle_wave(t: f32) -> f32 {
    let phase = t - t.floor();
    (phase - 0.5).abs() - 0.25
}

/// The pixels of one axis whose centres may lie within `reach` of `centre`.
fn span(centre: f32, reach: f32, length: usize) -> std::ops::Range<usize> {
    // A negative float becomes 0 in the cast.
    let first = ((centre - reach).floor() as usize).min(length);
    let last = ((centre + reach).ceil() as usize).min(length);
    first..last
}

/// Lattice point before a pixel, and the smoothed share of the way to the next one.
fn lattice_at(pixel: usize, cell: f32) -> (usize, f32) {
    let t = (pixel as f32 + 0.5) / cell;
    let f = t.fract();
    (t as usize, f * f * (3.0 - 2.0 * f))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Class;

    const WHITE: Colour = [255.0; 3];
    const BLACK: Colour = [0.0; 3];

    fn painted(class: Class, fill: &Fill) -> Canvas {
        let mut canvas = Canvas::new(64, 48);
        let place = Placement { centre: (32.0, 24.0), scale: (20.0, 20.0), turn: 0.0 };
        canvas.paint(&class.outline(0.0), &place, fill, 1.0, 1.0);
        canvas
    }

    #[test]
    fn a_disc_has_the_area_of_a_disc() {
        let canvas = painted(Class::Disc, &Fill::Plain(WHITE));
        let area: f32 = canvas.pixels.iter().map(|p| p[0] / 255.0).sum();
        let want = std::f32::consts::PI * 400.0;
        assert!((area - want).abs() < want * 0.005, "{area} for {want}");
    }

    #[test]
    fn a_checker_is_half_of_each_colour_and_changes_from_cell_to_cell() {
        let whole = painted(Class::Checker, &Fill::Plain(WHITE));
        let checked = painted(Class::Checker, &Fill::Checker(BLACK, WHITE, 4.0));
        let sum = |canvas: &Canvas| canvas.pixels.iter().map(|p| p[0]).sum::<f32>();
        let share = sum(&checked) / sum(&whole);
        assert!((share - 0.5).abs() < 0.03, "{share}");
        // Cells beside each other along the upright diagonal's neighbours differ.
        let cell = std::f32::consts::SQRT_2 / 4.0;
        let fill = Fill::Checker(BLACK, WHITE, 4.0);
        let middle = |u: f32, v: f32| {
            // Cell (u, v) counted from the centre, turned back to the outline's axes.
            let (a, b) = ((u + 0.5) * cell, (v + 0.5) * cell);
            let half = std::f32::consts::FRAC_1_SQRT_2;
            fill.at((a - b) * half, (a + b) * half, 1000.0)[0]
        };
        assert_eq!(middle(0.0, 0.0), 255.0 - middle(1.0, 0.0));
        assert_eq!(middle(0.0, 0.0), 255.0 - middle(0.0, 1.0));
        assert_eq!(middle(0.0, 0.0), middle(1.0, 1.0));
    }

    #[test]
    fn shapes_over_the_border_are_cut_off() {
        let mut canvas = Canvas::new(8, 8);
        let place = Placement { centre: (-3.0, 20.0), scale: (40.0, 40.0), turn: 1.0 };
        canvas.paint(&Outline::Disc, &place, &Fill::Plain(WHITE), 1.0, 1.0);
        assert!(canvas.pixels.iter().all(|p| *p == WHITE));
    }
}
