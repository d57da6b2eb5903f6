//! The inner loops: products of small matrices in registers.

use crate::simd::{Vector, prefetch};

/// What a product of matrices does with numbers.
pub trait Product<V>: Copy {
    /// `total` and the product of a word of the inputs, in all lanes, and a vector of weights.
    ///
    /// # Safety
    /// As [`Vector`].
    unsafe fn add(total: V, input: V, weights: V) -> V;
    /// A row's sums, of its totals and of what stands in the sums' places.
    ///
    /// # Safety
    /// There must be such a row, counting one that was added to make their number even; the places must hold sums, unless the
    /// product is known not to look at them; as [`Vector`].
    unsafe fn finish(&self, totals: [V; 2], row: usize, places: [*const f32; 2]) -> [V; 2];
}

/// Products of fp32.
#[derive(Clone, Copy)]
pub struct Plain;

impl<V: Vector> Product<V> for Plain {
    #[inline(always)]
    unsafe fn add(total: V, input: V, weights: V) -> V {
        // SAFETY: by the caller's promise.
        unsafe { input.mul_add(weights, total) }
    }

    #[inline(always)]
    unsafe fn finish(&self, totals: [V; 2], _: usize, _: [*const f32; 2]) -> [V; 2] {
        totals
    }
}

/// Rows of tiles whose sums, two vectors each, fill the registers beside two vectors of weights and one of inputs: an even
/// number.
pub const fn most_rows<V: Vector>() -> usize {
    (V::REGISTERS - 3) / 4 * 2
}

/// `sums[half][row] = Σ inputs[block][row][lane] · weights[block · lanes + lane][half]`, the sum over all blocks and lanes,
/// for two vectors (halves) of output channels and `rows` rows of tiles, in the product's sense of · and +. An odd number of
/// rows is made even by one that means nothing.
///
/// # Safety
/// `inputs` must hold an even number of rows, at least `rows`, a vector each, from each multiple of `block_stride` on,
/// `weights` two vectors an input channel of a block from each multiple of `square_stride` on; `sums` take as many rows from 0
/// and from `half_stride` on; as [`Vector`].
#[inline(always)]
pub unsafe fn multiply<V: Vector, P: Product<V>>(
    rows: usize,
    (inputs, block_stride, blocks): (*const f32, usize, usize),
    weights: (*const f32, usize),
    (sums, half_stride): (*mut f32, usize),
    product: P,
) {
    // Parts of even numbers of rows, as equal as may be.
    let (pairs, parts) = (rows.div_ceil(2), rows.div_ceil(most_rows::<V>()));
    let mut first = 0;
    for part in 1..=parts {
        let end = pairs * part / parts * 2;
        // SAFETY: by the caller's promise.
        unsafe {
            let inputs = (inputs.add(first * V::LANES), block_stride, blocks);
            let sums = (sums.add(first * V::LANES), half_stride);
            let product = (product, first);
            match end - first {
                2 => multiply_rows::<V, P, 2>(inputs, weights, sums, product),
                4 => multiply_rows::<V, P, 4>(inputs, weights, sums, product),
                6 => multiply_rows::<V, P, 6>(inputs, weights, sums, product),
                8 => multiply_rows::<V, P, 8>(inputs, weights, sums, product),
                10 => multiply_rows::<V, P, 10>(inputs, weights, sums, product),
                12 => multiply_rows::<V, P, 12>(inputs, weights, sums, product),
                14 => multiply_rows::<V, P, 14>(inputs, weights, sums, product),
                rows => unreachable!("no product has {rows} rows"),
            }
        }
        first = end;
    }
}

