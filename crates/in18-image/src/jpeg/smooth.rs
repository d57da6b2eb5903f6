//! Block smoothing (libjpeg-turbo's jdcoefct.c, `decompress_smooth_data`; T.81 K.8 describes its
//! ancestor). If a progressive file ends before its low frequencies are known, they are guessed
//! from the DC coefficients around a block.

use super::coefficients::Coefficients;
use super::frame::{BLOCK, Component, Frame};
use super::progressive::{Accuracy, SMOOTHED};

/// Row-major indices of the guessed coefficients, by zigzag index.
const INDICES: [usize; SMOOTHED] = [0, 1, 8, 16, 9, 2, 3, 10, 17, 24];

/// Weights of the DC coefficients of the 5 x 5 blocks around a block.
type Weights = [i32; 25];

/// Weights for each coefficient if no AC coefficient is known: a kernel like a Gaussian. The first
/// weights replace the DC coefficient itself.
#[rustfmt::skip]
const UNKNOWN: [Weights; SMOOTHED] = [
    [-2, -6, -8, -6, -2, -6, 6, 42, 6, -6, -8, 42, 152, 42, -8, -6, 6, 42, 6, -6, -2, -6, -8, -6, -2],
    [-1, -1, 0, 1, 1, -3, 13, 0, -13, 3, -3, 38, 0, -38, 3, -3, 13, 0, -13, 3, -1, -1, 0, 1, 1],
    [-1, -3, -3, -3, -1, -1, 13, 38, 13, -1, 0, 0, 0, 0, 0, 1, -13, -38, -13, 1, 1, 3, 3, 3, 1],
    [0, 0, 1, 0, 0, 0, 2, 7, 2, 0, 0, -5, -14, -5, 0, 0, 2, 7, 2, 0, 0, 0, 1, 0, 0],
    [-1, 0, 0, 0, 1, 0, 9, 0, -9, 0, 0, 0, 0, 0, 0, 0, -9, 0, 9, 0, 1, 0, 0, 0, -1],
    [0, 0, 0, 0, 0, 0, 2, -5, 2, 0, 1, 7, -14, 7, 1, 0, 2, -5, 2, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 0, 1, 0, -1, 0, 0, 2, 0, -2, 0, 0, 1, 0, -1, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 0, 1, -3, 1, 0, 0, 0, 0, 0, 0, 0, -1, 3, -1, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 0, 1, 0, -1, 0, 0, -3, 0, 3, 0, 0, 1, 0, -1, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 0, 1, 2, 1, 0, 0, 0, 0, 0, 0, 0, -1, -2, -1, 0, 0, 0, 0, 0, 0],
];

/// Weights for the first five AC coefficients if some are known.
#[rustfmt::skip]
const PARTLY_KNOWN: [Weights; 5] = [
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -7, 50, 0, -50, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [0, 0, -7, 0, 0, 0, 0, 50, 0, 0, 0, 0, 0, 0, 0, 0, 0, -50, 0, 0, 0, 0, 7, 0, 0],
    [0, 0, -1, 0, 0, 0, 0, 13, 0, 0, 0, 0, -24, 0, 0, 0, 0, 13, 0, 0, 0, 0, -1, 0, 0],
    [0, -1, 0, 1, 0, -1, 10, 0, -10, 1, 0, 0, 0, 0, 0, 1, -10, 0, 10, -1, 0, 1, 0, -1, 0],
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, 13, -24, 13, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
];

/// How to smooth the blocks of an image.
#[derive(Debug)]
pub(super) struct Smoothing<'a> {
    frame: &'a Frame,
    /// Quantisation tables by component.
    tables: Vec<[u16; BLOCK]>,
    /// Accuracy by component.
    accuracy: Vec<Accuracy>,
    /// The last row of MCUs for which the last scan had data. Below it, the accuracy before that
    /// scan counts.
    last_good: usize,
    /// Whether there was more than one scan.
    is_later: bool,
}

