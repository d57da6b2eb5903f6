//! Turns subsampled rows into rows of full width (libjpeg-turbo's jdsample.c, with "fancy
//! upsampling").

use crate::error::Error;

use super::frame::{Component, Frame};
use super::unsupported;

/// How a component's samples become one per pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Upsampling {
    /// There is one per pixel already.
    Full,
    /// Twice as many columns, by a triangle filter.
    Columns,
    /// Twice as many rows, by a triangle filter.
    Rows,
    /// Twice as many columns and rows, by a triangle filter.
    Both,
    /// Copies of each sample: `across` and `down`.
    Copies { across: usize, down: usize },
}

impl Upsampling {
    /// The way that libjpeg upsamples `component`.
    pub fn of(component: &Component, frame: &Frame) -> Result<Self, Error> {
        let Component { h, v, width, .. } = *component;
        if !frame.max_h.is_multiple_of(h) || !frame.max_v.is_multiple_of(v) {
            return Err(unsupported(format!(
                "samples for {h} of {} columns and {v} of {} rows",
                frame.max_h, frame.max_v
            )));
        }
        // The filter needs a middle to start from, which rows of two samples or fewer do not have.
        Ok(match (frame.max_h / h, frame.max_v / v) {
            (1, 1) => Self::Full,
            (2, 1) if width > 2 => Self::Columns,
            (1, 2) => Self::Rows,
            (2, 2) if width > 2 => Self::Both,
            (across, down) => Self::Copies { across, down },
        })
    }
}

/// [`Upsampling::Columns`]: upsamples `row` to `out`, of twice its length. `sums` is scratch
/// memory, two longer than `row`.
#[inline(always)]
pub(super) fn columns(row: &[u8], sums: &mut [u16], out: &mut [u8]) {
    let n = row.len();
    for (sum, &sample) in sums[1..=n].iter_mut().zip(row) {
        *sum = u16::from(sample);
    }
    spread::<2>(sums, n, [1, 2], out);
}

/// [`Upsampling::Both`]: upsamples row `near` to `out`, of twice its length. `far` is the nearer
/// one of the rows next to it. `sums` is scratch memory, two longer than a row.
#[inline(always)]
pub(super) fn both(near: &[u8], far: &[u8], sums: &mut [u16], out: &mut [u8]) {
    let n = near.len();
    for ((sum, &near), &far) in sums[1..=n].iter_mut().zip(near).zip(far) {
        *sum = 3 * u16::from(near) + u16::from(far);
    }
    spread::<4>(sums, n, [8, 7], out);
}

/// For each of the `n` sums in the middle: three parts of the sum and one of its left neighbour,
/// then three parts and one of its right neighbour, over `2^SHIFT`. The first and the last sum are
/// their own neighbours. `rounding` is added before the shift, so that halves go up and down in
/// turn.
#[inline(always)]
fn spread<const SHIFT: u32>(sums: &mut [u16], n: usize, rounding: [u16; 2], out: &mut [u8]) {
    sums[0] = sums[1];
    sums[n + 1] = sums[n];
    let (pairs, _) = out[..2 * n].as_chunks_mut::<2>();
    let (left, middle, right) = (&sums[..n], &sums[1..=n], &sums[2..n + 2]);
    for (((pair, &left), &middle), &right) in pairs.iter_mut().zip(left).zip(middle).zip(right) {
        let first = (3 * middle + left + rounding[0]) >> SHIFT;
        let second = (3 * middle + right + rounding[1]) >> SHIFT;
        *pair = (first | second << 8).to_le_bytes();
    }
}

/// [`Upsampling::Rows`]: upsamples row `near` to a row of the same length. `far` is the nearer one
/// of the rows next to it. `is_upper`: `far` lies above.
#[inline(always)]
pub(super) fn rows(near: &[u8], far: &[u8], is_upper: bool, out: &mut [u8]) {
    let rounding = if is_upper { 1 } else { 2 };
    for ((out, &near), &far) in out.iter_mut().zip(near).zip(far) {
        *out = ((3 * u16::from(near) + u16::from(far) + rounding) >> 2) as u8;
    }
}

/// [`Upsampling::Copies`] for one row.
pub(super) fn copies(row: &[u8], across: usize, out: &mut [u8]) {
    for (copies, &sample) in out.chunks_mut(across).zip(row) {
        copies.fill(sample);
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::Process;
    use super::*;
    use crate::geometry::Size;

    fn upsampled(row: &[u8]) -> Vec<u8> {
        let mut out = vec![0; 2 * row.len()];
        columns(row, &mut vec![0; row.len() + 2], &mut out);
        out
    }

    #[test]
    fn columns_are_weighed_three_to_one_and_ends_kept() {
        // (3a + b + 1) / 4 to the left, (3a + b + 2) / 4 to the right.
        assert_eq!(upsampled(&[0, 100, 50]), [0, 25, 75, 88, 62, 50]);
        assert_eq!(upsampled(&[1, 2, 3]), [1, 1, 2, 2, 3, 3]);
        assert_eq!(upsampled(&[255, 255, 255]), [255; 6]);
    }

    #[test]
    fn both_directions_are_weighed_nine_three_three_one() {
        let mut out = [0; 6];
        both(&[0, 100, 50], &[40, 0, 200], &mut [0; 5], &mut out);
        // Column sums are 40, 300, 350.
        let expected = [(4 * 40 + 8) >> 4, (120 + 300 + 7) >> 4, (900 + 40 + 8) >> 4, (900 + 350 + 7) >> 4];
        assert_eq!(out[..4], expected.map(|v: i32| v as u8));
        assert_eq!(out[4..], [(1050 + 300 + 8) >> 4, (4 * 350 + 7) >> 4].map(|v: i32| v as u8));
    }

    #[test]
    fn rows_round_by_their_side() {
        let mut out = [0; 2];
        rows(&[1, 10], &[3, 12], true, &mut out);
        assert_eq!(out, [1, 10]);
        rows(&[1, 10], &[3, 12], false, &mut out);
        assert_eq!(out, [2, 11]);
    }

    #[test]
    fn copies_may_be_cut_short() {
        let mut out = [0; 7];
        copies(&[1, 2, 3], 3, &mut out);
        assert_eq!(out, [1, 1, 1, 2, 2, 2, 3]);
    }

    #[test]
    fn narrow_rows_are_copied_and_fractions_refused() {
        let component = |h, v| Component { h, v, ..Component::default() };
        let of = |width, factors: [(usize, usize); 2]| {
            let components = factors.map(|(h, v)| component(h, v)).to_vec();
            let frame = Frame::new(Process::Sequential, Size::new(width, 9), components).unwrap();
            Upsampling::of(&frame.components[1], &frame)
        };
        assert_eq!(of(5, [(2, 2), (1, 1)]), Ok(Upsampling::Both));
        assert_eq!(of(4, [(2, 2), (1, 1)]), Ok(Upsampling::Copies { across: 2, down: 2 }));
        assert_eq!(of(5, [(2, 1), (1, 1)]), Ok(Upsampling::Columns));
        assert_eq!(of(4, [(2, 1), (1, 1)]), Ok(Upsampling::Copies { across: 2, down: 1 }));
        assert_eq!(of(1, [(1, 2), (1, 1)]), Ok(Upsampling::Rows));
        assert_eq!(of(9, [(4, 1), (2, 1)]), Ok(Upsampling::Columns));
        assert_eq!(of(9, [(4, 1), (1, 1)]), Ok(Upsampling::Copies { across: 4, down: 1 }));
        assert!(of(9, [(3, 1), (2, 1)]).is_err());
    }
}
