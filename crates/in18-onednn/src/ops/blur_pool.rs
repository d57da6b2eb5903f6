//! BlurPool, by loops of our own: the filter is separable, and one pass over memory does both axes.
//!
//! The filter of stride 1 is symmetric, and so is the zero padding. Its gradient is therefore the
//! same filter, applied to the gradient of its result.

use in18_kernels::op::{BlurPool, BlurPoolBackward};

use super::rows::{Row, Rows, steps};
use super::{Compile, Steps};
use crate::context::Context;
use crate::simd::{Stored, Vector};

/// The name of both halves' steps, and that of the operation.
const STEP: &str = "own:blur";
const OPERATION: &str = "BlurPool";

/// The share of a result that each unit of the taps `[1 2 1] ⊗ [1 2 1]` has.
const SHARE: f32 = 1.0 / 16.0;

impl Compile for BlurPool {
    fn compile(&self, context: &mut Context) -> Steps {
        match self.stride {
            1 => steps::<Filter<1>>(&self.src, &self.dst, context),
            _ => steps::<Filter<2>>(&self.src, &self.dst, context),
        }
    }
}

impl Compile for BlurPoolBackward {
    fn compile(&self, context: &mut Context) -> Steps {
        match self.stride {
            1 => steps::<Filter<1>>(&self.ddst, &self.dsrc, context),
            _ => steps::<Spread>(&self.ddst, &self.dsrc, context),
        }
    }
}

/// Stores the result at `x`: a sum of pixels, each as often as the taps count it.
///
/// # Safety
/// As [`Row::put`].
#[inline(always)]
unsafe fn put<E: Stored, V: Vector>(row: &Row<E>, x: usize, sum: V) {
    // SAFETY: by the caller's promise.
    unsafe { row.put(x, sum.mul(V::splat(SHARE))) }
}

/// A sum of up to three pixels of a column: twice the pixel at `at`, and those of the rows above and
/// below. Rows lie `pitch` elements apart.
///
/// # Safety
/// All named pixels must be in memory; as [`Vector`].
#[inline(always)]
unsafe fn column<E: Stored, V: Vector, const ABOVE: bool, const BELOW: bool>(at: *const E, pitch: usize) -> V {
    // SAFETY: by the caller's promise.
    unsafe {
        let here = E::load::<V>(at);
        let mut sum = here.add(here);
        if ABOVE {
            sum = sum.add(E::load::<V>(at.sub(pitch)));
        }
        if BELOW {
            sum = sum.add(E::load::<V>(at.add(pitch)));
        }
        sum
    }
}

/// The filter with a stride.
struct Filter<const STRIDE: usize>;

impl<const STRIDE: usize> Filter<STRIDE> {
    /// A row whose source has a row above, a row below, or both.
    ///
    /// # Safety
    /// As [`Rows::compute`].
    #[inline(always)]
    unsafe fn row<E: Stored, V: Vector, const ABOVE: bool, const BELOW: bool>(row: Row<E>) {
        let (width, pitch) = (row.from_extent[1], row.from_extent[1] * V::LANES);
        // SAFETY: by the caller's promise; columns are below `width`.
        unsafe {
            let from = row.source(row.y * STRIDE, V::LANES);
            // The columns at STRIDE · x − 1 and STRIDE · x, then x + 1 and so on.
            let mut left = V::splat(0.0);
            let mut here = column::<E, V, ABOVE, BELOW>(from, pitch);
            // All results but the last have a column to their right.
            let inner = (width - 1).div_ceil(STRIDE).min(row.to_extent[1] - 1);
            for x in 0..inner {
                let right = column::<E, V, ABOVE, BELOW>(from.add((STRIDE * x + 1) * V::LANES), pitch);
                put(&row, x, left.add(here.add(here)).add(right));
                (left, here) = match STRIDE {
                    1 => (here, right),
                    _ => (right, column::<E, V, ABOVE, BELOW>(from.add(STRIDE * (x + 1) * V::LANES), pitch)),
                };
            }
            let mut sum = left.add(here.add(here));
            if STRIDE * inner + 1 < width {
                sum = sum.add(column::<E, V, ABOVE, BELOW>(from.add((STRIDE * inner + 1) * V::LANES), pitch));
            }
            put(&row, inner, sum);
        }
    }
}

impl<const STRIDE: usize> Rows for Filter<STRIDE> {
    const STEP: &'static str = STEP;
    const OPERATION: &'static str = OPERATION;

    #[inline(always)]
    unsafe fn compute<E: Stored, V: Vector>(row: Row<E>) {
        let y = row.y * STRIDE;
        // SAFETY: by the caller's promise; the source has the rows that the flags name.
        unsafe {
            match (y > 0, y + 1 < row.from_extent[0]) {
                (true, true) => Self::row::<E, V, true, true>(row),
                (true, false) => Self::row::<E, V, true, false>(row),
                (false, true) => Self::row::<E, V, false, true>(row),
                (false, false) => Self::row::<E, V, false, false>(row),
            }
        }
    }
}

/// The gradient of the filter of stride 2. A kept pixel's gradient goes to the pixels under the
/// filter: a pixel in an even row and column gets one kept pixel's, any other the sum of two or
/// four.
struct Spread;

/// A sum of gradients in a column, for a row of results: of twice the gradient in an even row; in an
/// odd row, of the gradients above and below it.
///
/// # Safety
/// As [`column`].
#[inline(always)]
unsafe fn spread_column<E: Stored, V: Vector, const ODD: bool, const BELOW: bool>(at: *const E, pitch: usize) -> V {
    // SAFETY: by the caller's promise.
    unsafe {
        let here = E::load::<V>(at);
        match (ODD, BELOW) {
            (false, _) => here.add(here),
            (true, true) => here.add(E::load::<V>(at.add(pitch))),
            (true, false) => here,
        }
    }
}

impl Spread {
    /// A row of results.
    ///
    /// # Safety
    /// As [`Rows::compute`].
    #[inline(always)]
    unsafe fn row<E: Stored, V: Vector, const ODD: bool, const BELOW: bool>(row: Row<E>) {
        let (width, pitch) = (row.from_extent[1], row.from_extent[1] * V::LANES);
        // SAFETY: by the caller's promise; columns are below `width`.
        unsafe {
            let from = row.source(row.y / 2, V::LANES);
            let mut here = spread_column::<E, V, ODD, BELOW>(from, pitch);
            for x in 1..width {
                let right = spread_column::<E, V, ODD, BELOW>(from.add(x * V::LANES), pitch);
                put(&row, 2 * x - 2, here.add(here));
                put(&row, 2 * x - 1, here.add(right));
                here = right;
            }
            put(&row, 2 * width - 2, here.add(here));
            if row.to_extent[1] == 2 * width {
                put(&row, 2 * width - 1, here);
            }
        }
    }
}

impl Rows for Spread {
    const STEP: &'static str = STEP;
    const OPERATION: &'static str = OPERATION;

    #[inline(always)]
    unsafe fn compute<E: Stored, V: Vector>(row: Row<E>) {
        // SAFETY: by the caller's promise; the source has the row that the flag names.
        unsafe {
            match (row.y % 2 == 1, row.y / 2 + 1 < row.from_extent[0]) {
                (false, _) => Self::row::<E, V, false, false>(row),
                (true, true) => Self::row::<E, V, true, true>(row),
                (true, false) => Self::row::<E, V, true, false>(row),
            }
        }
    }
}