impl<'a> Smoothing<'a> {
    /// The smoothing of a progressive image, if it is useful and possible. `tables` are the
    /// quantisation tables used, by component. `scans` is the number of scans.
    pub fn of(
        frame: &'a Frame,
        accuracy: &[Accuracy],
        tables: &[Option<[u16; BLOCK]>],
        scans: usize,
        last_good: usize,
    ) -> Option<Self> {
        let tables = tables.iter().copied().collect::<Option<Vec<_>>>()?;
        let is_possible = tables
            .iter()
            .zip(accuracy)
            .all(|(table, accuracy)| accuracy.now[0] >= 0 && INDICES.iter().all(|&index| table[index] != 0));
        let is_useful = accuracy.iter().any(|accuracy| accuracy.now[1..SMOOTHED].iter().any(|&plane| plane != 0));
        let smoothing = move || Self { frame, tables, accuracy: accuracy.to_vec(), last_good, is_later: scans > 1 };
        (is_possible && is_useful).then(smoothing)
    }

    /// Writes a block row of a component, smoothed, to `out`. `row` counts from the start of row
    /// `mcu_row` of MCUs.
    pub fn apply(&self, index: usize, mcu_row: usize, row: usize, from: &Coefficients, out: &mut Vec<[i16; BLOCK]>) {
        let (frame, table) = (self.frame, &self.tables[index]);
        let component = &frame.components[index];
        let accuracy = &self.accuracy[index];
        let mut planes = if mcu_row > self.last_good { accuracy.before } else { accuracy.now };
        if mcu_row > self.last_good && !self.is_later {
            planes = [-1; BLOCK];
        }
        let rows = neighbours(component, frame.mcus_high, mcu_row, row).map(|row| {
            let start = from.row(index, row);
            &from.blocks[start..start + component.blocks_wide]
        });
        let is_unknown = planes[1..SMOOTHED].iter().all(|&plane| plane == -1);
        let weights: &[Weights] = if is_unknown { &UNKNOWN[1..] } else { &PARTLY_KNOWN };
        out.clear();
        for x in 0..component.blocks_wide {
            // Columns left of the image repeat its first column; columns right of it repeat its
            // last.
            let around: [i32; 25] = std::array::from_fn(|n| {
                let column = (x + n % 5).saturating_sub(2).min(component.blocks_wide - 1);
                i32::from(rows[n / 5][column][0])
            });
            let sum = |weights: &Weights| {
                let sum = weights.iter().zip(around).map(|(weight, dc)| weight * dc).sum::<i32>();
                i64::from(table[0]) * i64::from(sum)
            };
            let mut block = rows[2][x];
            for (n, weights) in (1..).zip(weights) {
                let index = INDICES[n];
                if planes[n] != 0 && block[index] == 0 {
                    let most = if planes[n] > 0 { (1 << planes[n]) - 1 } else { i32::MAX };
                    block[index] = rounded(sum(weights), table[index], most);
                }
            }
            if is_unknown {
                block[0] = rounded(sum(&UNKNOWN[0]), table[0], i32::MAX);
            }
            out.push(block);
        }
    }
}

/// `sum` over 256 steps, rounded to the nearest, its magnitude at most `most`.
fn rounded(sum: i64, step: u16, most: i32) -> i16 {
    let step = i64::from(step);
    let magnitude = (((step << 7) + sum.abs()) / (step << 8)) as i32;
    let magnitude = magnitude.min(most);
    (if sum >= 0 { magnitude } else { magnitude.wrapping_neg() }) as i16
}

/// The block rows from two above to two below a row. At the ends of the image, the next nearer row
/// replaces a missing one.
fn neighbours(component: &Component, mcu_rows: usize, mcu_row: usize, row: usize) -> [usize; 5] {
    let rows = if mcu_row + 1 < mcu_rows { component.v } else { component.blocks_high - (mcu_rows - 1) * component.v };
    // libjpeg counts rows as if all rows of MCUs had as many block rows as this one, which matters
    // in the last row of MCUs.
    let (counted, total) = (mcu_row * rows + row, mcu_rows * rows);
    let this = mcu_row * component.v + row;
    let above = if counted > 0 { this - 1 } else { this };
    let below = if counted + 1 < total { this + 1 } else { this };
    let next_above = if counted > 1 { this - 2 } else { above };
    let next_below = if counted + 2 < total { this + 2 } else { below };
    [next_above, above, this, below, next_below]
}

