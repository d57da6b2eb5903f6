//! The ten classes and their outlines.
//!
//! An outline is a signed distance function: at every point the distance to the edge, negative
//! inside. It gives antialiasing for free, since the share of a pixel that is covered is almost
//! linear in the distance. No class is another one turned or mirrored, because the trainer flips
//! photos and the drawing turns them.

use std::f32::consts::{PI, TAU};

/// A class: what is drawn large in the middle of a photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// An arrow with a head of twice the shaft's width.
    Arrow,
    /// A square patch of squares in two alternating colours.
    Checker,
    /// A disc that another disc has bitten into.
    Crescent,
    /// A plus sign.
    Cross,
    /// A filled circle.
    Disc,
    /// A heart.
    Heart,
    /// A circle's outline, thick.
    Ring,
    /// A square.
    Square,
    /// A star with five points.
    Star,
    /// An equilateral triangle.
    Triangle,
}

impl Class {
    /// All ten, in the order of their folders' names, which is the order of their labels.
    pub const ALL: [Self; 10] = [
        Self::Arrow,
        Self::Checker,
        Self::Crescent,
        Self::Cross,
        Self::Disc,
        Self::Heart,
        Self::Ring,
        Self::Square,
        Self::Star,
        Self::Triangle,
    ];

    /// The folder's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Arrow => "arrow",
            Self::Checker => "checker",
            Self::Crescent => "crescent",
            Self::Cross => "cross",
            Self::Disc => "disc",
            Self::Heart => "heart",
            Self::Ring => "ring",
            Self::Square => "square",
            Self::Star => "star",
            Self::Triangle => "triangle",
        }
    }

    /// The outline, which lies within the unit circle and touches it. `vary` in [0, 1) changes the
    /// proportions a little (a ring's thickness, a star's waist).
    pub(crate) fn outline(self, vary: f32) -> Outline {
        let between = |low: f32, high: f32| low + (high - low) * vary;
        match self {
            Self::Disc => Outline::Disc,
            Self::Ring => Outline::Ring { thickness: between(0.28, 0.42) },
            Self::Crescent => Outline::Crescent { offset: between(0.45, 0.6), bite: 0.8 },
            Self::Triangle => Outline::Polygon(regular(3)),
            Self::Square | Self::Checker => Outline::Polygon(regular(4)),
            Self::Star => {
                let waist = between(0.36, 0.46);
                Outline::Polygon(
                    (0..10).map(|k| polar(if k % 2 == 0 { 1.0 } else { waist }, k as f32 / 10.0)).collect(),
                )
            }
            Self::Cross => {
                // Half the width of an arm; the corners of the arms touch the unit circle.
                let w = between(0.24, 0.32);
                let l = (1.0 - w * w).sqrt();
                let quarter = [(l, w), (w, w), (w, l)];
                Outline::Polygon(
                    (0..4)
                        .flat_map(|turn| {
                            quarter.map(|(x, y)| match turn {
                                0 => (x, y),
                                1 => (-y, x),
                                2 => (-x, -y),
                                _ => (y, -x),
                            })
                        })
                        .collect(),
                )
            }
            Self::Arrow => {
                let shaft = between(0.16, 0.24);
                let neck = between(-0.05, 0.15);
                let tail = -(1.0 - shaft * shaft).sqrt();
                let wing = 0.75;
                Outline::Polygon(vec![
                    (1.0, 0.0),
                    (neck, wing * (1.0 - neck)),
                    (neck, shaft),
                    (tail, shaft),
                    (tail, -shaft),
                    (neck, -shaft),
                    (neck, -wing * (1.0 - neck)),
                ])
            }
            Self::Heart => {
                // The well-known curve (16 sin³t, 13 cos t − 5 cos 2t − 2 cos 3t − cos 4t), scaled
                // from its farthest point (the tip, 17 below the centre) to the unit circle.
                const CORNERS: usize = 40;
                Outline::Polygon(
                    (0..CORNERS)
                        .map(|k| {
                            let t = TAU * k as f32 / CORNERS as f32;
                            let y = 13.0 * t.cos() - 5.0 * (2.0 * t).cos() - 2.0 * (3.0 * t).cos() - (4.0 * t).cos();
                            (16.0 * t.sin().powi(3) / 17.0, y / 17.0)
                        })
                        .collect(),
                )
            }
        }
    }
}

/// A shape as a signed distance, in any unit of length that the drawing maps to pixels.
pub(crate) enum Outline {
    /// The unit disc.
    Disc,
    /// Between the radii 1 − thickness and 1.
    Ring { thickness: f32 },
    /// The unit disc without a disc of radius `bite` whose centre is `offset` away.
    Crescent { offset: f32, bite: f32 },
    /// A closed polygon, convex or not, in either direction of turn.
    Polygon(Vec<(f32, f32)>),
    /// A line of a given half width with round ends.
    Line { from: (f32, f32), to: (f32, f32), half: f32 },
}

