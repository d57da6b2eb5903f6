//! The inner loops: products of small matrices in registers.

use crate::simd::{MOST_LANES, Vector};

/// Most rows of tiles that a product has at a time.
const MOST_ROWS: usize = 14;

/// Tiles whose sums, two vectors each, fill the registers beside two vectors of weights and one of inputs.
pub const fn rows<V: Vector>() -> usize {
    let rows = (V::REGISTERS - 3) / 2;
    if rows < MOST_ROWS { rows } else { MOST_ROWS }
}

/// `sums[half][row] = Σ inputs[block][row][lane] · weights[block · lanes + lane][half]`, the sum over all blocks and lanes,
/// for two vectors (halves) of output channels.
///
/// # Safety
/// `inputs` must hold `rows` vectors from each multiple of `block_stride` on, `weights` two vectors an input channel, `sums`
/// take `rows` vectors from 0 and from `half_stride` on; as [`Vector`].
#[inline(always)]
pub unsafe fn multiply<V: Vector>(
    (inputs, block_stride, blocks): (*const f32, usize, usize),
    mut weights: *const f32,
    (sums, half_stride): (*mut f32, usize),
) {
    // SAFETY: by the caller's promise.
    unsafe {
        let mut totals = [[V::splat(0.0); 2]; MOST_ROWS];
        for block in 0..blocks {
            let inputs = inputs.add(block * block_stride);
            for lane in 0..V::LANES {
                let (first, second) = (V::load(weights), V::load(weights.add(V::LANES)));
                for (row, total) in totals.iter_mut().enumerate().take(rows::<V>()) {
                    let input = V::splat(inputs.add(row * V::LANES + lane).read());
                    *total = [input.mul_add(first, total[0]), input.mul_add(second, total[1])];
                }
                weights = weights.add(2 * V::LANES);
            }
        }
        for (row, total) in totals.iter().enumerate().take(rows::<V>()) {
            total[0].store(sums.add(row * V::LANES));
            total[1].store(sums.add(half_stride + row * V::LANES));
        }
    }
}

/// `sums[o][i] += Σ gradients[tile][o] · inputs[tile][i]` over `tiles` tiles; the `first` ones set them instead.
///
/// # Safety
/// `gradients` and `inputs` must hold a vector a tile, `sums` one a lane; as [`Vector`].
#[inline(always)]
pub unsafe fn add_outer<V: Vector>(
    gradients: *const f32,
    inputs: *const f32,
    tiles: usize,
    sums: *mut f32,
    first: bool,
) {
    // SAFETY: by the caller's promise.
    unsafe {
        let mut totals = [V::splat(0.0); MOST_LANES];
        if !first {
            for (o, total) in totals.iter_mut().enumerate().take(V::LANES) {
                *total = V::load(sums.add(o * V::LANES));
            }
        }
        for tile in 0..tiles {
            let input = V::load(inputs.add(tile * V::LANES));
            for (o, total) in totals.iter_mut().enumerate().take(V::LANES) {
                *total = V::splat(gradients.add(tile * V::LANES + o).read()).mul_add(input, *total);
            }
        }
        for (o, total) in totals.iter().enumerate().take(V::LANES) {
            total.store(sums.add(o * V::LANES));
        }
    }
}