/// [`multiply`] of a number of rows.
///
/// # Safety
/// As [`multiply`].
#[inline(always)]
unsafe fn multiply_rows<V: Vector, P: Product<V>, const ROWS: usize>(
    (inputs, block_stride, blocks): (*const f32, usize, usize),
    (weights, square_stride): (*const f32, usize),
    (sums, half_stride): (*mut f32, usize),
    (product, first_row): (P, usize),
) {
    if ROWS > most_rows::<V>() {
        return;
    }
    // SAFETY: by the caller's promise.
    unsafe {
        let mut totals = [[V::splat(0.0); 2]; ROWS];
        for block in 0..blocks {
            let inputs = inputs.add(block * block_stride);
            let weights = weights.add(block * square_stride);
            for lane in 0..V::LANES {
                let weights = weights.add(lane * 2 * V::LANES);
                // What the next block needs: its weights lie too far away for the CPU to expect them, its inputs are too
                // many streams.
                prefetch(inputs.wrapping_add(block_stride + lane * V::LANES));
                prefetch(weights.wrapping_add(square_stride));
                prefetch(weights.wrapping_add(square_stride + V::LANES));
                let (first, second) = (V::load(weights), V::load(weights.add(V::LANES)));
                for (row, total) in totals.iter_mut().enumerate() {
                    let input = V::splat(inputs.add(row * V::LANES + lane).read());
                    *total = [P::add(total[0], input, first), P::add(total[1], input, second)];
                }
            }
        }
        for (row, total) in totals.into_iter().enumerate() {
            let places = [sums.add(row * V::LANES), sums.add(half_stride + row * V::LANES)];
            let total = product.finish(total, first_row + row, [places[0].cast_const(), places[1].cast_const()]);
            total[0].store(places[0]);
            total[1].store(places[1]);
        }
    }
}

/// Most output channels that [`add_outer`] has at a time.
const MOST_OUTPUTS: usize = 8;

/// Output channels whose sums with two blocks of input channels leave registers for loads; they divide a block.
pub const fn outer_outputs<V: Vector>() -> usize {
    if V::REGISTERS / 4 < MOST_OUTPUTS { V::REGISTERS / 4 } else { MOST_OUTPUTS }
}

/// `sums[o][half] += Σ gradients[tile][o] · inputs[half][tile]` over `tiles` tiles, for [`outer_outputs`] output channels
/// and two blocks (halves) of input channels; the `first` ones set them instead.
///
/// # Safety
/// `gradients` must hold a vector a tile, `inputs` as many from 0 and from `half_stride` on; `sums` two vectors from each
/// multiple of `row_stride` on; as [`Vector`].
#[inline(always)]
pub unsafe fn add_outer<V: Vector>(
    gradients: *const f32,
    (inputs, half_stride): (*const f32, usize),
    tiles: usize,
    (sums, row_stride): (*mut f32, usize),
    first: bool,
) {
    // SAFETY: by the caller's promise.
    unsafe {
        let mut totals = [[V::splat(0.0); 2]; MOST_OUTPUTS];
        if !first {
            for (o, total) in totals.iter_mut().enumerate().take(outer_outputs::<V>()) {
                let sums = sums.add(o * row_stride);
                *total = [V::load(sums), V::load(sums.add(V::LANES))];
            }
        }
        for tile in 0..tiles {
            if tile < outer_outputs::<V>() {
                // The sums of the next output channels.
                let sums = sums.wrapping_add((outer_outputs::<V>() + tile) * row_stride);
                prefetch(sums);
                prefetch(sums.wrapping_add(V::LANES));
            }
            let inputs = inputs.add(tile * V::LANES);
            let (lower, upper) = (V::load(inputs), V::load(inputs.add(half_stride)));
            for (o, total) in totals.iter_mut().enumerate().take(outer_outputs::<V>()) {
                let gradient = V::splat(gradients.add(tile * V::LANES + o).read());
                *total = [gradient.mul_add(lower, total[0]), gradient.mul_add(upper, total[1])];
            }
        }
        for (o, [lower, upper]) in totals.into_iter().enumerate().take(outer_outputs::<V>()) {
            let sums = sums.add(o * row_stride);
            lower.store(sums);
            upper.store(sums.add(V::LANES));
        }
    }
}