impl Outline {
    /// Distance of (x, y) to the edge, negative inside. The crescent's is a lower bound of the true
    /// distance outside near its horns, which antialiasing does not notice.
    pub(crate) fn distance(&self, x: f32, y: f32) -> f32 {
        match self {
            Self::Disc => x.hypot(y) - 1.0,
            Self::Ring { thickness } => (x.hypot(y) - (1.0 - thickness / 2.0)).abs() - thickness / 2.0,
            Self::Crescent { offset, bite } => (x.hypot(y) - 1.0).max(bite - (x - offset).hypot(y)),
            Self::Line { from, to, half } => segment_squared(*from, *to, x, y).sqrt() - half,
            Self::Polygon(corners) => {
                let mut squared = f32::INFINITY;
                let mut inside = false;
                let mut from = corners[corners.len() - 1];
                for &to in corners {
                    squared = squared.min(segment_squared(from, to, x, y));
                    // Even-odd rule: count the edges that a ray to the right crosses.
                    if (from.1 > y) != (to.1 > y) && x < from.0 + (to.0 - from.0) * (y - from.1) / (to.1 - from.1) {
                        inside = !inside;
                    }
                    from = to;
                }
                if inside { -squared.sqrt() } else { squared.sqrt() }
            }
        }
    }
}

/// Squared distance of (x, y) to the segment between two points.
fn segment_squared(from: (f32, f32), to: (f32, f32), x: f32, y: f32) -> f32 {
    let (ex, ey) = (to.0 - from.0, to.1 - from.1);
    let (px, py) = (x - from.0, y - from.1);
    let along = ((px * ex + py * ey) / (ex * ex + ey * ey).max(1e-12)).clamp(0.0, 1.0);
    let (dx, dy) = (px - ex * along, py - ey * along);
    dx * dx + dy * dy
}

fn regular(corners: usize) -> Vec<(f32, f32)> {
    (0..corners).map(|k| polar(1.0, k as f32 / corners as f32)).collect()
}

/// The point at a radius and a share of the full turn.
fn polar(radius: f32, turn: f32) -> (f32, f32) {
    let (sin, cos) = (2.0 * PI * turn).sin_cos();
    (radius * cos, radius * sin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_folder_order() {
        let names = Class::ALL.map(Class::name);
        assert!(names.is_sorted(), "{names:?}");
    }

    #[test]
    fn every_outline_fills_the_unit_circle_and_no_more() {
        for class in Class::ALL {
            for vary in [0.0, 0.5, 0.99] {
                let outline = class.outline(vary);
                let mut farthest: f32 = 0.0;
                let mut area = 0;
                for row in -60..=60 {
                    for column in -60..=60 {
                        let (x, y) = (column as f32 / 50.0, row as f32 / 50.0);
                        if outline.distance(x, y) < 0.0 {
                            farthest = farthest.max(x.hypot(y));
                            area += 1;
                        }
                    }
                }
                let name = class.name();
                assert!((0.93..=1.01).contains(&farthest), "{name} reaches {farthest}");
                assert!(area > 1500, "{name} covers only {area} of 7854");
            }
        }
    }

    #[test]
    fn distances_are_known_ones() {
        struct Case {
            name: &'static str,
            outline: Outline,
            at: (f32, f32),
            want: f32,
        }
        let half = std::f32::consts::FRAC_1_SQRT_2;
        for case in [
            Case { name: "disc's centre", outline: Outline::Disc, at: (0.0, 0.0), want: -1.0 },
            Case { name: "ring's hole", outline: Outline::Ring { thickness: 0.4 }, at: (0.0, 0.0), want: 0.6 },
            Case { name: "ring's middle", outline: Outline::Ring { thickness: 0.4 }, at: (0.0, 0.8), want: -0.2 },
            Case { name: "square's centre", outline: Outline::Polygon(regular(4)), at: (0.0, 0.0), want: -half },
            Case {
                name: "outside a square's corner",
                outline: Outline::Polygon(regular(4)),
                at: (1.5, 0.0),
                want: 0.5,
            },
            Case {
                name: "beside a line",
                outline: Outline::Line { from: (-1.0, 0.0), to: (1.0, 0.0), half: 0.1 },
                at: (0.3, 0.5),
                want: 0.4,
            },
        ] {
            let got = case.outline.distance(case.at.0, case.at.1);
            assert!((got - case.want).abs() < 1e-5, "{}: {got}", case.name);
        }
    }
}
