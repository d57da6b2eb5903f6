//! Average pooling, by loops of our own: each pixel is read once and written once.

use in18_kernels::op::{AvgPool, AvgPoolBackward};

use super::rows::{Row, Rows, steps};
use super::{Compile, Steps};
use crate::context::Context;
use crate::simd::{Stored, Vector};

/// The name of both halves' steps, and that of the operation.
const STEP: &str = "own:average";
const OPERATION: &str = "AvgPool";

impl Compile for AvgPool {
    fn compile(&self, context: &mut Context) -> Steps {
        steps::<Average>(&self.src, &self.dst, context)
    }
}

impl Compile for AvgPoolBackward {
    fn compile(&self, context: &mut Context) -> Steps {
        steps::<Spread>(&self.ddst, &self.dsrc, context)
    }
}

/// The share of each pixel in the mean of a square of this many rows and two columns.
fn share(has_two_rows: bool) -> f32 {
    if has_two_rows { 0.25 } else { 0.5 }
}

/// The means.
struct Average;

/// The sum of the pixels of a square in one column. Rows lie `pitch` elements apart.
///
/// # Safety
/// The pixels must be in memory; as [`Vector`].
#[inline(always)]
unsafe fn column_sum<E: Stored, V: Vector, const TWO_ROWS: bool>(at: *const E, pitch: usize) -> V {
    // SAFETY: by the caller's promise.
    unsafe {
        let upper = E::load::<V>(at);
        if TWO_ROWS { upper.add(E::load::<V>(at.add(pitch))) } else { upper }
    }
}

impl Average {
    /// A row of means of squares of one or two rows.
    ///
    /// # Safety
    /// As [`Rows::compute`].
    #[inline(always)]
    unsafe fn row<E: Stored, V: Vector, const TWO_ROWS: bool>(row: Row<E>) {
        let (width, pitch) = (row.from_extent[1], row.from_extent[1] * V::LANES);
        // SAFETY: by the caller's promise; columns are below `width`.
        unsafe {
            let share = V::splat(share(TWO_ROWS));
            let from = row.source(2 * row.y, V::LANES);
            for x in 0..width / 2 {
                let left = column_sum::<E, V, TWO_ROWS>(from.add(2 * x * V::LANES), pitch);
                let right = column_sum::<E, V, TWO_ROWS>(from.add((2 * x + 1) * V::LANES), pitch);
                row.put(x, left.add(right).mul(share));
            }
            if width % 2 == 1 {
                let only = column_sum::<E, V, TWO_ROWS>(from.add((width - 1) * V::LANES), pitch);
                row.put(width / 2, only.mul(share.add(share)));
            }
        }
    }
}

impl Rows for Average {
    const STEP: &'static str = STEP;
    const OPERATION: &'static str = OPERATION;

    #[inline(always)]
    unsafe fn compute<E: Stored, V: Vector>(row: Row<E>) {
        // SAFETY: by the caller's promise; the source has the rows that the flag names.
        unsafe {
            match 2 * row.y + 1 < row.from_extent[0] {
                true => Self::row::<E, V, true>(row),
                false => Self::row::<E, V, false>(row),
            }
        }
    }
}

/// The gradient: each pixel of a square gets its share of the gradient of the mean.
struct Spread;

impl Rows for Spread {
    const STEP: &'static str = STEP;
    const OPERATION: &'static str = OPERATION;

    #[inline(always)]
    unsafe fn compute<E: Stored, V: Vector>(row: Row<E>) {
        let [height, width] = row.to_extent;
        // SAFETY: by the caller's promise: the source has the squares of this row.
        unsafe {
            // The last row of an odd number has squares by itself.
            let share = V::splat(share(row.y % 2 == 1 || row.y + 1 < height));
            let from = row.source(row.y / 2, V::LANES);
            for x in 0..width / 2 {
                let value = E::load::<V>(from.add(x * V::LANES)).mul(share);
                row.put(2 * x, value);
                row.put(2 * x + 1, value);
            }
            if width % 2 == 1 {
                let value = E::load::<V>(from.add(width / 2 * V::LANES));
                row.put(width - 1, value.mul(share.add(share)));
            }
        }
    }
}