#[cfg(test)]
mod tests {
    use super::super::frame::Process;
    use super::*;
    use crate::geometry::Size;

    /// One component of 5 x 5 blocks, whose DC coefficients are `dc`.
    fn image(dc: impl Fn(usize, usize) -> i16) -> (Frame, Coefficients) {
        let components = vec![Component { h: 1, v: 1, ..Component::default() }];
        let frame = Frame::new(Process::Progressive, Size::new(40, 40), components).unwrap();
        let mut coefficients = Coefficients::default();
        coefficients.reset(&frame, 5);
        for y in 0..5 {
            for x in 0..5 {
                coefficients.blocks[5 * y + x][0] = dc(x, y);
            }
        }
        (frame, coefficients)
    }

    fn dc_only() -> Vec<Accuracy> {
        let mut accuracy = Accuracy::default();
        accuracy.now[0] = 0;
        vec![accuracy]
    }

    fn smoothed(accuracy: &[Accuracy], dc: impl Fn(usize, usize) -> i16) -> [i16; BLOCK] {
        let (frame, coefficients) = image(dc);
        let smoothing = Smoothing::of(&frame, accuracy, &[Some([16; BLOCK])], 1, 4).unwrap();
        let mut out = Vec::new();
        smoothing.apply(0, 2, 0, &coefficients, &mut out);
        out[2]
    }

    #[test]
    fn weights_leave_flat_areas_as_they_are() {
        assert_eq!(UNKNOWN[0].iter().sum::<i32>(), 256);
        for weights in UNKNOWN[1..].iter().chain(&PARTLY_KNOWN) {
            assert_eq!(weights.iter().sum::<i32>(), 0);
        }
        let flat = smoothed(&dc_only(), |_, _| 7);
        assert_eq!((flat[0], flat[1..].iter().all(|&c| c == 0)), (7, true));
    }

    #[test]
    fn slopes_become_coefficients_of_their_direction() {
        let column = |x: usize| UNKNOWN[1].iter().enumerate().filter(|(n, _)| n % 5 == x).map(|(_, w)| w).sum::<i32>();
        let sum: i32 = (0..5).map(|x| column(x) * 64 * x as i32).sum();
        let across = smoothed(&dc_only(), |x, _| 64 * x as i16);
        assert_eq!(i32::from(across[1]), -((sum.abs() + 128) / 256));
        assert_eq!((across[0], across[8]), (128, 0));
        let down = smoothed(&dc_only(), |_, y| 64 * y as i16);
        assert_eq!((down[8], down[1]), (across[1], 0));
    }

    #[test]
    fn what_is_known_stays_and_guesses_keep_within_their_bit_plane() {
        let mut accuracy = dc_only();
        accuracy[0].now[1] = 2;
        let across = smoothed(&accuracy, |x, _| 640 * x as i16);
        assert_eq!((across[0], across[1]), (1280, -3));
        accuracy[0].now[1] = 0;
        assert_eq!(smoothed(&accuracy, |x, _| 640 * x as i16)[1], 0);
    }

    #[test]
    fn smoothing_needs_something_to_guess_and_something_to_guess_from() {
        let (frame, _) = image(|_, _| 0);
        let of = |accuracy: &[Accuracy], table| Smoothing::of(&frame, accuracy, &[table], 1, 4).is_some();
        assert!(of(&dc_only(), Some([1; BLOCK])));
        assert!(!of(&dc_only(), None));
        let mut without = [1; BLOCK];
        without[24] = 0;
        assert!(!of(&dc_only(), Some(without)));
        assert!(!of(&[Accuracy::default()], Some([1; BLOCK])));
        assert!(!of(&[Accuracy { now: [0; BLOCK], before: [0; BLOCK] }], Some([1; BLOCK])));
    }
}
